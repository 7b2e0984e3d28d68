# SPDX-License-Identifier: BSD-2-Clause
"""ACPI's fixed hardware: power management events, soft-off, and the power management timer.

The machine is always in ACPI mode (SCI_EN reads 1, there is no SMI command port). Soft-off is the
one sleep state. Source: ACPI specification 6.5, section 4.8, "ACPI Hardware Features".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from manager.bus.clock import SECOND, Clock
from manager.bus.lines import Line
from manager.bus.record import NEVER, Record, uint
from manager.devices.device import Device, Takes
from manager.lazy import dataclass

BASE = 0x600
LENGTH = 12

# Port offsets
PM1_STATUS = 0
PM1_ENABLE = 2
PM1_CONTROL = 4
PM_TIMER = 8

EVENT_LENGTH = 4
"""Bytes of PM1a_EVT, as the FADT says them."""
CONTROL_LENGTH = 2
TIMER_LENGTH = 4

# Status and enable
TIMER = 0x0001
GLOBAL = 0x0020
POWER_BUTTON = 0x0100
SLEEP_BUTTON = 0x0200
RTC_ALARM = 0x0400
ENABLES = TIMER | GLOBAL | POWER_BUTTON | SLEEP_BUTTON | RTC_ALARM
RAISED = TIMER | POWER_BUTTON  # what this board can set

# Control
SCI_ENABLE = 0x0001
BUS_MASTER_RELOAD = 0x0002
SLEEP_TYPE = 0x1C00
SLEEP_TYPE_SHIFT = 10
SLEEP_ENABLE = 0x2000  # reads as 0
STORED = BUS_MASTER_RELOAD | SLEEP_TYPE

S5_TYPE = 5
"""SLP_TYP of soft-off: what the DSDT must give in _S5."""

TIMER_FREQUENCY = 3_579_545
"""Ticks of the power management timer in a second."""
TIMER_BITS = 32
FADT_TIMER_IS_32_BIT = 1 << 8
"""TMR_VAL_EXT in the flags of the FADT, to be set for this timer."""
HALF = TIMER_BITS - 1


@dataclass(slots=True)
class AcpiPmState(Record):
    """The PM1a registers."""

    TYPE: ClassVar[str] = "acpi-pm"

    status: int = uint(
        16,
        "PM1_STS: timer (bit 0) and power button (bit 8)",
        names="TMR - - - BM GBL - - PWRBTN",
    )
    enable: int = uint(
        16, "PM1_EN: which status bits assert the SCI", names="TMR - - - - GBL - - PWRBTN"
    )
    control: int = uint(
        16, "PM1_CNT: bus master reload and sleep type as written", names="SCI_EN BM_RLD"
    )
    toggles: int = uint(40, "changes of the timer's top bit that the status accounts for")


class AcpiPm(Device[AcpiPmState]):
    """The registers at BASE, LENGTH ports. `sci` is the system control interrupt, a level.

    `power_off` is called for soft-off; the guest may run on until the board acts on it.
    """

    STATE = AcpiPmState

    def __init__(self, clock: Clock, sci: Line, power_off: Callable[[], None]) -> None:
        self._clock = clock
        self._sci = sci
        self._power_off = power_off
        self._timer = clock.timer(self._top_bit_changes)
        self.state = self.power_on()
        self.settle()

    def power_on(self) -> AcpiPmState:
        """Nothing enabled. The timer shows virtual time, so a reset does not turn it back."""
        return AcpiPmState(toggles=self._tick() >> HALF)

    def takes(self) -> Takes:
        """The power button."""
        return {"power-button": lambda _: self.press_power_button()}

    def press_power_button(self) -> None:
        """Ask the guest to shut down; without effect on one that does not listen."""
        self.state.status |= POWER_BUTTON
        self.settle()

    def read_wide(self, offset: int, size: int) -> int:
        """Read 1, 2 or 4 bytes anywhere; reserved ones read as 0."""
        if offset >= PM_TIMER:
            value = self._tick() & (1 << TIMER_BITS) - 1
            return value >> 8 * (offset - PM_TIMER) & (1 << 8 * size) - 1
        self._catch_up()
        state = self.state
        registers = (
            state.status
            | state.enable << 8 * PM1_ENABLE
            | (state.control | SCI_ENABLE) << 8 * PM1_CONTROL
        )
        return registers >> 8 * offset & (1 << 8 * size) - 1

    def write_wide(self, offset: int, size: int, value: int) -> None:
        """Write 1, 2 or 4 bytes anywhere. A 1 clears a status bit; the timer cannot be written."""
        self._catch_up()
        state = self.state
        for byte in range(offset, offset + size):
            shift = 8 * (byte & 1)
            bits = (value & 0xFF) << shift
            value >>= 8
            register = byte & ~1
            if register == PM1_STATUS:
                state.status &= ~bits
            elif register == PM1_ENABLE:
                state.enable = (state.enable & 0xFF00 >> shift | bits) & ENABLES
            elif register == PM1_CONTROL:
                self._control(state.control & 0xFF00 >> shift | bits)
        self.settle()

    def _control(self, value: int) -> None:
        self.state.control = value & STORED
        if value & SLEEP_ENABLE and (value & SLEEP_TYPE) >> SLEEP_TYPE_SHIFT == S5_TYPE:
            self._power_off()

    def _tick(self) -> int:
        """Ticks of the timer since power-on."""
        return self._clock.now() * TIMER_FREQUENCY // SECOND

    def _catch_up(self) -> None:
        """Set the timer's status if its top bit has changed since the last look."""
        toggles = self._tick() >> HALF
        if toggles != self.state.toggles:
            self.state.toggles = toggles
            self.state.status |= TIMER

    def _top_bit_changes(self) -> None:
        self._catch_up()
        self.settle()

    def settle(self) -> None:
        """Drive the SCI; arm the timer if its next event would assert it."""
        state = self.state
        self._sci.set(bool(state.status & state.enable & RAISED))
        if state.enable & TIMER and not state.status & TIMER:
            # The first nanosecond of that tick.
            tick = state.toggles + 1 << HALF
            self._timer.arm(min(-(-tick * SECOND // TIMER_FREQUENCY), NEVER))
        else:
            self._timer.disarm()
