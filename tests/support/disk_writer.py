# SPDX-License-Identifier: BSD-2-Clause
"""Our own guest that writes to an IDE disk by PIO, and a machine for it.

It writes `count` sectors from sector `first` on, each with its number and the rest of it the word
`fill`, prints "w" for each, and then does what `end` says.
"""

from __future__ import annotations

from pathlib import Path

from support.assembler import assemble

OFF = """
        mov     dx, 0xf4                # the debug-exit port
        mov     al, 0x10
        out     dx, al
"""
WAIT = """
        mov     al, 0xff                # no interrupts, but not deaf to them
        out     0x21, al
        out     0xa1, al
        sti
"""
_GUEST = """
        .equ DATA, 0x1f0
        cli
        cld
        xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, 0x7c00
        mov     bx, {first}             # the sector
        mov     bp, {count}
again:  mov     di, 0x8000
        mov     cx, 256
        mov     ax, {fill}
        rep     stosw
        mov     [0x8000], bx
        mov     dx, DATA + 2
        mov     al, 1
        out     dx, al
        inc     dx
        mov     al, bl
        out     dx, al
        inc     dx
        mov     al, bh
        out     dx, al
        inc     dx
        xor     al, al
        out     dx, al
        inc     dx
        mov     al, 0xe0
        out     dx, al
        inc     dx
        mov     al, 0x30                # write sectors
        out     dx, al
1:      in      al, dx
        and     al, 0x88
        cmp     al, 0x08                # not busy, and wants data
        jne     1b
        mov     dx, DATA
        mov     si, 0x8000
        mov     cx, 256
        rep     outsw
        mov     dx, DATA + 7
2:      in      al, dx
        test    al, 0x80
        jnz     2b
        mov     dx, 0x3f8
        mov     al, 'w'
        out     dx, al
        inc     bx
        dec     bp
        jnz     again
        mov     al, '.'
        mov     dx, 0x3f8
        out     dx, al
        {end}
3:      hlt
        jmp     3b
"""
_MACHINE = """
schema = 1
name = "writer"
[memory]
size = "1M"
[boot]
image = "guest.bin"
load = 0x7c00
entry = 0x7c00
bits = 16
[disks.root]
{disk}
[slots.0]
device = "hostbridge"
[slots.1]
device = "lpc"
[slots."1.1"]
device = "ide"
primary-master = "root"
[lpc.com1]
backend = "null"
[lpc.debug-exit]
[ready]
port = "com1"
wait-for = '\\.$'
"""


def writer(
    folder: Path, disk: str, *, first: int = 0, count: int = 8, fill: int = 0x1111, end: str = WAIT
) -> Path:
    """A machine file in `folder`; `disk` is what is in its `[disks.root]`."""
    text = _GUEST.format(first=first, count=count, fill=fill, end=end)
    (folder / "guest.bin").write_bytes(assemble(text, 0x7C00, 16))
    file = folder / "writer.toml"
    file.write_text(_MACHINE.format(disk=disk))
    return file


def written(first: int = 0, count: int = 8, fill: int = 0x1111) -> bytes:
    """What is in those sectors afterwards."""
    words = (bytes([fill & 0xFF, fill >> 8]) * 255) if fill else bytes(510)
    return b"".join(n.to_bytes(2, "little") + words for n in range(first, first + count))
