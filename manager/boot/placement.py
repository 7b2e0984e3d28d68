# SPDX-License-Identifier: BSD-2-Clause
"""Which part of RAM is given to what while a machine is loaded."""

from __future__ import annotations

from collections.abc import Iterable

from manager.boot import e820
from manager.boot.elf import LoadSegment
from manager.boot.errors import BootImageError
from manager.bus.memory import FOUR_GIB, PAGE, Memory

FIRST_FREE = PAGE
"""The page below holds the interrupt vectors, the BIOS data area and the loader's GDT."""
MORE_MEMORY = "raise memory.size"


class Placement:
    """RAM that a loader may use: what the memory map calls RAM, less what is taken already."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._free = [
            (entry.base, entry.base + entry.length)
            for entry in e820.memory_map(memory)
            if entry.type == e820.RAM
        ]
        self.take(0, FIRST_FREE)

    def take(self, base: int, length: int) -> None:
        """Nothing else goes there; for what is put into RAM without this object's help."""
        end, left = base + length, []
        for start, stop in self._free:
            if stop <= base or end <= start:
                left.append((start, stop))
                continue
            left += [span for span in ((start, base), (end, stop)) if span[0] < span[1]]
        self._free = left

    def is_free(self, base: int, length: int) -> bool:
        """Whether all of it is free RAM."""
        return any(start <= base and base + length <= end for start, end in self._free)

    def put(self, segments: Iterable[LoadSegment], what: str) -> None:
        """Load segments where they ask to be. Raises BootImageError."""
        segments = tuple(segments)
        for segment in segments:
            if not self.is_free(segment.address, segment.size):
                raise self._refusal(segment, what)
        for segment in segments:
            self.memory.write(segment.address, segment.data)
            self.take(segment.address, segment.size)

    def _refusal(self, segment: LoadSegment, what: str) -> BootImageError:
        wanted = f"{what} needs {segment.address:#x}-{segment.address + segment.size - 1:#x}"
        top = self.memory.regions[-1].end
        if segment.address + segment.size > top:
            message = f"does not fit into RAM: {wanted}, and RAM ends at {top:#x}"
            return BootImageError(message, help=MORE_MEMORY)
        return BootImageError(f"{wanted}, and not all of that is free RAM")

    def lowest(
        self, length: int, align: int = 16, start: int = 0, end: int = FOUR_GIB
    ) -> int | None:
        """The first free address for `length` bytes, wholly within `start` and `end`, or None."""
        for first, last in self._free:
            base = -(-max(first, start) // align) * align
            if base + length <= min(last, end):
                return base
        return None

    def highest(
        self, length: int, align: int = PAGE, start: int = 0, end: int = FOUR_GIB
    ) -> int | None:
        """The last free address for `length` bytes, wholly within `start` and `end`, or None."""
        for first, last in reversed(self._free):
            base = (min(last, end) - length) // align * align
            if base >= max(first, start):
                return base
        return None

    def store(self, data: bytes, what: str, align: int = 16, start: int = 0) -> int:
        """Put `data` at the lowest free address from `start`. Raises BootImageError."""
        base = self.lowest(max(len(data), 1), align, start)
        if base is None:
            raise BootImageError(
                f"{what} ({len(data)} bytes) does not fit into RAM", help=MORE_MEMORY
            )
        self.memory.write(base, data)
        self.take(base, len(data))
        return base
