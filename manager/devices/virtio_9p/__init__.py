# SPDX-License-Identifier: BSD-2-Clause
"""virtio-9p: files of the host for the guest to mount, as they were when the machine booted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manager.devices.claims import INTA, SHARES, DiskUse, PciIdentity
from manager.devices.node import DeviceNode, Place, fact
from manager.devices.virtio.claims import BARS, MEMORY_BARS, VENDOR
from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services
    from manager.devices.virtio_9p.table import Virtio9pSlot

TYPE_ID = 9
IDENTITY = PciIdentity(VENDOR, 0x1009, 0x00FF00, VENDOR, TYPE_ID)
"""Transitional: revision 0, so that legacy drivers take it as well."""


@dataclass(frozen=True, slots=True)
class Virtio9pNode(DeviceNode):
    """A server of files."""

    TYPE = "virtio-9p"
    SECTION = "slots"

    tag: str = fact("")
    """What the guest mounts it by."""

    @classmethod
    def table(cls) -> type[Virtio9pSlot]:
        """Its keys."""
        from manager.devices.virtio_9p.table import Virtio9pSlot

        return Virtio9pSlot

    @classmethod
    def claim(cls, table: Virtio9pSlot, place: Place) -> Virtio9pNode:
        """A share, a pin, and the BARs that every virtio device has."""
        return cls(
            *place,
            pci=IDENTITY,
            pin=INTA,
            bars=BARS,
            memory_bars=MEMORY_BARS,
            disks=(DiskUse("share", SHARES + table.share),),
            tag=table.tag if table.tag is not None else table.share,
        )

    def keys(self) -> dict[str, Any]:
        """The share without what its disk's name begins with."""
        (use,) = self.disks
        return {"share": use.name.removeprefix(SHARES), "tag": self.tag}

    def build(self, board: Services) -> Device[Any]:
        """The core, which has the share, behind a function."""
        from manager.devices.virtio_9p.device import Virtio9p
        from manager.devices.virtio_9p.server import FilesCore

        slot = board.slot()
        core = FilesCore(slot.dma, board.clock, board.blocks("share"), self.tag, board.epoch)
        board.share_end().connect(core.files)
        device = Virtio9p(board.header(), slot, core)
        board.attach(device.function)
        return device
