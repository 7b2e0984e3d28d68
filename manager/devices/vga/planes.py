# SPDX-License-Identifier: BSD-2-Clause
"""The four planes of a VGA in its video memory.

They lie in one of two ways, so that what a program most often sees through the window, a character
and its attribute or a row of 256-colour pixels, is a stretch of memory that it can be shown:

- paired: byte n of planes 0 and 1 at 2n and 2n + 1, of planes 2 and 3 the same 128 KiB behind;
- interleaved: byte n of plane p at 4n + p, while chain-4 or a dispi mode is on.
"""

from __future__ import annotations

from mmap import mmap

PLANE = 64 << 10
"""Bytes of a plane of a VGA; in dispi modes it goes on."""
PAIR = 2 * PLANE
ALL = 4 * PLANE


class Planes:
    """The planes in `memory`. What is beyond the memory is read as 0 and not written."""

    __slots__ = ("interleaved", "memory")

    def __init__(self, memory: mmap) -> None:
        self.memory = memory
        self.interleaved = False

    def read(self, offset: int) -> int:
        """Byte `offset` of all planes, that of plane 0 lowest."""
        memory = self.memory
        if self.interleaved:
            return int.from_bytes(memory[4 * offset : 4 * offset + 4], "little")
        at = 2 * (offset & PLANE - 1)
        low, high = memory[at : at + 2], memory[PAIR + at : PAIR + at + 2]
        return int.from_bytes(low + high, "little")

    def write(self, offset: int, value: int) -> None:
        """Replace byte `offset` of all planes."""
        memory, content = self.memory, value.to_bytes(4, "little")
        if self.interleaved:
            if 4 * offset < len(memory):
                memory[4 * offset : 4 * offset + 4] = content
            return
        at = 2 * (offset & PLANE - 1)
        memory[at : at + 2] = content[:2]
        memory[PAIR + at : PAIR + at + 2] = content[2:]

    def arrange(self, interleaved: bool) -> None:
        """Lay the planes the other way, if they are not."""
        if interleaved == self.interleaved:
            return
        old, new = self.memory[:ALL], bytearray(ALL)
        for plane in range(4):
            apart, paired = slice(plane, ALL, 4), _paired(plane)
            source, target = (paired, apart) if interleaved else (apart, paired)
            new[target] = old[source]
        self.memory[:ALL] = new
        self.interleaved = interleaved


def _paired(plane: int) -> slice:
    start = PAIR * (plane >> 1)
    return slice(start + (plane & 1), start + PAIR, 2)


def plane(memory: bytes | mmap, number: int, interleaved: bool) -> bytes:
    """The 64 KiB of one plane."""
    return memory[number:ALL:4] if interleaved else memory[_paired(number)]
