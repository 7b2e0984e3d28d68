# SPDX-License-Identifier: BSD-2-Clause
"""The reset control register of PIIX and ICH south bridges, at port CF9h.

It lies within the bytes of PCI's CONFIG_ADDRESS (CF8h), which only a four-byte access reaches.
Source: Intel 82371SB (PIIX3) datasheet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from manager.bus.record import Record, uint
from manager.devices.device import Device
from manager.lazy import dataclass

HARD = 0x02  # reset the whole board, not only the CPU
RESET_CPU = 0x04  # resets when it goes from 0 to 1
FULL = 0x08  # ICH: take the power away too
STORED = HARD | RESET_CPU | FULL


@dataclass(slots=True)
class ResetControlState(Record):
    """The one register."""

    TYPE: ClassVar[str] = "reset-control"

    control: int = uint(4, "as written: bit 1 hard reset, bit 2 reset CPU, bit 3 full reset")


class ResetControl(Device[ResetControlState]):
    """One byte port. `reset_cpu` is called for a soft reset, `reset_board` for a hard one."""

    STATE = ResetControlState

    def __init__(self, reset_cpu: Callable[[], None], reset_board: Callable[[], None]) -> None:
        self._reset_cpu = reset_cpu
        self._reset_board = reset_board
        self.state = self.power_on()

    def read_port(self, offset: int) -> int:
        """The bits that were written; reserved bits are 0."""
        return self.state.control

    def write_port(self, offset: int, value: int) -> None:
        """Keep the bits, and reset if bit 2 rises."""
        rises = value & ~self.state.control & RESET_CPU
        self.state.control = value & STORED
        if rises:
            (self._reset_board if value & HARD else self._reset_cpu)()
