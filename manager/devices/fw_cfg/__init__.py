# SPDX-License-Identifier: BSD-2-Clause
"""The firmware configuration device, on boards that start with firmware."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manager.devices.claims import PortRange
from manager.devices.node import DeviceNode, Place

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services


class FwCfgNode(DeviceNode):
    """The device."""

    __slots__ = ()

    TYPE = "fw-cfg"
    LABEL = "the firmware's configuration device"

    @classmethod
    def claim(cls, table: Any, place: Place) -> FwCfgNode:
        """Selector, data and DMA ports, where QEMU's specification puts them."""
        return cls(*place, ports=(PortRange(0x510, 12),))

    def build(self, board: Services) -> Device[Any]:
        """The device, telling what the machine's firmware should know."""
        from manager.devices.fw_cfg.device import FwCfg

        device = FwCfg(board.firmware_items, board.dma())
        board.claim(self.ports[0], device)
        return device
