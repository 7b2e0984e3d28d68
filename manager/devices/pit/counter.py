# SPDX-License-Identifier: BSD-2-Clause
"""One counter of an 8254 interval timer, as arithmetic on its record (pit/device.py).

Time here is in ticks of the counter's 1193182 Hz clock since power-on. Nothing runs: count and
OUT at a tick follow from when and with what the counter was loaded.

Source: Intel 8254 datasheet (231164), mode descriptions and figures 16 to 20.
"""

from __future__ import annotations

from typing import ClassVar

from manager.bus.record import NEVER, Record, flag, integer, uint
from manager.lazy import dataclass

# Access: which bytes of the count register go through the port.
LSB = 1
MSB = 2
LSB_THEN_MSB = 3

# Modes
TERMINAL_COUNT = 0
ONE_SHOT = 1
RATE = 2
SQUARE_WAVE = 3
SOFTWARE_STROBE = 4
HARDWARE_STROBE = 5
PERIODIC = (RATE, SQUARE_WAVE)
GATE_PAUSES = (TERMINAL_COUNT, RATE, SQUARE_WAVE, SOFTWARE_STROBE)
GATE_TRIGGERS = (ONE_SHOT, RATE, SQUARE_WAVE, HARDWARE_STROBE)
STROBES = (SOFTWARE_STROBE, HARDWARE_STROBE)

BINARY_RANGE = 0x10000
BCD_RANGE = 10_000

# Status byte (read-back)
STATUS_OUT = 0x80
STATUS_NULL_COUNT = 0x40  # what was written last has not reached the counting element


@dataclass(slots=True)
class CounterState(Record):
    """One counter."""

    TYPE: ClassVar[str] = "pit-counter"

    mode: int = integer(0, 5, "counting mode")
    access: int = integer(1, 3, "port access: 1 LSB, 2 MSB, 3 LSB then MSB", LSB_THEN_MSB)
    bcd: bool = flag("counts in four BCD digits instead of 16 bits")
    gate: bool = flag("level of the GATE input", True)
    reload: int = uint(16, "count register, as written")
    written: bool = flag("a whole count was written since the control word")
    null_count: bool = flag("the count register waits to be loaded", True)
    write_low: int = uint(8, "LSB written, waiting for its MSB")
    write_high: bool = flag("the next write is the MSB of a pair")
    read_high: bool = flag("the next read is the MSB of a pair")
    count_latched: bool = flag("reads give the latched count")
    latched_count: int = uint(16, "latched count, as read")
    status_latched: bool = flag("the next read gives the latched status")
    latched_status: int = uint(8, "latched status byte")
    loaded: bool = flag("the counting element runs, or will once GATE lets it")
    count: int = integer(1, BINARY_RANGE, "what it started from", BINARY_RANGE, unit="ticks")
    start: int = integer(-BINARY_RANGE, NEVER, "when it started from there", unit="ticks")
    frozen: int = integer(0, NEVER, "how far it had come when GATE went low", unit="ticks")
    takeover: int = integer(
        0, NEVER, "when a new period begins with a new count; 0: none", unit="ticks"
    )


