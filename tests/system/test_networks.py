# SPDX-License-Identifier: BSD-2-Clause
"""Debian's drivers of network cards and the road outside: passt."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import random
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pexpect
import pytest
from support.modules import Kernel, cloud, ordinary, write_initrd
from support.needs import needs
from support.vmmgr import Vmmgr

pytestmark = pytest.mark.guest

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
[slots.6]
device = "{card}"
mac = "52:54:00:12:34:56"
network = {network}
[lpc.com1]
"""
PROMPT = "/ # $"
ADDRESS = (
    "ip addr add 10.0.2.15/24 dev eth0; ip link set eth0 up; ip route add default via 10.0.2.2"
)


CARDS: dict[str, tuple[Callable[[], Kernel], tuple[str, ...]]] = {
    "virtio-net": (cloud, ("virtio_pci", "virtio_net")),
    "ne2k": (ordinary, ("ne2k_pci",)),
}
"""A kernel that has a driver, and its modules."""


class Guest:
    """A Linux machine with a network card, its driver, and its shell."""

    def __init__(self, vmmgr: Vmmgr, folder: Path, network: str, card: str = "virtio-net") -> None:
        self.vmmgr = vmmgr
        system, drivers = CARDS[card]
        kernel = system()
        loaded = write_initrd(folder / "initrd.img", kernel, *drivers)
        self.load = "; ".join(f"insmod /mods/{name}.ko" for name in loaded)
        self.file = folder / "outside.toml"
        files = {"kernel": kernel.image, "initrd": folder / "initrd.img"}
        self.file.write_text(MACHINE.format(**files, network=network, card=card))
        self.log: pexpect.spawn[str] | None = None

    def up(self) -> None:
        self.vmmgr("up", self.file, "-d", "--wait-for", PROMPT)
        self.log = self.vmmgr.terminal("logs", "outside", "-f", timeout=30)
        self.tell(f"{self.load}; {ADDRESS}; echo is $((1+1))", "is 2")

    def tell(self, command: str, answer: str) -> str:
        """Type a command, wait for a pattern in what comes of it, and return that."""
        assert self.log is not None
        self.vmmgr("send", "outside", rf"{command}\n")
        self.log.expect(answer)
        found = self.log.match
        assert found is not None
        return str(found.group())

    def card(self) -> dict[str, object]:
        (card,) = json.loads(self.vmmgr("status", "outside", "--json").stdout)["networks"]
        found: dict[str, object] = card
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


def without_passt(folder: Path) -> str:
    """A PATH with no passt in it."""
    (folder / "bin").mkdir()
    return str(folder / "bin")


@needs("passt")
@pytest.mark.parametrize("card", CARDS)
def test_a_guest_fetches_a_file_from_a_server_on_the_hosts_loopback(
    vmmgr: Vmmgr, tmp_path: Path, card: str
) -> None:
    (tmp_path / "www").mkdir()
    content = random.Random(1).randbytes(1 << 20)
    (tmp_path / "www" / "file").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    entry = free_port()
    network = f'{{ type = "user", forward = ["127.0.0.1:{entry} -> 80"], capture = "out.pcap" }}'
    guest = Guest(vmmgr, tmp_path, network, card)

    with web_server(tmp_path / "www") as port:
        guest.up()
        fetch = f"wget -qO /f http://10.0.2.2:{port}/file; sha256sum /f"
        guest.tell(fetch, digest)

        vmmgr("down", "outside")

    capture = (tmp_path / "out.pcap").read_bytes()
    assert capture.startswith(b"\x4d\x3c\xb2\xa1")
    assert b"GET /file" in capture


def test_without_passt_the_package_is_named(vmmgr: Vmmgr, tmp_path: Path) -> None:
    guest = Guest(vmmgr, tmp_path, '"user"')
    vmmgr.env["PATH"] = without_passt(tmp_path)

    result = vmmgr("up", guest.file, "-d", status=1)

    assert "apt install passt" in result.stderr
    assert "running" not in vmmgr("ls").stdout


QUIET = """
schema = 1
name = "plugged"
[memory]
size = "1M"
[boot]
image = "guest.bin"
load = 0x7c00
entry = 0x7c00
bits = 16
[slots.0]
device = "hostbridge"
[slots.1]
device = "lpc"
[slots.6]
device = "virtio-net"
network = { type = "socket", connect = "lan.sock" }
[lpc.com1]
"""


def test_a_peer_that_comes_when_the_machine_runs_is_found(vmmgr: Vmmgr, tmp_path: Path) -> None:
    (tmp_path / "guest.bin").write_bytes(b"\xfb\xf4\xeb\xfc")  # sti; hlt; again
    file = tmp_path / "plugged.toml"
    file.write_text(QUIET)
    vmmgr("up", file, "-d")

    with socket.socket(socket.AF_UNIX) as peer:
        peer.bind(str(tmp_path / "lan.sock"))
        peer.listen()
        peer.settimeout(30)
        peer.accept()[0].close()
        peer.accept()[0].close()  # and again after it went
    vmmgr("down", "plugged")
