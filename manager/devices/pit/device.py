# SPDX-License-Identifier: BSD-2-Clause
"""The 8254 interval timer of a PC and port 61h, which gates its counter 2 and shows its output.

Counter 0 drives IRQ 0, counter 1 was for memory refresh, counter 2 is the speaker's. Sources:
Intel 8254 datasheet (231164); Intel 82371SB (PIIX3) datasheet for port 61h (NMI status/control).
"""

from __future__ import annotations

from typing import ClassVar

from manager.bus.clock import SECOND, Clock
from manager.bus.lines import Line
from manager.bus.record import NEVER, Record, flag, moment, several, uint
from manager.devices.device import Device
from manager.devices.pit.counter import RATE, STROBES, Counter, CounterState
from manager.lazy import dataclass

FREQUENCY = 1_193_182
"""Ticks of the counters' clock in a second."""

CONTROL = 3  # port offset of the control word register; 0-2 are the counters

# Control word
SELECT_READ_BACK = 3  # in the place of a counter's number
ACCESS_LATCH = 0  # in the place of an access: latch the count
CONTROL_BCD = 0x01
READ_BACK_NO_COUNT = 0x20
READ_BACK_NO_STATUS = 0x10

# Port 61h
GATE2 = 0x01
SPEAKER_DATA = 0x02
PARITY_DISABLE = 0x04  # SERR# NMI off
IOCHK_DISABLE = 0x08  # IOCHK# NMI off
REFRESH = 0x10  # toggles with each refresh request
OUT2 = 0x20
PORT61_STORED = SPEAKER_DATA | PARITY_DISABLE | IOCHK_DISABLE

REFRESH_TICKS = 18
"""Between two refresh requests: 15.09 us."""


@dataclass(slots=True)
class PitState(Record):
    """The three counters and port 61h."""

    TYPE: ClassVar[str] = "pit"

    counters: list[CounterState] = several(CounterState, 3, "counters 0, 1 and 2")
    irq_level: bool = flag("level that IRQ 0 is driven to")
    irq_deadline: int = moment("next edge on IRQ 0", NEVER)
    port61: int = uint(4, "bits 1 to 3 of port 61h as written: speaker data, NMI disables")


class SpeakerPort:
    """Port 61h."""

    __slots__ = ("_pit",)

    def __init__(self, pit: Pit) -> None:
        self._pit = pit

    def read_port(self, offset: int) -> int:
        """Bits 0-3 as written, refresh toggle in bit 4, counter 2's OUT in bit 5."""
        pit = self._pit
        tick = pit.tick()
        counter = pit.counters[2]
        value = pit.state.port61 | (GATE2 if counter.state.gate else 0)
        if tick // REFRESH_TICKS & 1:
            value |= REFRESH
        if counter.out(tick):
            value |= OUT2
        return value

    def write_port(self, offset: int, value: int) -> None:
        """Bit 0 is counter 2's GATE; bits 1-3 are kept."""
        pit = self._pit
        pit.state.port61 = value & PORT61_STORED
        pit.counters[2].set_gate(pit.tick(), bool(value & GATE2))


class Pit(Device[PitState]):
    """The timer itself for ports 0x40-0x43; `speaker_port` is for port 0x61.

    `irq` is counter 0's output. Where OUT goes low for a single tick only (modes 2 and 4), IRQ 0
    falls and rises at that tick's end.
    """

    STATE = PitState

    def __init__(self, clock: Clock, irq: Line) -> None:
        self._clock = clock
        self._irq = irq
        self._timer = clock.timer(self._edge)
        self.speaker_port = SpeakerPort(self)
        self.counters: list[Counter] = []
        self.state = self.power_on()
        self.settle()

    def power_on(self) -> PitState:
        """No counter runs; GATE of counters 0 and 1 is tied high, that of counter 2 is low."""
        state = PitState()
        state.counters[2].gate = False
        return state

    def tick(self) -> int:
        """Ticks of the counters' clock since power-on."""
        return self._clock.now() * FREQUENCY // SECOND

    def read_port(self, offset: int) -> int:
        """The next byte of a counter; the control register reads as all ones."""
        if offset == CONTROL:
            return 0xFF
        self._fire_if_due()
        return self.counters[offset].read(self.tick())

    def write_port(self, offset: int, value: int) -> None:
        """The next byte of a count, or a control word."""
        self._fire_if_due()
        tick = self.tick()
        if offset != CONTROL:
            self.counters[offset].write(tick, value)
            changed = offset
        else:
            changed = value >> 6
            access = value >> 4 & 3
            if changed == SELECT_READ_BACK:
                self._read_back(tick, value)
                return
            if access == ACCESS_LATCH:
                self.counters[changed].latch_count(tick)
                return
            mode = value >> 1 & 7
            # Modes 6 and 7 are 2 and 3: the top bit is "don't care" there.
            mode = mode if mode < 6 else mode & 3
            self.counters[changed].set_mode(tick, mode, access, bool(value & CONTROL_BCD))
        if changed == 0:
            self._drive_irq(tick, False)

    def _read_back(self, tick: int, value: int) -> None:
        for number, counter in enumerate(self.counters):
            if value & 2 << number:
                if not value & READ_BACK_NO_COUNT:
                    counter.latch_count(tick)
                if not value & READ_BACK_NO_STATUS:
                    counter.latch_status(tick)

    def _fire_if_due(self) -> None:
        """An edge that is due comes before what the guest does now."""
        if self.state.irq_deadline <= self._clock.now():
            self._edge()

    def _edge(self) -> None:
        """The deadline is here. However many periods late, it makes one interrupt."""
        due = self.state.irq_deadline * FREQUENCY // SECOND
        tick = self.tick()
        self._drive_irq(tick, self.counters[0].next_rise(due) <= tick)

    def _drive_irq(self, tick: int, rise: bool) -> None:
        """Set IRQ 0, with a rising edge if `rise`, and arm the timer for the next edge."""
        counter, state = self.counters[0], self.state
        level = counter.out(tick)
        mode = counter.state.mode
        pulses = mode == RATE or mode in STROBES
        state.irq_level = rise or pulses or level
        if rise:
            self._irq.set(False)
        self._irq.set(state.irq_level)
        edge = counter.next_rise(tick + 1)
        if not pulses:
            edge = min(edge, counter.next_fall(tick + 1))
        if counter.state.takeover:
            edge = min(edge, counter.state.takeover)
        # The first nanosecond of that tick.
        state.irq_deadline = min(-(-edge * SECOND // FREQUENCY), NEVER)
        self._arm()

    def _arm(self) -> None:
        if self.state.irq_deadline == NEVER:
            self._timer.disarm()
        else:
            self._timer.arm(self.state.irq_deadline)

    def settle(self) -> None:
        """Take over the counters, drive IRQ 0 and arm the timer as recorded."""
        self.counters = [Counter(state) for state in self.state.counters]
        self._irq.set(self.state.irq_level)
        self._arm()
