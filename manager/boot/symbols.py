# SPDX-License-Identifier: BSD-2-Clause
"""What an ELF file calls its addresses.

Source: System V ABI, chapter 4 (symbol table, string table).
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator

from manager.boot import elf

SHT_SYMTAB = 2
STT_NOTYPE, STT_FUNC = 0, 2
FARTHEST = 1 << 20
"""Bytes behind the last symbol that are still told as an offset from it."""


class Symbols:
    """The functions and labels of an executable."""

    def __init__(self, image: bytes) -> None:
        """Raises BootImageError for what is no ELF file; one without symbols has no names."""
        found = sorted(set(_symbols(image)))
        self._addresses = [address for address, _ in found]
        self._names = [name for _, name in found]

    def __len__(self) -> int:
        return len(self._names)

    def name(self, address: int) -> str:
        """`name+0x12` of the symbol at or before a linear address; empty if there is none."""
        index = bisect_right(self._addresses, address) - 1
        if index < 0 or address - self._addresses[index] > FARTHEST:
            return ""
        offset = address - self._addresses[index]
        return self._names[index] + (f"+{offset:#x}" if offset else "")


def _symbols(image: bytes) -> Iterator[tuple[int, str]]:
    header = elf.read_header(image)
    wide, stride = header.wide, header.section_stride
    section, symbol = ("<IIQQQQI", "<IBBHQ") if wide else ("<IIIIIII", "<IIIBBH")
    if stride < struct.calcsize(section):
        return
    last = min(header.section_count, (len(image) - header.sections) // stride)
    rows = [
        struct.unpack_from(section, image, header.sections + number * stride)
        for number in range(last)
    ]
    size_of_one = 24 if wide else 16
    for _, kind, _, _, offset, size, link in rows:
        if kind != SHT_SYMTAB or link >= len(rows) or offset + size > len(image):
            continue
        names = image[rows[link][4] :][: rows[link][5]]
        for at in range(offset, offset + size - size_of_one + 1, size_of_one):
            fields = struct.unpack_from(symbol, image, at)
            name, info, index, address = (
                (fields[0], fields[1], fields[3], fields[4])
                if wide
                else (fields[0], fields[3], fields[5], fields[1])
            )
            if index and info & 15 in (STT_NOTYPE, STT_FUNC) and 0 < name < len(names):
                yield address, names[name : names.find(b"\0", name)].decode("utf-8", "replace")
