# SPDX-License-Identifier: BSD-2-Clause
"""ne2k: the RTL8029AS, an NE2000 in a PCI slot. Hobby systems and old kernels drive it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manager.devices.claims import INTA, UNPLACED, IoBar, PciIdentity
from manager.devices.ne2k.registers import PORTS, PORTS_BAR
from manager.devices.nic import NicNode
from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.config.networks import NicTable
    from manager.devices.device import Device
    from manager.devices.services import Services

IDENTITY = PciIdentity(0x10EC, 0x8029, 0x020000, 0x10EC, 0x8029)
"""Realtek's RTL8029AS."""


@dataclass(frozen=True, slots=True)
class Ne2kNode(NicNode):
    """An NE2000 compatible network card, 10 Mbit/s."""

    TYPE = "ne2k"
    SECTION = "slots"
    CLAIMS = {"pci": IDENTITY, "pin": INTA, "bars": (IoBar(PORTS_BAR, UNPLACED, PORTS),)}

    @classmethod
    def table(cls) -> type[NicTable]:
        """The keys of any network card."""
        from manager.config.networks import NicTable

        return NicTable

    def build(self, board: Services) -> Device[Any]:
        """The controller, which has the cable, behind a function."""
        from manager.devices.ne2k.device import Ne2k

        device = Ne2k(board.header(), board.slot(), board.clock, board.cable(), self.address_bytes)
        board.attach(device.function)
        return device
