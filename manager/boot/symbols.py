# SPDX-License-Identifier: BSD-2-Clause
"""What an ELF file calls its addresses.

Source: System V ABI, chapter 4 (symbol table, string table).
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator

from manager.boot import elf
from manager.boot.errors import BootImageError

SHT_SYMTAB = 2
STT_NOTYPE, STT_FUNC = 0, 2
FARTHEST = 1 << 20
"""Bytes behind the last symbol that are still told as an offset from it."""
MOST = 1 << 20
"""Symbols of a file, at most: several times those of a Linux kernel."""
LONGEST = 512
"""Bytes of a name that are kept."""


class Symbols:
    """The functions and labels of an executable."""

    def __init__(self, image: bytes) -> None:
        """One without symbols has no names.

        Raises BootImageError for what is no ELF file, or has more than MOST symbols.
        """
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
    table = next((row for row in rows if row[1] == SHT_SYMTAB), None)  # a file has one at most
    if table is None or table[6] >= len(rows) or table[4] + table[5] > len(image):
        return
    _, _, _, _, start, size, link = table
    names, end = rows[link][4], min(rows[link][4] + rows[link][5], len(image))
    stride = 24 if wide else 16
    if size // stride > MOST:
        raise BootImageError(f"it has {size // stride} symbols, {MOST} are the most")
    for at in range(start, start + size - stride + 1, stride):
        fields = struct.unpack_from(symbol, image, at)
        name, info, index, address = (
            (fields[0], fields[1], fields[3], fields[4])
            if wide
            else (fields[0], fields[3], fields[5], fields[1])
        )
        if index and info & 15 in (STT_NOTYPE, STT_FUNC) and 0 < name < end - names:
            text = image[names + name : min(names + name + LONGEST, end)].partition(b"\0")[0]
            if text:
                yield address, text.decode("utf-8", "replace")
