# SPDX-License-Identifier: BSD-2-Clause
"""A port that ends the machine with a status of the guest's choice.

Guests written for QEMU's isa-debug-exit work unchanged: writing v ends with status (v << 1) | 1,
so that no guest can end with 0. Only the first port of the range counts, hence of a 16- or
32-bit write the low byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from manager.bus.record import Record
from manager.devices.device import Device
from manager.lazy import dataclass


@dataclass(slots=True)
class DebugExitState(Record):
    """Nothing: a write is the end."""

    TYPE: ClassVar[str] = "debug-exit"


class DebugExit(Device[DebugExitState]):
    """One or more byte ports. `end` is told the status: odd, 1 to 511.

    A process's exit code is its low 8 bits.
    """

    STATE = DebugExitState

    def __init__(self, end: Callable[[int], None]) -> None:
        self._end = end
        self.state = self.power_on()

    def read_port(self, offset: int) -> int:
        """Always 0."""
        return 0

    def write_port(self, offset: int, value: int) -> None:
        """End the machine."""
        if offset == 0:
            self._end(value << 1 | 1)
