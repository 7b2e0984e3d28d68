# SPDX-License-Identifier: BSD-2-Clause
"""A lab of two small guests, one of which sends numbered frames to the other on a lossy link."""

from __future__ import annotations

from pathlib import Path

from support.assembler import assemble
from support.ne2k_guests import STATION
from support.small_lab import LOAD

FRAMES = 200
TALKS = """
        mov di, 0x7004          /* frames to all, each with its number */
        mov al, 0xff
        mov cx, 6
        rep stosb
        mov word ptr [0x7010], 0xb588
        mov ebp, {FRAMES}
again:  inc dword ptr [0x7012]
        mov bx, 0xc020
        mov si, offset before_sending
        call setup
        mov si, 0x7004
        mov dx, 0xc030
        mov cx, 60
        rep outsb
        mov si, offset send
        call setup
        mov ecx, 500000
rest:   dec ecx
        jnz rest
        dec ebp
        {BETWEEN}
        jnz again
        mov dx, 0x3f8
        mov al, '!'
        out dx, al
"""
HEARS = """
        mov al, [0x7012]        /* the frame's number */
        mov dx, 0x3f8
        out dx, al
        jmp take
"""
MACHINE = """\
schema = 1
[memory]
size = "1M"
[clock]
mode = "virtual"
[boot]
image = "{name}.bin"
load = 0x7c00
entry = 0x7c00
bits = 16
[record]
rewind = "60s"
[slots.0]
device = "hostbridge"
[slots.3]
device = "ne2k"
network = "{hears}"
[slots.4]
device = "ne2k"
network = "{talks}"
[slots.31]
device = "lpc"
[lpc.com1]
"""
LAB = """\
schema = 1
[machines.talks]
file = "talks.toml"
[machines.hears]
file = "hears.toml"
[links.there]
loss = 0.3
capture = "there.pcap"
{LINK}
[links.back]
"""


def talking(folder: Path, between: str = "", link: str = "") -> Path:
    """A lab of which one machine sends frames over a lossy link, and the other prints them.

    `between` is code after each frame, to which EBP is how many follow, and which keeps the zero
    flag; `link` is more of that link's table.
    """
    sends = TALKS.replace("{FRAMES}", str(FRAMES)).replace("{BETWEEN}", between)
    for name, begin, taken, hears, talks in (
        ("talks", sends, "", "back", "there"),
        ("hears", "", HEARS, "there", "back"),
    ):
        guest = STATION.replace("{BEGIN}", begin).replace("{TAKEN}", taken)
        (folder / f"{name}.bin").write_bytes(assemble(guest, LOAD, 16))
        text = MACHINE.format(name=name, hears=hears, talks=talks)
        (folder / f"{name}.toml").write_text(text)
    (folder / "duo.toml").write_text(LAB.replace("{LINK}", link))
    return folder / "duo.toml"
