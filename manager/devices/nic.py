# SPDX-License-Identifier: BSD-2-Clause
"""What the declarations of all network cards have in common: an address and a network.

A kind of card is a subclass of NicNode in a folder of its own; nic_port.py is for its device.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Self

from manager.devices.host import LinkEnd, SocketNetwork, UserNetwork
from manager.devices.node import DeviceNode, Place, fact, on_host
from manager.lazy import dataclass

MAKER = bytes.fromhex("525400")
"""The first half of an address that is made up: locally administered, of one station."""


def address_for(machine: str, id: str) -> str:
    """The address of a card that has none in the machine file: the same for the same names.

    >>> address_for("client", "slots.6")
    '52:54:00:f4:d2:65'
    """
    import hashlib  # takes as long to import as ten of our modules

    digest = hashlib.sha256(f"{machine}/{id}".encode()).digest()
    return (MAKER + digest[:3]).hex(":")


@dataclass(frozen=True, slots=True)
class NicNode(DeviceNode):
    """A network card."""

    CLAIMS: ClassVar[dict[str, Any]] = {}
    """What a card of the kind claims, by field."""

    mac: str = fact("")
    """Its address, such as 52:54:00:12:34:56."""
    network: LinkEnd | UserNetwork | SocketNetwork | None = on_host()

    @classmethod
    def claim(cls, table: Any, place: Place) -> Self:
        """What the kind claims, and what a manager.config.networks.NicTable says."""
        network = table.network.on_host() if table.network is not None else None
        return replace(cls(*place, **cls.CLAIMS), mac=table.mac or "", network=network)

    def in_machine(self, name: str) -> Self:
        """An address of its own."""
        return self if self.mac else replace(self, mac=address_for(name, self.id))

    @property
    def address_bytes(self) -> bytes:
        """Its address as it is on the wire."""
        return bytes.fromhex(self.mac.replace(":", ""))
