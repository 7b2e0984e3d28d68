# SPDX-License-Identifier: BSD-2-Clause
"""virtio-net: the network card of every guest that knows virtio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manager.devices.claims import INTA, PciIdentity
from manager.devices.nic import NicNode
from manager.devices.virtio.claims import BARS, MEMORY_BARS, VENDOR
from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.config.networks import NicTable
    from manager.devices.device import Device
    from manager.devices.services import Services

TYPE_ID = 1
IDENTITY = PciIdentity(VENDOR, 0x1000, 0x020000, VENDOR, TYPE_ID)
"""Transitional: revision 0, so that legacy drivers take it as well."""


@dataclass(frozen=True, slots=True)
class VirtioNetNode(NicNode):
    """A virtio network card."""

    TYPE = "virtio-net"
    SECTION = "slots"
    CLAIMS = {"pci": IDENTITY, "pin": INTA, "bars": BARS, "memory_bars": MEMORY_BARS}

    @classmethod
    def table(cls) -> type[NicTable]:
        """The keys of any network card."""
        from manager.config.networks import NicTable

        return NicTable

    def build(self, board: Services) -> Device[Any]:
        """The core, which has the cable, behind a function."""
        from manager.devices.virtio_net.device import VirtioNet
        from manager.devices.virtio_net.frames import NetCore

        slot = board.slot()
        core = NetCore(slot.dma, board.clock, board.cable(), self.address_bytes)
        device = VirtioNet(board.header(), slot, core)
        board.attach(device.function)
        return device
