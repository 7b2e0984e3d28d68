# SPDX-License-Identifier: BSD-2-Clause
"""The local APIC, where Intel's SDM (volume 3) puts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manager.devices.claims import MemoryRange
from manager.devices.node import DeviceNode, Place

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services


class LapicNode(DeviceNode):
    """The local APIC."""

    __slots__ = ()

    TYPE = "lapic"
    LABEL = "the local APIC"

    @classmethod
    def claim(cls, table: Any, place: Place) -> LapicNode:
        """A page of registers."""
        return cls(*place, memory=(MemoryRange(0xFEE0_0000, 0x1000),))

    def build(self, board: Services) -> Device[Any]:
        """The one that the board has wired to the CPU."""
        lapic: Device[Any] = board.controllers.lapic
        board.map(self.memory[0], board.controllers.lapic)
        return lapic
