# SPDX-License-Identifier: BSD-2-Clause
"""The characters of text modes, which a video BIOS has in its ROM and puts into plane 2.

Where no firmware runs, the machine does it at power-on; so the font is the one that is found there.
"""

from __future__ import annotations

HEIGHT = 16
CHARACTERS = 256
ROOM = 32
"""Bytes of plane 2 for a character."""
_BEGINS = bytes(18) + bytes.fromhex("7e81a581")
"""A blank, and the upper half of a smiling face, as every PC's font begins."""


def find(rom: bytes) -> bytes:
    """The 8x16 font in a video BIOS, as plane 2 has it: 8 KiB. Blank if there is none."""
    at = rom.find(_BEGINS)
    font = rom[at : at + CHARACTERS * HEIGHT] if at >= 0 else b""
    plane = bytearray(CHARACTERS * ROOM)
    for number in range(len(font) // HEIGHT):
        plane[ROOM * number : ROOM * number + HEIGHT] = font[HEIGHT * number :][:HEIGHT]
    return bytes(plane)
