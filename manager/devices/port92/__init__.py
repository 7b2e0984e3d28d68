# SPDX-License-Identifier: BSD-2-Clause
"""System control port A of a PS/2: fast A20 gate and fast reset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manager.devices.claims import PortRange
from manager.devices.node import DeviceNode, Place

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services


class Port92Node(DeviceNode):
    """The port."""

    __slots__ = ()

    TYPE = "port92"
    LABEL = "the A20 gate"

    @classmethod
    def claim(cls, table: Any, place: Place) -> Port92Node:
        """One port."""
        return cls(*place, ports=(PortRange(0x92, 1),))

    def build(self, board: Services) -> Device[Any]:
        """The port, with a control of A20 and the reset line."""
        from manager.devices.port92.device import Port92

        port = Port92(board.set_a20, board.reset_cpu, board.grants)
        board.claim(self.ports[0], port)
        return port
