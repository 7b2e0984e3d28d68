# SPDX-License-Identifier: BSD-2-Clause
"""Debian's drivers of network cards and passt: out, in, over a suspend, and again without it.

`VMMGR_THOROUGH=1` makes 100 connections instead of 10, replays sessions of the other cards, and has
iPXE try each card, a minute long.
"""

from __future__ import annotations

import hashlib
import os
import random
import socket
import urllib.request
from pathlib import Path

import pytest
from support.debian import package
from support.needs import needs
from support.networked import CARDS, MACS, PROMPT, Guest, answer_arp, free_port, web_server
from support.vmmgr import Vmmgr

pytestmark = [pytest.mark.guest, needs("passt")]

THOROUGH = os.environ.get("VMMGR_THOROUGH") == "1"
CONNECTIONS = 100 if THOROUGH else 10
FIRMWARE = """
schema = 1
name = "ipxe"
[memory]
size = "64M"
[boot]
firmware = "{firmware}"
kernel = "{kernel}"
[slots.0]
device = "hostbridge"
[slots.1]
device = "lpc"
[slots.6]
device = "{card}"
network = "user"
[lpc.com1]
backend = "stdio"
"""


def fetch(port: int, path: str) -> bytes:
    """What the guest's web server answers through the forward."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=30) as answer:
        body: bytes = answer.read()
        return body


def ask_over(station: socket.socket, guest: Guest) -> None:
    """The guest connects to a socket and asks there for an address, which is answered."""
    assert guest.log is not None
    guest.vmmgr("send", "outside", r"arping -f -w 30 -I eth1 10.9.0.1\n")
    station.settimeout(30)
    asked = b""
    while not asked:  # a connection from before a suspend may be the first in the queue
        connected, _ = station.accept()
        with connected:
            connected.settimeout(30)
            mac = bytes.fromhex("525400090001")
            asked = answer_arp(connected, socket.inet_aton("10.9.0.1"), mac)
    guest.log.expect(r"reply from 10\.9\.0\.1 \[52:54:00:09:00:01\]")
    assert asked == bytes.fromhex(MACS[1].replace(":", "")) + socket.inet_aton("10.9.0.2")


@pytest.mark.parametrize("card", ["e1000", "ne2k"])
def test_another_card_does_as_well(vmmgr: Vmmgr, tmp_path: Path, card: str) -> None:
    content = random.Random(1).randbytes(1 << 18)
    (tmp_path / "file").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    entry = free_port()
    network = f'{{ type = "user", forward = ["127.0.0.1:{entry} -> 80"] }}'
    guest = Guest(vmmgr, tmp_path, network, card=card)

    with web_server(tmp_path) as port:
        guest.up()
        get = f"wget -qO /f http://10.0.2.2:{port}/file; sha256sum /f"
        guest.tell(get, digest)
        guest.tell("httpd -h /; echo serves $((1+1))", "serves 2")
        assert fetch(entry, "f") == content

        guest.tell("rm /f; echo gone $((1+1))", "gone 2")
        vmmgr("send", "outside", rf"({get}) >/dev/null 2>&1 &\n")
        vmmgr("suspend", "outside")
        vmmgr("resume", "outside", "-d")
        guest.listen()
        guest.tell("kill %1; sleep 2.5; echo back $((1+1))", "back 2")  # the link is back
        guest.tell(get, digest)
    vmmgr("down", "outside")


def test_out_and_in_and_the_same_again_without_passt(vmmgr: Vmmgr, tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    content = random.Random(1).randbytes(1 << 20)
    (tmp_path / "www" / "file").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    entry, datagrams = free_port(), free_port()
    forward = f'["127.0.0.1:{entry} -> 80", "127.0.0.1:{datagrams} -> 53/udp"]'
    guest = Guest(
        vmmgr, tmp_path, f'{{ type = "user", forward = {forward}, capture = "out.pcap" }}'
    )

    with web_server(tmp_path / "www") as port:
        guest.up()
        guest.tell(f"wget -qO /f http://10.0.2.2:{port}/file; sha256sum /f", digest)
        guest.tell("httpd -h /; echo serves $((1+1))", "serves 2")
        with socket.socket(type=socket.SOCK_DGRAM) as sender:
            sender.sendto(b"by datagram", ("127.0.0.1", datagrams))
        for _ in range(CONNECTIONS):
            assert fetch(entry, "init").startswith(b"#!")
        assert fetch(entry, "f") == content
    vmmgr("down", "outside")

    capture = (tmp_path / "out.pcap").read_bytes()
    assert capture.startswith(b"\x4d\x3c\xb2\xa1")
    assert b"GET /file" in capture
    assert b"by datagram" in capture
    (tmp_path / "bin").mkdir()
    vmmgr.env["PATH"] = str(tmp_path / "bin")
    again = vmmgr("replay", "outside", "--capture", tmp_path / "again.pcap")
    assert "vmmgr: the same" in again.stderr
    assert (tmp_path / "again.pcap").read_bytes() == capture


def test_a_suspend_cuts_what_is_open_and_a_new_start_is_made(vmmgr: Vmmgr, tmp_path: Path) -> None:
    wire = '{ type = "socket", connect = "wire.sock" }'
    guest = Guest(vmmgr, tmp_path, '"user"', wire)
    with (
        web_server(tmp_path) as port,
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as station,
    ):
        station.bind(str(tmp_path / "wire.sock"))
        station.listen()
        guest.up()
        guest.tell("ip addr add 10.9.0.2/24 dev eth1; ip link set eth1 up", PROMPT)
        ask_over(station, guest)
        guest.tell("C=/sys/class/net/eth0; D=$(cat $C/carrier_down_count)", PROMPT)
        guest.tell(f"nc 10.0.2.2 {server.getsockname()[1]} & echo calls $((1+1))", "calls 2")
        server.settimeout(30)
        connected, _ = server.accept()
        connected.sendall(b"greeting\n")
        guest.tell("", "greeting")

        vmmgr("suspend", "outside")
        connected.settimeout(30)
        assert connected.recv(1) == b"", "passt has not closed the host's end"
        connected.close()
        vmmgr("resume", "outside", "-d")

        guest.listen()
        guest.tell("until [ $(cat $C/carrier_down_count) != $D ]; do sleep 1; done", PROMPT)
        guest.tell("until [ $(cat $C/carrier) = 1 ]; do sleep 1; done; echo up $((1+1))", "up 2")
        assert all("cut" in str(card["note"]) for card in guest.cards())
        guest.tell(f"wget -qO - http://10.0.2.2:{port}/outside.toml | grep -c schema", "1")
        ask_over(station, guest)
    vmmgr("down", "outside")


if THOROUGH:

    @pytest.mark.parametrize("card", ["e1000", "ne2k"])
    def test_another_card_does_the_same_again_without_passt(
        vmmgr: Vmmgr, tmp_path: Path, card: str
    ) -> None:
        (tmp_path / "file").write_bytes(random.Random(2).randbytes(1 << 17))
        guest = Guest(vmmgr, tmp_path, '{ type = "user", capture = "out.pcap" }', card=card)
        with web_server(tmp_path) as port:
            guest.up()
            guest.tell(f"wget -qO /f http://10.0.2.2:{port}/file; wc -c </f", str(1 << 17))
        vmmgr("down", "outside")
        (tmp_path / "bin").mkdir()
        vmmgr.env["PATH"] = str(tmp_path / "bin")

        again = vmmgr("replay", "outside", "--capture", tmp_path / "again.pcap")

        assert "vmmgr: the same" in again.stderr
        assert (tmp_path / "again.pcap").read_bytes() == (tmp_path / "out.pcap").read_bytes()

    @pytest.mark.parametrize("card", CARDS)
    def test_ipxe_gets_its_address_by_dhcp(vmmgr: Vmmgr, tmp_path: Path, card: str) -> None:
        file = tmp_path / "ipxe.toml"
        firmware = package("seabios") / "usr/share/seabios/bios-256k.bin"
        kernel = package("ipxe", only="boot") / "boot" / "ipxe.lkrn"
        file.write_text(FIRMWARE.format(firmware=firmware, kernel=kernel, card=card))
        script = ["Press Ctrl-B", r"\x02"]
        for line in (r"ifconf -c dhcp\r", r"show ip\r"):  # a BIOS keeps 15 keys
            script += ["iPXE> $", line]
        script += ["iPXE> $"]
        words = [
            word
            for number, step in enumerate(script)
            for word in ("--send" if number % 2 else "--until", step)
        ]

        said = vmmgr("run", file, *words, "--max-time", "60s", timeout=300).stdout

        assert "net0.dhcp/ip:ipv4 = 10.0.2.15" in said
