# SPDX-License-Identifier: BSD-2-Clause
"""The MC146818 real-time clock and CMOS memory of a PC, at ports 70h and 71h.

The time is a calendar second and the virtual moment at which it began; nothing ticks. Flags of
register C are worked out when they are read, and a timer is armed only for an interrupt that is
enabled and not already pending. Sources: Motorola MC146818A datasheet; for the memory-size bytes,
what SeaBIOS reads. The host's clock is never read.
"""

from __future__ import annotations

from typing import ClassVar

from manager.bus.clock import SECOND, Clock
from manager.bus.lines import Line
from manager.bus.record import NEVER, Record, flag, integer, moment, octets, uint
from manager.devices.device import Device
from manager.devices.rtc import calendar
from manager.devices.rtc.calendar import TIME_REGISTERS
from manager.lazy import dataclass

INDEX = 0  # port offsets
DATA = 1
NMI_MASK = 0x80  # in the index register
REG_A = 0x0A  # addresses in CMOS
REG_B = 0x0B
REG_C = 0x0C
REG_D = 0x0D
EQUIPMENT = 0x14
EQUIPMENT_FPU = 0x02
BASE_MEMORY = 0x15  # KiB below 640 K
EXTENDED_MEMORY = (0x17, 0x30)  # KiB above 1 M, at most 65535; twice
HIGH_MEMORY = 0x34  # units of 64 KiB above 16 M, at most 65535
MEMORY_ABOVE_4G = 0x5B  # units of 64 KiB, three bytes
SHUTDOWN = 0x0F  # what a CPU that was reset is to do
OTHER_CPUS = 0x5F  # how many there are beside the first; SeaBIOS waits for them
CHECKSUM = 0x2E  # of 10h-2Dh, high byte first

A_RATE = 0x0F  # periodic interrupt rate
A_DIVIDER = 0x70
A_DIVIDER_STOPPED = 0x60  # dividers 11x hold the divider chain in reset
A_UIP = 0x80  # update in progress
A_POWER_ON = 0x26  # 32768 Hz crystal, 1024 Hz rate

B_24H = 0x02
B_SQUARE_WAVE = 0x08
B_UIE = 0x10  # update-ended interrupt enable
B_AIE = 0x20  # alarm interrupt enable
B_PIE = 0x40  # periodic interrupt enable
B_SET = 0x80  # the guest sets the time: no updates

C_UF = 0x10
C_AF = 0x20
C_PF = 0x40
C_IRQF = 0x80
SOURCES = C_UF | C_AF | C_PF  # same bits as the enables in register B

D_VALID = 0x80  # the battery is good

UIP_NS = 244_000
"""How long before an update UIP is seen."""
FIRST_UPDATE_NS = SECOND // 2
"""From the release of the divider chain to the first update."""
CRYSTAL = 32_768
KIB = 1 << 10
CHUNK = 64 * KIB


@dataclass(slots=True)
class RtcState(Record):
    """The clock and its memory."""

    TYPE: ClassVar[str] = "rtc"

    index: int = uint(7, "CMOS address that the data port is for")
    nmi_masked: bool = flag("bit 7 of the index register as written; no NMI source uses it")
    cmos: bytearray = octets(
        128, 128, "all registers; those of the time are current only while it stands", bytes(128)
    )
    second: int = integer(
        calendar.EARLIEST, calendar.LATEST, "time of day at `since`, from 1970-01-01", unit="s"
    )
    since: int = integer(-SECOND, NEVER, "when that second began; phase of the divider", unit="ns")
    checked: int = moment("up to when flags of register C are worked out")
    deadline: int = moment("next event of an enabled interrupt", NEVER)


