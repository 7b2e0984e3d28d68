# SPDX-License-Identifier: BSD-2-Clause
"""The index and data ports of a VGA's CRT controller, on boards without a VGA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manager.devices.claims import PortRange
from manager.devices.node import DeviceNode, Place

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services


class CrtcNode(DeviceNode):
    """The two ports."""

    __slots__ = ()

    TYPE = "crtc"
    LABEL = "the text cursor's registers"

    @classmethod
    def claim(cls, table: Any, place: Place) -> CrtcNode:
        """Where a colour adapter has them."""
        return cls(*place, ports=(PortRange(0x3D4, 2),))

    def build(self, board: Services) -> Device[Any]:
        """Registers that keep what they are given."""
        from manager.devices.crtc.device import Crtc

        crtc = Crtc()
        board.claim(self.ports[0], crtc)
        return crtc
