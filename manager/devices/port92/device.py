# SPDX-License-Identifier: BSD-2-Clause
"""System control port A (92h) of a PS/2: the fast A20 gate and the fast reset.

The A20 line is open while this port or the keyboard controller opens it; joining the two is the
board's business. Source: Intel 82371SB (PIIX3) datasheet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from manager.bus.grants import NO_GRANTS, Grants
from manager.bus.record import Record, uint
from manager.devices.device import Device
from manager.lazy import dataclass

FAST_INIT = 0x01  # resets the CPU when it goes from 0 to 1
FAST_A20 = 0x02


@dataclass(slots=True)
class Port92State(Record):
    """The one register."""

    TYPE: ClassVar[str] = "port92"

    control: int = uint(
        8, "as written: bit 0 fast reset, bit 1 fast A20; the others only keep", names="RESET A20"
    )


class Port92(Device[Port92State]):
    """One byte port. `set_a20` hears the A20 bit at every write and restore; `reset` a reset."""

    STATE = Port92State

    def __init__(
        self,
        set_a20: Callable[[bool], None],
        reset: Callable[[], None],
        grants: Grants = NO_GRANTS,
    ) -> None:
        self._grants = grants
        self._set_a20 = set_a20
        self._reset_cpu = reset
        self.state = self.power_on()
        self.settle()

    def read_port(self, offset: int) -> int:
        """What was written."""
        self._grants.steady()
        return self.state.control

    def write_port(self, offset: int, value: int) -> None:
        """Gate A20, then reset if bit 0 rises."""
        rises = value & ~self.state.control & FAST_INIT
        self.state.control = value
        self.settle()
        if rises:
            self._reset_cpu()

    def settle(self) -> None:
        """Drive the A20 gate."""
        self._set_a20(bool(self.state.control & FAST_A20))
