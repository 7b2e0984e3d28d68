# SPDX-License-Identifier: BSD-2-Clause
"""The flash chip in which UEFI firmware keeps its variables, right below the chip with its code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manager.devices.claims import VARIABLES_DISK, DiskUse
from manager.devices.node import DeviceNode, Place

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services


class FlashNode(DeviceNode):
    """The chip. How large it is, and so where it begins, says the file that it first came from."""

    __slots__ = ()

    TYPE = "flash"
    LABEL = "the firmware's flash chip"

    @classmethod
    def claim(cls, table: Any, place: Place) -> FlashNode:
        """Its disk."""
        return cls(*place, disks=(DiskUse("variables", VARIABLES_DISK),))

    def build(self, board: Services) -> Device[Any]:
        """The chip below the firmware's code."""
        from manager.devices.flash.device import Flash

        return Flash(board.blocks("variables"), board.below_firmware)
