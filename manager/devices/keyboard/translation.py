# SPDX-License-Identifier: BSD-2-Clause
"""From scancodes of set 2, which keyboards send, to those of set 1, which a PC's programs read.

Source: IBM PS/2 Hardware Interface Technical Reference, keyboard and auxiliary device controller.
"""

from __future__ import annotations

BREAK = 0xF0
"""In set 2 it goes before the code of a key that was released; in set 1 that code has bit 7."""
RELEASED = 0x80

_TABLE = bytes.fromhex(
    "ff 43 41 3f 3d 3b 3c 58 64 44 42 40 3e 0f 29 59"
    "65 38 2a 70 1d 10 02 5a 66 71 2c 1f 1e 11 03 5b"
    "67 2e 2d 20 12 05 04 5c 68 39 2f 21 14 13 06 5d"
    "69 31 30 23 22 15 07 5e 6a 72 32 24 16 08 09 5f"
    "6b 33 25 17 18 0b 0a 60 6c 34 35 26 27 19 0c 61"
    "6d 73 28 74 1a 0d 62 6e 3a 36 1c 1b 75 2b 63 76"
    "55 56 77 78 79 7a 0e 7b 7c 4f 7d 4b 47 7e 7f 6f"
    "52 53 50 4c 4d 48 01 45 57 4e 51 4a 37 49 46 54"
)
_ABOVE = {0x83: 0x41, 0x84: 0x54}
"""F7, and Print Screen with Alt. The other codes from 80h up, answers among them, stay."""


def translated(code: int, *, broken: bool) -> int:
    """The code of set 1 for one of set 2; `broken` says that F0h came before it.

    >>> hex(translated(0x1C, broken=False)), hex(translated(0x1C, broken=True))
    ('0x1e', '0x9e')
    >>> hex(translated(0xFA, broken=False))
    '0xfa'
    """
    made = _TABLE[code] if code < len(_TABLE) else _ABOVE.get(code, code)
    return made | RELEASED if broken else made