class Counter:
    """One 16-bit counter. Every method takes the present tick; it never goes back."""

    __slots__ = ("state",)

    def __init__(self, state: CounterState) -> None:
        self.state = state

    # What the counter shows

    def out(self, tick: int) -> bool:
        """Level of OUT."""
        self.catch_up(tick)
        return self._level(tick)

    def _level(self, tick: int) -> bool:
        state = self.state
        mode, count = state.mode, state.count
        if not state.loaded:
            return mode != TERMINAL_COUNT
        if mode in PERIODIC and not state.gate:
            return True
        elapsed = self._elapsed(tick)
        if mode in (TERMINAL_COUNT, ONE_SHOT):
            return elapsed >= count
        if mode == RATE:
            return elapsed % count != count - 1
        if mode == SQUARE_WAVE:
            return elapsed % count < (count + 1) // 2
        return elapsed != count

    def next_rise(self, tick: int) -> int:
        """The first tick, `tick` or later, at which OUT goes high; NEVER when it will not.

        For as long as the guest does nothing; a count that waits for its takeover is left out.
        """
        state = self.state
        if not self._counting():
            return NEVER
        count, start = state.count, state.start
        if state.mode in PERIODIC:
            if count == 1:  # not allowed: OUT stays as it is
                return NEVER
            return start + max(1, -((start - tick) // count)) * count
        rise = start + count + (1 if state.mode in STROBES else 0)
        return rise if rise >= tick else NEVER

    def next_fall(self, tick: int) -> int:
        """The same for OUT going low."""
        state = self.state
        if not self._counting():
            return NEVER
        count, start = state.count, state.start
        if state.mode in PERIODIC:
            if count == 1:
                return NEVER
            first = start + (count - 1 if state.mode == RATE else (count + 1) // 2)
            return first + max(0, -((first - tick) // count)) * count
        fall = start + count if state.mode in STROBES else NEVER
        return fall if fall >= tick else NEVER

    def _counting(self) -> bool:
        state = self.state
        return state.loaded and (state.gate or state.mode not in GATE_PAUSES)

    def _elapsed(self, tick: int) -> int:
        return max(0, tick - self.state.start) if self._counting() else self.state.frozen

    def value(self, tick: int) -> int:
        """The count as the port shows it: 16 bits, or four BCD digits."""
        self.catch_up(tick)
        state = self.state
        count, elapsed = state.count, self._elapsed(tick)
        if state.mode == RATE:
            elapsed %= count
        elif state.mode == SQUARE_WAVE:
            # Counts down by two, once for each half of the period.
            elapsed %= count
            half = (count + 1) // 2
            elapsed = 2 * (elapsed if elapsed < half else elapsed - half)
            count &= ~1
        left = count - elapsed
        return _to_bcd(left % BCD_RANGE) if state.bcd else left & 0xFFFF

    def status(self, tick: int) -> int:
        """The read-back status byte: OUT, null count, access, mode, BCD."""
        state = self.state
        status = state.access << 4 | state.mode << 1 | state.bcd
        if self.out(tick):
            status |= STATUS_OUT
        if state.null_count or tick < state.start:
            status |= STATUS_NULL_COUNT
        return status

    # What the guest does to it

    def catch_up(self, tick: int) -> None:
        """Take a new count into a periodic counter whose period has ended by now."""
        state = self.state
        if not state.takeover or tick < state.takeover or not state.gate:
            return
        half = state.mode == SQUARE_WAVE and (state.takeover - state.start) % state.count
        state.count = self._reload()
        state.start = state.takeover
        if half:  # OUT goes low now: the high half of the new count is behind us
            state.start -= (state.count + 1) // 2
        state.takeover = 0
        state.null_count = False

    def set_mode(self, tick: int, mode: int, access: int, bcd: bool) -> None:
        """A control word: stops the counter and forgets latches and half-done accesses."""
        state = self.state
        self._stop(tick)
        state.written = False
        state.null_count = True
        state.mode, state.access, state.bcd = mode, access, bcd
        state.write_high = state.read_high = False
        state.count_latched = state.status_latched = False
        state.takeover = 0

    def _stop(self, tick: int) -> None:
        """Stand still at the count that shows, until a new one is written."""
        state = self.state
        value = self.value(tick)
        shown = _from_bcd(value) if state.bcd else value
        state.count, state.frozen = shown or self._range(), 0
        state.loaded = False

    def latch_count(self, tick: int) -> None:
        """Hold the count for reading. Ignored while one is held."""
        if not self.state.count_latched:
            self.state.latched_count = self.value(tick)
            self.state.count_latched = True

    def latch_status(self, tick: int) -> None:
        """Hold the status byte for reading. Ignored while one is held."""
        if not self.state.status_latched:
            self.state.latched_status = self.status(tick)
            self.state.status_latched = True

    def read(self, tick: int) -> int:
        """A read of the counter's port: status if latched, else the next byte of the count."""
        state = self.state
        if state.status_latched:
            state.status_latched = False
            return state.latched_status
        value = state.latched_count if state.count_latched else self.value(tick)
        high = state.access == MSB or (state.access == LSB_THEN_MSB and state.read_high)
        if state.access == LSB_THEN_MSB:
            state.read_high = not state.read_high
        if high or state.access == LSB:
            state.count_latched = False
        return value >> 8 if high else value & 0xFF

    def write(self, tick: int, value: int) -> None:
        """A write to the counter's port: the next byte of a new count."""
        state = self.state
        if state.access == LSB:
            self._new_count(tick, value)
        elif state.access == MSB:
            self._new_count(tick, value << 8)
        elif state.write_high:
            state.write_high = False
            self._new_count(tick, value << 8 | state.write_low)
        else:
            state.write_low = value
            state.write_high = True
            if state.mode == TERMINAL_COUNT:  # the first byte stops counting, OUT goes low
                self._stop(tick)

    def _new_count(self, tick: int, value: int) -> None:
        state = self.state
        self.catch_up(tick)
        state.reload = value
        state.written = state.null_count = True
        if state.mode in (ONE_SHOT, HARDWARE_STROBE):
            return  # waits for GATE to rise
        if state.mode in PERIODIC and state.loaded:
            if not state.takeover:
                state.takeover = self._period_end(tick)
            return
        self._load(tick)

    def _period_end(self, tick: int) -> int:
        """When a running periodic counter reloads: each period, a square wave each half."""
        state = self.state
        if not state.gate or state.count == 1:
            return tick + 1
        rise = self.next_rise(tick + 1)
        return rise if state.mode == RATE else min(rise, self.next_fall(tick + 1))

    def _load(self, tick: int) -> None:
        state = self.state
        state.count = self._reload()
        state.start = tick + 1  # with the next clock pulse
        state.frozen = state.takeover = 0
        state.loaded = True
        state.null_count = False

    def _reload(self) -> int:
        """The count register as a number of ticks; 0 stands for one more than the highest."""
        state = self.state
        return (_from_bcd(state.reload) if state.bcd else state.reload) or self._range()

    def _range(self) -> int:
        return BCD_RANGE if self.state.bcd else BINARY_RANGE

    def set_gate(self, tick: int, level: bool) -> None:
        """Drive GATE. Its level pauses modes 0, 2, 3, 4; its rise triggers modes 1, 2, 3, 5."""
        state = self.state
        if level == state.gate:
            return
        self.catch_up(tick)
        if not level:
            state.frozen = self._elapsed(tick)
        state.gate = level
        if not level or not state.written:
            return
        if state.mode in GATE_TRIGGERS:
            self._load(tick)
        elif state.loaded:
            state.start = tick - state.frozen


def _to_bcd(value: int) -> int:
    return sum(value // 10**digit % 10 << 4 * digit for digit in range(4))


def _from_bcd(value: int) -> int:
    return sum((value >> 4 * digit & 0xF) * 10**digit for digit in range(4))
