# SPDX-License-Identifier: BSD-2-Clause
"""NVMe: the disk that Debian's cloud kernel drives without an initrd."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manager.devices.claims import INTA, UNPLACED, DiskUse, MemoryBar, PciIdentity, unit
from manager.devices.node import DeviceNode, Place, fact
from manager.devices.nvme.registers import (
    MSIX_BAR,
    MSIX_LENGTH,
    REGISTERS_BAR,
    REGISTERS_LENGTH,
)
from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.nvme.table import NvmeSlot
    from manager.devices.services import Services

IDENTITY = PciIdentity(0x1B36, 0x0010, 0x010802, 0x1AF4, 0x1100, 2)
"""The NVMe controller that QEMU made known; drivers attach to it by class."""


@dataclass(frozen=True, slots=True)
class NvmeNode(DeviceNode):
    """An NVMe disk."""

    TYPE = "nvme"
    SECTION = "slots"

    disk: str = fact("")

    @classmethod
    def table(cls) -> type[NvmeSlot]:
        """Its keys."""
        from manager.devices.nvme.table import NvmeSlot

        return NvmeSlot

    @classmethod
    def claim(cls, table: NvmeSlot, place: Place) -> NvmeNode:
        """A disk, a pin, registers, and the MSI-X table."""
        return cls(
            *place,
            pci=IDENTITY,
            pin=INTA,
            memory_bars=(
                MemoryBar(REGISTERS_BAR, UNPLACED, REGISTERS_LENGTH, 64),
                MemoryBar(MSIX_BAR, UNPLACED, MSIX_LENGTH),
            ),
            disks=(DiskUse("disk", table.disk),),
            disk=table.disk,
        )

    def boot_paths(self) -> dict[str, str]:
        """By the ids of QEMU's first NVMe controller, which OVMF looks for; SeaBIOS does not."""
        return {self.id: f"{unit('pci8086,5845', self.address)}/namespace@1,0"}

    def build(self, board: Services) -> Device[Any]:
        """The controller, which has the disk, behind a function."""
        from manager.devices.nvme.device import Nvme

        device = Nvme(board.header(), board.slot(), board.clock, board.blocks("disk"))
        board.attach(device.function)
        return device
