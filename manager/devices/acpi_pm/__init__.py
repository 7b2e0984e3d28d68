# SPDX-License-Identifier: BSD-2-Clause
"""ACPI's fixed hardware: power management events, soft-off, the power management timer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manager.devices.claims import PortRange
from manager.devices.node import DeviceNode, Place

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services

PM_PORTS = PortRange(0x600, 16)
"""PM1 event and control blocks, and the timer."""
SCI_IRQ = 9
"""ACPI's interrupt."""


class AcpiPmNode(DeviceNode):
    """The registers."""

    __slots__ = ()

    TYPE = "acpi-pm"
    LABEL = "ACPI's power management"

    @classmethod
    def claim(cls, table: Any, place: Place) -> AcpiPmNode:
        """The ports and the SCI."""
        return cls(*place, ports=(PM_PORTS,), irq=SCI_IRQ)

    def build(self, board: Services) -> Device[Any]:
        """The registers, with the power in their hands."""
        from manager.devices.acpi_pm.device import AcpiPm

        power = AcpiPm(board.clock, board.irq(), board.power_off)
        board.claim(self.ports[0], power)
        return power
