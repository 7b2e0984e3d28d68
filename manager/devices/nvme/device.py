# SPDX-License-Identifier: BSD-2-Clause
"""An NVMe controller in a PCI slot."""

from __future__ import annotations

from manager.bus.blocks import Blocks
from manager.bus.clock import Clock
from manager.bus.pci import Msix, MsixState, PciConfigState, PciHeader, PciSlot
from manager.bus.pci.bars import Behind
from manager.bus.record import Record, nested
from manager.devices.card import PciCard
from manager.devices.nvme.controller import VECTORS, Controller
from manager.devices.nvme.registers import MSIX_BAR, REGISTERS_BAR
from manager.devices.nvme.state import ControllerState
from manager.lazy import dataclass

PENDING_AT = 0x800


@dataclass(slots=True)
class NvmeState(Record):
    """An NVMe device."""

    TYPE = "nvme"

    config: PciConfigState = nested(PciConfigState, "configuration header")
    msix: MsixState = nested(MsixState, "messages")
    controller: ControllerState = nested(ControllerState, "registers and queues")


class Nvme(PciCard[NvmeState]):
    """The controller behind its function, which carries its interrupts."""

    STATE = NvmeState

    def __init__(self, header: PciHeader, slot: PciSlot, clock: Clock, blocks: Blocks) -> None:
        msix = Msix(VECTORS, bar=MSIX_BAR, pending_at=PENDING_AT)
        vendor = header.identity.subsystem_vendor
        self.controller = Controller(slot.dma, clock, blocks, self, vendor)
        behind: dict[int, Behind] = {REGISTERS_BAR: self.controller, MSIX_BAR: msix}
        super().__init__(header, slot, behind, msix=msix)
        self.load(self.power_on())

    def signal(self, vector: int) -> bool:
        """Interrupt by message."""
        return self.function.signal(vector)

    def load(self, record: NvmeState) -> None:
        """Take over both halves before either drives the pin."""
        self.controller.state = record.controller
        super().load(record)

    def settle(self) -> None:
        """Claim the BARs, drive the pin, set the timer."""
        super().settle()
        self.controller.settle()
