# SPDX-License-Identifier: BSD-2-Clause
"""virtio-rng: random bytes from a seed, for guests that wait for entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manager.devices.claims import INTA, PciIdentity
from manager.devices.node import DeviceNode, Place, fact
from manager.devices.virtio.claims import BARS, MEMORY_BARS, VENDOR
from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services
    from manager.devices.virtio_rng.table import VirtioRngSlot

TYPE_ID = 4
IDENTITY = PciIdentity(VENDOR, 0x1005, 0x00FF00, VENDOR, TYPE_ID)
"""Transitional: revision 0, so that legacy drivers take it as well."""


@dataclass(frozen=True, slots=True)
class VirtioRngNode(DeviceNode):
    """A source of random bytes."""

    TYPE = "virtio-rng"
    SECTION = "slots"

    seed: int = fact(0)

    @classmethod
    def table(cls) -> type[VirtioRngSlot]:
        """Its keys."""
        from manager.devices.virtio_rng.table import VirtioRngSlot

        return VirtioRngSlot

    @classmethod
    def claim(cls, table: VirtioRngSlot, place: Place) -> VirtioRngNode:
        """A pin, and the BARs that every virtio device has."""
        return cls(
            *place, pci=IDENTITY, pin=INTA, bars=BARS, memory_bars=MEMORY_BARS, seed=table.seed
        )

    def build(self, board: Services) -> Device[Any]:
        """The core behind a function."""
        from manager.devices.virtio_rng.device import VirtioRng
        from manager.devices.virtio_rng.source import RandomCore

        slot = board.slot()
        device = VirtioRng(board.header(), slot, RandomCore(slot.dma, board.clock, self.seed))
        board.attach(device.function)
        return device
