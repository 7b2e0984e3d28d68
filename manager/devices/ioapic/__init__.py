# SPDX-License-Identifier: BSD-2-Clause
"""The I/O APIC, where the 82093AA datasheet puts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manager.devices.claims import MemoryRange
from manager.devices.node import DeviceNode, Place

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services


class IoApicNode(DeviceNode):
    """The I/O APIC."""

    __slots__ = ()

    TYPE = "ioapic"
    LABEL = "the I/O APIC"

    @classmethod
    def claim(cls, table: Any, place: Place) -> IoApicNode:
        """A page of registers."""
        return cls(*place, memory=(MemoryRange(0xFEC0_0000, 0x1000),))

    def build(self, board: Services) -> Device[Any]:
        """The one that the board has wired to the local APIC."""
        ioapic: Device[Any] = board.controllers.ioapic
        board.map(self.memory[0], board.controllers.ioapic)
        return ioapic
