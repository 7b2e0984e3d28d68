# SPDX-License-Identifier: BSD-2-Clause
"""e1000: Intel's 82540EM, a gigabit card that most systems of the last twenty years drive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manager.devices.claims import INTA, UNPLACED, IoBar, MemoryBar, PciIdentity
from manager.devices.e1000.registers import PORTS, PORTS_BAR, REGISTERS_BAR, REGISTERS_LENGTH
from manager.devices.nic import NicNode
from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.config.networks import NicTable
    from manager.devices.device import Device
    from manager.devices.services import Services

IDENTITY = PciIdentity(0x8086, 0x100E, 0x020000, 0x8086, 0x001E, 2)
"""Intel's PRO/1000 MT desktop adapter."""


@dataclass(frozen=True, slots=True)
class E1000Node(NicNode):
    """An Intel 82540EM network card."""

    TYPE = "e1000"
    SECTION = "slots"
    CLAIMS = {
        "pci": IDENTITY,
        "pin": INTA,
        "bars": (IoBar(PORTS_BAR, UNPLACED, PORTS),),
        "memory_bars": (MemoryBar(REGISTERS_BAR, UNPLACED, REGISTERS_LENGTH),),
    }

    @classmethod
    def table(cls) -> type[NicTable]:
        """The keys of any network card."""
        from manager.config.networks import NicTable

        return NicTable

    def build(self, board: Services) -> Device[Any]:
        """The controller, which has the cable, behind a function."""
        from manager.devices.e1000.device import E1000

        address = self.address_bytes
        device = E1000(board.header(), board.slot(), board.clock, board.cable(), address)
        board.attach(device.function)
        return device
