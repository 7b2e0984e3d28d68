# SPDX-License-Identifier: BSD-2-Clause
"""The LPC bridge, an Intel PIIX3: the ISA devices behind it, and the router of PCI interrupts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from manager.devices.claims import PciIdentity
from manager.devices.node import LPC_BUS, DeviceNode, Place, fact
from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services

IDENTITY = PciIdentity(0x8086, 0x7000, 0x060100)
ROUTING = (10, 11, 5, 10)
"""The interrupts of PIRQ A to D: none that a COM port or the board uses; A and D share one."""
ROUTED_BY_FIRMWARE = (10, 10, 11, 11)
"""Those that SeaBIOS gives them."""


@dataclass(frozen=True, slots=True)
class LpcNode(DeviceNode):
    """The bridge that `[lpc.*]` devices and the PIRQ router sit in."""

    TYPE = "lpc"
    SECTION = "slots"
    BUS = LPC_BUS

    pirq_a: int = fact()
    """The ISA interrupt that PIRQ A is routed to at power-on, or will be by firmware."""
    pirq_b: int = fact()
    pirq_c: int = fact()
    pirq_d: int = fact()

    @classmethod
    def claim(cls, table: Any, place: Place) -> LpcNode:
        """A PCI function; its devices claim what is theirs."""
        a, b, c, d = ROUTING
        return cls(*place, pci=IDENTITY, pirq_a=a, pirq_b=b, pirq_c=c, pirq_d=d)

    def known_to_firmware(self) -> LpcNode:
        """Not routed before firmware does it."""
        a, b, c, d = ROUTED_BY_FIRMWARE
        return replace(self, pirq_a=a, pirq_b=b, pirq_c=c, pirq_d=d)

    def keys(self) -> dict[str, Any]:
        """None: the routing is the board's."""
        return {}

    @property
    def pirq_routing(self) -> tuple[int, ...]:
        """PIRQ A to D."""
        return self.pirq_a, self.pirq_b, self.pirq_c, self.pirq_d

    def build(self, board: Services) -> Device[Any]:
        """The bridge; from now on, pins are wired to its PIRQs."""
        from manager.devices.lpc.device import PIRQ_DISABLED, PIRQS, Lpc

        routed = () if board.has_firmware else self.pirq_routing
        routing = (*routed, *[PIRQ_DISABLED] * (PIRQS - len(routed)))
        bridge = Lpc(board.header(), board.isa_line, routing)
        board.attach(bridge.function)
        board.route_pirqs(bridge.pirq)
        return bridge
