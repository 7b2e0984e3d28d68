# SPDX-License-Identifier: BSD-2-Clause
"""What goes through a port's wires arrives whole: over TCP, and from machine to machine."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from pathlib import Path

from support.assembler import assemble
from support.vmmgr import Vmmgr

LOAD = 0x7C00
SIZE = int(os.environ.get("VMMGR_TEST_BYTES", str(10 << 20)))
"""Bytes through TCP; VMMGR_TEST_BYTES=104857600 for the long test."""

TALKER = f"""
        cli
        mov dx, 0x3fd
wait:   in al, dx               /* until a byte comes */
        test al, 1
        jz wait
        mov dx, 0x3f8
        in al, dx
        xor ecx, ecx
more:   imul eax, ecx, 7        /* byte n is 7 n + n / 256 */
        mov ebx, ecx
        shr ebx, 8
        add al, bl
        out dx, al
        inc ecx
        cmp ecx, {SIZE}
        jne more
        sti
rest:   hlt
        jmp rest
"""

RELAY = """
        cli
again:  mov dx, 0x3fd           /* from COM1 to COM2 ... */
        in al, dx
        test al, 1
        jz other
        mov dx, 0x3f8
        in al, dx
        mov dx, 0x2f8
        out dx, al
other:  mov dx, 0x2fd           /* ... and back */
        in al, dx
        test al, 1
        jz again
        mov dx, 0x2f8
        in al, dx
        mov dx, 0x3f8
        out dx, al
        jmp again
"""

MACHINE = """\
schema = 1
[memory]
size = "1M"
[clock]
mode = "{mode}"
[boot]
image = "guest.bin"
load = 0x7c00
entry = 0x7c00
bits = 16
[slots.0]
device = "hostbridge"
[slots.31]
device = "lpc"
[lpc.com1]
backend = {com1}
[lpc.com2]
backend = {com2}
"""


def machine(file: Path, source: str, com1: str, com2: str = '"null"', mode: str = "paced") -> Path:
    (file.parent / "guest.bin").write_bytes(assemble(source, LOAD, 16))
    file.write_text(MACHINE.format(com1=com1, com2=com2, mode=mode))
    return file


def expected(size: int) -> bytes:
    """What the talker says."""
    blocks = [bytes(7 * n + block & 0xFF for n in range(256)) for block in range(256)]
    return (b"".join(blocks) * (size // 65536 + 1))[:size]


def test_megabytes_through_tcp_arrive_as_they_were_sent(vmmgr: Vmmgr, tmp_path: Path) -> None:
    listen = '{ type = "tcp", listen = "127.0.0.1:0" }'
    vmmgr("up", machine(tmp_path / "talker.toml", TALKER, listen, mode="virtual"), "-d")
    status = json.loads(vmmgr("status", "talker", "--json").stdout)
    where = re.search(r"127\.0\.0\.1:(\d+)", json.dumps(status))
    assert where is not None

    received = bytearray()
    with socket.create_connection(("127.0.0.1", int(where[1])), timeout=30) as client:
        client.sendall(b"!")
        while len(received) < SIZE:
            received += client.recv(1 << 16)

    assert received == expected(SIZE)
    pieces = sorted((vmmgr.home / "state" / "talker").glob("lpc.com1.log*"), reverse=True)
    if SIZE <= 64 << 20:
        assert b"".join(piece.read_bytes() for piece in pieces) == received


def log_of(vmmgr: Vmmgr, name: str, wanted: str) -> str:
    """The console's log, once it has `wanted`."""
    give_up = time.monotonic() + 10
    while wanted not in (log := vmmgr("logs", name).stdout):
        assert time.monotonic() < give_up, log
    return log


def test_two_machines_talk_over_a_null_modem(vmmgr: Vmmgr, tmp_path: Path) -> None:
    cable = f'{{ type = "pipe", path = "{vmmgr.home}/cable" }}'
    left, right = (
        machine(tmp_path / f"{name}.toml", RELAY, '"null"', cable) for name in ("left", "right")
    )
    vmmgr("up", left, right, "-d")

    vmmgr("send", "left", "to the right\n")
    vmmgr("send", "right", "to the left\n")
    log_of(vmmgr, "right", "to the right")
    log_of(vmmgr, "left", "to the left")

    vmmgr("suspend", "left")
    vmmgr("send", "right", "kept for you\n")
    vmmgr("resume", "left", "-d")
    log_of(vmmgr, "left", "kept for you")
    vmmgr("send", "left", "thanks\n")
    log_of(vmmgr, "right", "thanks")
