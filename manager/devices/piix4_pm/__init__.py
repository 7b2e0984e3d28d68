# SPDX-License-Identifier: BSD-2-Clause
"""The power management function of a PIIX4, by which firmware finds ACPI's ports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manager.devices.acpi_pm import PM_PORTS
from manager.devices.claims import PciAddress, PciIdentity
from manager.devices.node import DeviceNode, Place, fact
from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services

IDENTITY = PciIdentity(0x8086, 0x7113, 0x068000, 0x1AF4, 0x1100)


@dataclass(frozen=True, slots=True)
class Piix4PmNode(DeviceNode):
    """The function. It is part of the board, but has an address on the PCI bus."""

    TYPE = "piix4-pm"
    ADDRESS = PciAddress(1, 3)
    """Where firmware looks for it."""

    base: int = fact()
    """The first of ACPI's ports."""

    @classmethod
    def claim(cls, table: Any, place: Place) -> Piix4PmNode:
        """A PCI function; the ports that it tells of are the board's."""
        return cls(place.id, address=cls.ADDRESS, pci=IDENTITY, base=PM_PORTS.base)

    def build(self, board: Services) -> Device[Any]:
        """The function."""
        from manager.devices.piix4_pm.device import Piix4Pm

        device = Piix4Pm(board.header(), self.base)
        board.attach(device.function)
        return device
