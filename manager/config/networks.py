# SPDX-License-Identifier: BSD-2-Clause
"""A network card and what it is plugged into, as the machine file writes it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from manager.config.addresses import SocketPath, check_address, host_of, require_one_end
from manager.config.table import SlotTable, Table
from manager.config.values import FilePath, fault, text_like
from manager.devices import host
from manager.names import NAME

_MAC = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}")
_FORWARD = re.compile(r"(\S+)\s*->\s*([0-9]{1,5})(/tcp|/udp)?")
_FORWARD_HELP = 'write "HOST:PORT -> PORT", such as "127.0.0.1:2222 -> 22", or "... -> 53/udp"'
_NAME_HELP = "a-z, 0-9 and -, as in `[links.NAME]` of a lab"
GROUP_BIT = 1
"""Of the first byte of an address: it is one of several stations."""


def _mac(text: str) -> str:
    if _MAC.fullmatch(text) is None:
        help = 'six bytes in hex with colons, such as "52:54:00:12:34:56"'
        raise fault("VM025", f'"{text}" is not an Ethernet address', help)
    text = text.lower()
    if int(text[:2], 16) & GROUP_BIT:
        help = "the first byte of a card's address is even, such as 52"
        raise fault("VM025", f"{text} is the address of a group, not of a card", help)
    if text == "00:00:00:00:00:00":
        raise fault("VM025", f"{text} is no card's address", "leave out `mac` to have one made")
    return text


def _link(name: str) -> str:
    if NAME.fullmatch(name) is None:
        raise fault("VM014", f'"{name}" is not a name for a link', _NAME_HELP)
    return name


def _forward(text: str) -> str:
    match = _FORWARD.fullmatch(text)
    if match is None:
        raise fault("VM021", f'"{text}" is no forward', _FORWARD_HELP)
    listen, port = match[1], int(match[2])
    check_address(listen, _FORWARD_HELP)
    if listen.endswith(":0") or not 0 < port <= 0xFFFF:
        raise fault("VM021", f'"{text}" is no forward: ports are 1 to 65535', _FORWARD_HELP)
    if not _is_ipv4(host_of(listen)):
        help = "write an address of this host, such as 127.0.0.1"
        raise fault("VM021", f'"{text}" is no forward: it needs an IPv4 address', help)
    return f"{listen} -> {port}" + ("/udp" if match[3] == "/udp" else "")


def _is_ipv4(text: str) -> bool:
    import socket

    try:
        socket.inet_pton(socket.AF_INET, text)
    except OSError:
        return False
    return True


MacAddress = Annotated[str, AfterValidator(_mac), text_like(_MAC.pattern)]
Forward = Annotated[str, AfterValidator(_forward), text_like(_FORWARD.pattern)]
_CAPTURE: Any = Field(
    default=None,
    description="A file that gets all frames, in both directions and in pcap's format, with the "
    "guest's time.",
    examples=["lan.pcap"],
)


class LinkTable(Table):
    """A link of a lab, which joins the cards that name it."""

    type: Literal["link"] = Field(description="The kind of network.")
    name: Annotated[str, AfterValidator(_link), text_like(NAME.pattern)] = Field(
        description="The link's name.", examples=["lan"]
    )
    capture: FilePath | None = _CAPTURE

    def on_host(self) -> host.LinkEnd:
        """The same for the graph."""
        return host.LinkEnd(self.name, host.path(self.capture))


class UserTable(Table):
    """The network of the host, by passt and without root.

    The guest is 10.0.2.15, or asks DHCP; the host is its router, 10.0.2.2.
    """

    type: Literal["user"] = Field(description="The kind of network.")
    forward: Annotated[tuple[Forward, ...], Field(strict=False)] = Field(
        default=(),
        description="Ports of the host that lead into the guest: TCP, or UDP with /udp.",
        examples=[["127.0.0.1:2222 -> 22", "127.0.0.1:5353 -> 53/udp"]],
    )
    capture: FilePath | None = _CAPTURE

    def on_host(self) -> host.UserNetwork:
        """The same for the graph."""
        return host.UserNetwork(self.forward, host.path(self.capture))


class SocketTable(Table):
    """A UNIX stream socket that frames go through, each after its length: either end.

    QEMU calls it `-netdev stream`; the length is 32 bits, big-endian.
    """

    type: Literal["socket"] = Field(description="The kind of network.")
    listen: SocketPath | None = Field(
        default=None, description="The path to wait on for the other.", examples=["lan.sock"]
    )
    connect: SocketPath | None = Field(
        default=None, description="The path where the other waits.", examples=["lan.sock"]
    )
    capture: FilePath | None = _CAPTURE

    @model_validator(mode="after")
    def _one_end(self) -> SocketTable:
        require_one_end(self, "network")
        return self

    def on_host(self) -> host.SocketNetwork:
        """The same for the graph."""
        paths = (host.path(item) for item in (self.listen, self.connect, self.capture))
        return host.SocketNetwork(*paths)


NETWORKS: dict[str, type[LinkTable | UserTable | SocketTable]] = {
    "link": LinkTable,
    "user": UserTable,
    "socket": SocketTable,
}


def _named(value: object) -> object:
    """A name alone is that of a link; "user" is what it says."""
    if not isinstance(value, str):
        return value
    return {"type": "user"} if value == "user" else {"type": "link", "name": value}


Network = Annotated[
    Annotated[LinkTable | UserTable | SocketTable, Field(discriminator="type")],
    BeforeValidator(_named),
]


class NicTable(SlotTable):
    """A network card."""

    network: Network | None = Field(
        default=None,
        description="What it is plugged into: the name of a link of a lab, or a table. Without it "
        "there is a link, and no other station.",
        examples=["lan", {"type": "user", "forward": ["127.0.0.1:2222 -> 22"]}],
    )
    mac: MacAddress | None = Field(
        default=None,
        description="Its Ethernet address; made from the names of machine and slot by default.",
        examples=["52:54:00:12:34:56"],
    )
