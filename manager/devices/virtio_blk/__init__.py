# SPDX-License-Identifier: BSD-2-Clause
"""virtio-blk: the disk that all firmware and most guests have a driver for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manager.devices.claims import INTA, DiskUse, PciIdentity, unit
from manager.devices.node import DeviceNode, Place, fact
from manager.devices.virtio.claims import BARS, MEMORY_BARS, VENDOR
from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services
    from manager.devices.virtio_blk.table import VirtioBlkSlot

TYPE_ID = 2
IDENTITY = PciIdentity(VENDOR, 0x1001, 0x010000, VENDOR, TYPE_ID)
"""Transitional: revision 0, so that legacy drivers take it as well."""


@dataclass(frozen=True, slots=True)
class VirtioBlkNode(DeviceNode):
    """A virtio disk."""

    TYPE = "virtio-blk"
    SECTION = "slots"

    disk: str = fact("")

    @classmethod
    def table(cls) -> type[VirtioBlkSlot]:
        """Its keys."""
        from manager.devices.virtio_blk.table import VirtioBlkSlot

        return VirtioBlkSlot

    @classmethod
    def claim(cls, table: VirtioBlkSlot, place: Place) -> VirtioBlkNode:
        """A disk, a pin, and the BARs that every virtio device has."""
        return cls(
            *place,
            pci=IDENTITY,
            pin=INTA,
            bars=BARS,
            memory_bars=MEMORY_BARS,
            disks=(DiskUse("disk", table.disk),),
            disk=table.disk,
        )

    def boot_paths(self) -> dict[str, str]:
        """A SCSI disk, as QEMU calls it."""
        return {self.id: f"{unit('scsi', self.address)}/disk@0,0"}

    def build(self, board: Services) -> Device[Any]:
        """The core, which has the disk, behind a function."""
        from manager.devices.virtio_blk.device import VirtioBlk
        from manager.devices.virtio_blk.requests import BlockCore

        slot = board.slot()
        core = BlockCore(slot.dma, board.clock, board.blocks("disk"))
        device = VirtioBlk(board.header(), slot, core)
        board.attach(device.function)
        return device
