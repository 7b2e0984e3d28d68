# SPDX-License-Identifier: BSD-2-Clause
"""The port that firmware writes its log to, on boards that start with firmware."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manager.devices.claims import PortRange
from manager.devices.node import DeviceNode, Place

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services


class DebugPortNode(DeviceNode):
    """The port."""

    __slots__ = ()

    TYPE = "debug-port"
    LABEL = "the firmware's debug port"

    @classmethod
    def claim(cls, table: Any, place: Place) -> DebugPortNode:
        """One port, where SeaBIOS and OVMF look for it."""
        return cls(*place, ports=(PortRange(0x402, 1),))

    def build(self, board: Services) -> Device[Any]:
        """The port, as a serial port of the machine."""
        from manager.devices.debug_port.device import DebugPort

        device = DebugPort(board.channel(), board.grants)
        board.claim(self.ports[0], device)
        return device
