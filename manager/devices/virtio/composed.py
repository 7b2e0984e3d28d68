# SPDX-License-Identifier: BSD-2-Clause
"""A virtio device in a PCI slot: its core behind a transitional function, in one record."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, TypeVar

from manager.bus.pci import MsixState, PciConfigState, PciHeader, PciSlot
from manager.bus.record import Record, nested
from manager.devices.device import Device
from manager.devices.virtio.device import VirtioCore, VirtioState
from manager.devices.virtio.pci import VirtioFunction
from manager.devices.virtio.queue import QueueState
from manager.devices.virtio.window import WindowState
from manager.lazy import dataclass

S = TypeVar("S", bound=Record)
C = TypeVar("C", bound=VirtioCore)


@dataclass(slots=True)
class VirtioPciState(Record):
    """The PCI function of a virtio device."""

    TYPE: ClassVar[str] = "virtio-pci"

    config: PciConfigState = nested(PciConfigState, "configuration header")
    msix: MsixState = nested(MsixState, "messages")
    window: WindowState = nested(WindowState, "the window to BARs in configuration space")


class VirtioDevice(Device[S], ABC, Generic[S, C]):
    """`core` in a slot. Its record nests a VirtioPciState as `pci`, and has `virtio` and `queues`.

    Subclasses say in `adopt` which parts of the record are the core's.
    """

    def __init__(self, header: PciHeader, slot: PciSlot, core: C) -> None:
        self.core = core
        self.function = VirtioFunction(header, slot, core)
        self.load(self.power_on())

    def power_on(self) -> S:
        """As the header says that firmware left it, and no driver there yet."""
        record: Any = super().power_on()
        assert self.function.msix is not None
        record.pci = VirtioPciState(
            config=self.function.power_on(), msix=self.function.msix.power_on()
        )
        record.virtio = VirtioState()
        record.queues = [QueueState(size=size) for size in self.core.QUEUE_SIZES]
        found: S = record
        return found

    def load(self, record: S) -> None:
        """Take over all parts before any drives its line."""
        parts: Any = record
        assert self.function.msix is not None
        self.function.state = parts.pci.config
        self.function.msix.load(parts.pci.msix)
        self.function.window.state = parts.pci.window
        self.core.adopt(parts.virtio, parts.queues)
        self.adopt(record)
        super().load(record)

    @abstractmethod
    def adopt(self, record: S) -> None:
        """Give the core its own parts of the record."""

    def settle(self) -> None:
        """Claim the BARs, drive the pin, set the timers."""
        self.function.settle()
        self.function.drive_pin()
        self.core.settle()