class Rtc(Device[RtcState]):
    """Index port at offset 0 (70h), data port at offset 1 (71h); `irq` is IRQ 8."""

    STATE = RtcState

    def __init__(
        self,
        clock: Clock,
        irq: Line,
        epoch: int,
        memory_size: int,
        memory_above_4g: int = 0,
        cpu_count: int = 1,
    ) -> None:
        """`epoch`: seconds since 1970 at virtual time 0. Sizes in bytes; the whole is
        `memory_size`, of which `memory_above_4g` lies above 4 GiB.
        """
        self._clock = clock
        self._irq = irq
        self._epoch = epoch
        self._memory = memory_size - memory_above_4g
        self._memory_above_4g = memory_above_4g
        self._cpu_count = cpu_count
        self._timer = clock.timer(self._event)
        self.state = self.power_on()
        self.settle()

    def power_on(self) -> RtcState:
        """A machine whose battery is good: the time runs and the setup data is there."""
        state = RtcState(second=min(max(self._epoch, calendar.EARLIEST), calendar.LATEST))
        cmos = state.cmos
        cmos[REG_A], cmos[REG_B], cmos[REG_D] = A_POWER_ON, B_24H, D_VALID
        cmos[EQUIPMENT] = EQUIPMENT_FPU
        _put(cmos, BASE_MEMORY, 2, min(self._memory // KIB, 640))
        for address in EXTENDED_MEMORY:
            _put(cmos, address, 2, (self._memory - KIB * KIB) // KIB)
        _put(cmos, HIGH_MEMORY, 2, (self._memory - 16 * KIB * KIB) // CHUNK)
        _put(cmos, MEMORY_ABOVE_4G, 3, self._memory_above_4g // CHUNK)
        cmos[OTHER_CPUS] = self._cpu_count - 1
        checksum = sum(cmos[0x10:CHECKSUM])
        cmos[CHECKSUM], cmos[CHECKSUM + 1] = checksum >> 8 & 0xFF, checksum & 0xFF
        return state

    def reset(self) -> None:
        """The RESET pin: interrupts off. The battery keeps the time and the memory."""
        cmos = self.state.cmos
        self._catch_up()
        cmos[REG_B] &= ~(B_PIE | B_AIE | B_UIE | B_SQUARE_WAVE)
        cmos[REG_C] = 0
        self._update_irq()

    @property
    def shutdown_code(self) -> int:
        """What CMOS 0Fh asks of firmware after a reset of the CPU alone; 0 for a new start."""
        return self.state.cmos[SHUTDOWN]

    def clear_shutdown_code(self) -> None:
        """Firmware has read it."""
        self.state.cmos[SHUTDOWN] = 0

    def read_port(self, offset: int) -> int:
        """The register at the index; the index port itself cannot be read."""
        if offset != DATA:
            return 0xFF
        index = self.state.index
        if index in TIME_REGISTERS and self._running():
            self._show_time()
        elif index == REG_A and self._updating():
            return self.state.cmos[REG_A] | A_UIP
        elif index == REG_C:
            return self._read_flags()
        return self.state.cmos[index]

    def write_port(self, offset: int, value: int) -> None:
        """Set the index, or write the register there."""
        state = self.state
        if offset != DATA:
            state.index = value & ~NMI_MASK
            state.nmi_masked = bool(value & NMI_MASK)
            return
        index = state.index
        if index in (REG_C, REG_D):
            return
        if index > REG_D and index not in TIME_REGISTERS:
            state.cmos[index] = value
            return
        self._catch_up()
        running = self._running()
        if running:
            self._show_time()
        if index == REG_A:
            self._write_a(value & ~A_UIP)
        elif index == REG_B:
            # Setting the time turns the update-ended interrupt off.
            state.cmos[REG_B] = value & ~B_UIE if value & B_SET else value
        else:
            state.cmos[index] = value
        if self._running() and (index in TIME_REGISTERS or not running):
            self._take_time()
        self._update_irq()

    # The time

    def _running(self) -> bool:
        cmos = self.state.cmos
        return not cmos[REG_B] & B_SET and self._divider_runs()

    def _divider_runs(self) -> bool:
        return self.state.cmos[REG_A] & A_DIVIDER_STOPPED != A_DIVIDER_STOPPED

    def _updating(self) -> bool:
        phase = (self._clock.now() - self.state.since) % SECOND
        return self._running() and phase >= SECOND - UIP_NS

    def _write_a(self, value: int) -> None:
        state = self.state
        stopped = not self._divider_runs()
        state.cmos[REG_A] = value
        if stopped and self._divider_runs():
            state.since = self._clock.now() + FIRST_UPDATE_NS - SECOND

    def _show_time(self) -> None:
        """Put the present time into the time registers."""
        state = self.state
        elapsed = (self._clock.now() - state.since) // SECOND
        calendar.encode(state.cmos, state.second + elapsed, state.cmos[REG_B])

    def _take_time(self) -> None:
        """Go on from what the time registers hold, at the phase that the divider has."""
        state = self.state
        state.second = calendar.decode(state.cmos, state.cmos[REG_B])
        state.since += (self._clock.now() - state.since) // SECOND * SECOND

    # The interrupts

    def _read_flags(self) -> int:
        """Register C; reading clears it and drops the line."""
        self._event()
        flags = self.state.cmos[REG_C]
        self.state.cmos[REG_C] = 0
        self._update_irq()
        return flags

    def _catch_up(self) -> None:
        """Set the flags of all that happened since it was last asked."""
        state = self.state
        now = self._clock.now()
        flags = C_PF if self._next(C_PF) <= now else 0
        if self._next(C_UF) <= now:
            flags |= C_UF
            if self._next(C_AF) <= now:
                flags |= C_AF
        state.cmos[REG_C] |= flags
        state.checked = now

    def _next(self, source: int) -> int:
        """When `source` happens first after `checked`; NEVER if it does not."""
        state = self.state
        if source == C_PF:
            return self._next_period()
        if not self._running():
            return NEVER
        elapsed = (state.checked - state.since) // SECOND + 1
        if source == C_AF:
            wait = calendar.until_alarm(state.cmos, state.second + elapsed, state.cmos[REG_B])
            if wait is None:
                return NEVER
            elapsed += wait
        return state.since + elapsed * SECOND

    def _next_period(self) -> int:
        state = self.state
        rate = state.cmos[REG_A] & A_RATE
        if not rate or not self._divider_runs():
            return NEVER
        # Rates 1 and 2 are the same as 8 and 9.
        period = 1 << (rate - 1 if rate > 2 else rate + 6)
        count = (state.checked - state.since) * CRYSTAL // SECOND // period + 1
        return state.since - (-count * period * SECOND // CRYSTAL)

    def _event(self) -> None:
        self._catch_up()
        self._update_irq()

    def _update_irq(self) -> None:
        """Drive the line as flags and enables say; if it is low, wait for the next event."""
        state = self.state
        cmos = state.cmos
        enabled = cmos[REG_B] & SOURCES
        if cmos[REG_C] & enabled:
            cmos[REG_C] |= C_IRQF
            state.deadline = NEVER
        else:
            cmos[REG_C] &= ~C_IRQF
            state.deadline = min(
                (self._next(source) for source in (C_PF, C_AF, C_UF) if enabled & source),
                default=NEVER,
            )
        self.settle()

    def settle(self) -> None:
        """Drive IRQ 8 and arm the timer as recorded."""
        self._irq.set(bool(self.state.cmos[REG_C] & C_IRQF))
        if self.state.deadline == NEVER:
            self._timer.disarm()
        else:
            self._timer.arm(self.state.deadline)


def _put(cmos: bytearray, address: int, length: int, value: int) -> None:
    """Store a little-endian number, held within what fits."""
    value = min(max(value, 0), (1 << 8 * length) - 1)
    cmos[address : address + length] = value.to_bytes(length, "little")
