# SPDX-License-Identifier: BSD-2-Clause
"""A device that is one PCI function: what cards in slots do in the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from manager.bus.pci import Capability, Msi, Msix, PciFunction, PciHeader, PciSlot
from manager.bus.pci.bars import Behind
from manager.bus.record import Record
from manager.devices.device import Device

S = TypeVar("S", bound=Record)


class PciCard(Device[S]):
    """`behind` has what answers at each BAR of the header, by index.

    The record nests `config: PciConfigState`, and `msi: MsiState` or `msix: MsixState` if the card
    has messages. A subclass makes its own parts, calls this, and then `self.load(self.power_on())`.
    """

    def __init__(
        self,
        header: PciHeader,
        slot: PciSlot,
        behind: Mapping[int, Behind],
        *,
        capabilities: Sequence[Capability] = (),
        msi: Msi | None = None,
        msix: Msix | None = None,
    ) -> None:
        self.dma = slot.dma
        """The way to RAM, while the guest lets the card be bus master."""
        self.function = PciFunction(
            header, slot, behind, capabilities=capabilities, msi=msi, msix=msix
        )
        """Configuration space and interrupt: `set(level)` of the pin, `signal(vector)`."""

    def set(self, level: bool) -> None:
        """Drive the pin: the card is the interrupt line of what it is made of."""
        self.function.set(level)

    def power_on(self) -> S:
        """BARs as the header says that firmware left them; the rest as new."""
        record: Any = super().power_on()
        record.config = self.function.power_on()
        if self.function.msix is not None:
            record.msix = self.function.msix.power_on()
        made: S = record
        return made

    def load(self, record: S) -> None:
        """Take over all parts before any drives its line."""
        parts: Any = record
        self.function.state = parts.config
        if self.function.msi is not None:
            self.function.msi.state = parts.msi
        if self.function.msix is not None:
            self.function.msix.load(parts.msix)
        super().load(record)

    def settle(self) -> None:
        """Claim the BARs, drive the pin."""
        self.function.settle()
