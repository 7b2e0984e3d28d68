# SPDX-License-Identifier: BSD-2-Clause
"""An NVMe controller in a PCI slot."""

from __future__ import annotations

from dataclasses import dataclass

from manager.bus.blocks import Blocks
from manager.bus.clock import Clock
from manager.bus.pci import (
    Msix,
    MsixState,
    PciConfigState,
    PciFunction,
    PciHeader,
    PciSlot,
)
from manager.bus.pci.bars import Behind
from manager.bus.record import Record, nested
from manager.devices.device import Device
from manager.devices.nvme.controller import VECTORS, Controller
from manager.devices.nvme.registers import MSIX_BAR, REGISTERS_BAR
from manager.devices.nvme.state import ControllerState

PENDING_AT = 0x800


@dataclass(slots=True)
class NvmeState(Record):
    """An NVMe device."""

    TYPE = "nvme"

    config: PciConfigState = nested(PciConfigState, "configuration header")
    msix: MsixState = nested(MsixState, "messages")
    controller: ControllerState = nested(ControllerState, "registers and queues")


class Nvme(Device[NvmeState]):
    """The controller behind its function, which carries its interrupts."""

    STATE = NvmeState

    def __init__(self, header: PciHeader, slot: PciSlot, clock: Clock, blocks: Blocks) -> None:
        msix = Msix(VECTORS, bar=MSIX_BAR, pending_at=PENDING_AT)
        vendor = header.identity.subsystem_vendor
        self.controller = Controller(slot.dma, clock, blocks, self, vendor)
        self._msix = msix
        behind: dict[int, Behind] = {REGISTERS_BAR: self.controller, MSIX_BAR: msix}
        self.function = PciFunction(header, slot, behind, msix=msix)
        self.load(self.power_on())

    def signal(self, vector: int) -> bool:
        """Interrupt by message."""
        return self.function.signal(vector)

    def set(self, level: bool) -> None:
        """Drive the pin."""
        self.function.set(level)

    def power_on(self) -> NvmeState:
        """As the header says that firmware left it; the controller is not enabled."""
        return NvmeState(config=self.function.power_on(), msix=self._msix.power_on())

    def load(self, record: NvmeState) -> None:
        """Take over both halves before either drives the pin."""
        self.function.state = record.config
        self._msix.load(record.msix)
        self.controller.state = record.controller
        super().load(record)

    def settle(self) -> None:
        """Claim the BARs, drive the pin, set the timer."""
        self.function.settle()
        self.controller.settle()
