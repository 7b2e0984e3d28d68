# SPDX-License-Identifier: BSD-2-Clause
"""A Linux guest with a network card, and what it meets on the host."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pexpect

from support.modules import Kernel, cloud, ordinary, write_initrd
from support.vmmgr import Vmmgr

MACHINE = """
schema = 1
name = "outside"
[memory]
size = "128M"
[boot]
kernel = "{kernel}"
initrd = "{initrd}"
cmdline = "console=ttyS0 quiet"
[slots.0]
device = "hostbridge"
[slots.1]
device = "lpc"
{cards}
[lpc.com1]
"""
CARD = """
[slots.{slot}]
device = "{card}"
mac = "{mac}"
network = {network}
"""
CARDS: dict[str, tuple[Callable[[], Kernel], tuple[str, ...]]] = {
    "virtio-net": (cloud, ("virtio_pci", "virtio_net")),
    "e1000": (ordinary, ("e1000",)),
    "ne2k": (ordinary, ("ne2k_pci",)),
}
"""A kernel that has a driver, and its modules."""
MACS = ("52:54:00:12:34:56", "52:54:00:12:34:57")
PROMPT = "/ # $"
ADDRESS = (
    "ip addr add 10.0.2.15/24 dev eth0; ip link set eth0 up; ip route add default via 10.0.2.2"
)


class Guest:
    """A Linux machine with network cards from slot 6 on, their driver, and its shell."""

    def __init__(
        self, vmmgr: Vmmgr, folder: Path, *networks: str, card: str = "virtio-net"
    ) -> None:
        self.vmmgr = vmmgr
        system, drivers = CARDS[card]
        kernel = system()
        loaded = write_initrd(folder / "initrd.img", kernel, *drivers)
        self.load = "; ".join(f"insmod /mods/{name}.ko" for name in loaded)
        self.file = folder / "outside.toml"
        cards = "".join(
            CARD.format(card=card, slot=slot, mac=mac, network=network)
            for slot, mac, network in zip((6, 7), MACS, networks, strict=False)
        )
        files = {"kernel": kernel.image, "initrd": folder / "initrd.img"}
        self.file.write_text(MACHINE.format(**files, cards=cards))
        self.log: pexpect.spawn[str] | None = None

    def up(self) -> None:
        self.vmmgr("up", self.file, "-d", "--wait-for", PROMPT)
        self.listen()
        self.tell(f"{self.load}; {ADDRESS}; echo is $((1+1))", "is 2")

    def listen(self) -> None:
        """Hear what it prints: of the process that runs it now."""
        self.log = self.vmmgr.terminal("logs", "outside", "-f", timeout=30)

    def tell(self, command: str, answer: str) -> str:
        """Type a command, wait for a pattern in what comes of it, and return that."""
        assert self.log is not None
        self.vmmgr("send", "outside", rf"{command}\n")
        self.log.expect(answer)
        found = self.log.match
        assert found is not None
        return str(found.group())

    def cards(self) -> list[dict[str, object]]:
        status = json.loads(self.vmmgr("status", "outside", "--json").stdout)
        found: list[dict[str, object]] = status["networks"]
        return found


@contextlib.contextmanager
def web_server(folder: Path) -> Iterator[int]:
    """The port of a web server on the host's loopback."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        try:
            yield web.server_port
        finally:
            web.shutdown()
            thread.join()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


ARP = bytes.fromhex("0806 0001 0800 06 04")
"""An Ethernet type and the beginning of a packet about IPv4 addresses (RFC 826)."""
QUESTION, ANSWER = b"\0\1", b"\0\2"


def answer_arp(connected: socket.socket, address: bytes, mac: bytes) -> bytes:
    """Answer the first question for that address on a socket of frames.

    Returns who asked, MAC and IPv4 address; nothing when the connection ended before.
    """
    with connected.makefile("rb") as frames:
        while length := frames.read(4):
            frame = frames.read(int.from_bytes(length, "big"))
            if frame[12:22] == ARP + QUESTION and frame[38:42] == address:
                answer = frame[6:12] + mac + ARP + ANSWER + mac + address + frame[22:32]
                connected.sendall(len(answer).to_bytes(4, "big") + answer)
                return frame[22:32]
    return b""
