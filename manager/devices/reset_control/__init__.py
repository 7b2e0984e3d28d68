# SPDX-License-Identifier: BSD-2-Clause
"""The reset control register of PIIX, at port CF9h.

The port is among those of PCI configuration, which only four-byte accesses reach there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manager.devices.claims import PortRange
from manager.devices.node import DeviceNode, Place, fact
from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services


@dataclass(frozen=True, slots=True)
class ResetControlNode(DeviceNode):
    """The register."""

    TYPE = "reset-control"
    LABEL = "the reset register"

    port: int = fact()

    @classmethod
    def claim(cls, table: Any, place: Place) -> ResetControlNode:
        """One port, which PCI configuration may have around it."""
        return cls(*place, port=0xCF9)

    @property
    def nested_ports(self) -> tuple[PortRange, ...]:
        """The port."""
        return (PortRange(self.port, 1),)

    def build(self, board: Services) -> Device[Any]:
        """The register."""
        from manager.devices.reset_control.device import ResetControl

        register = ResetControl(board.reset_cpu, board.reset)
        board.claim_nested(self.nested_ports[0], register)
        return register
