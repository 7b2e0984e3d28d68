# SPDX-License-Identifier: BSD-2-Clause
"""Guest RAM as a PC has it: below the VGA window, above it, and above 4 GiB."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from manager.errors import HostError

PAGE = 4096
VGA_WINDOW = 0xA0000
"""Where video memory would be; nothing answers there."""
ABOVE_VGA = 0xC0000
LOW_LIMIT = 0xC000_0000
"""RAM beyond 3 GiB goes above 4 GiB; the space between is for devices."""
FOUR_GIB = 1 << 32
ADDRESS_SPACE = 1 << 40
"""What a CPU with 40 physical address bits can name."""


class AddressError(ValueError):
    """An access that is not wholly inside RAM."""


class Ram(mmap.mmap):
    """Host memory that is guest RAM."""

    backing: object | None = None
    """What the snapshot code knows of the content: which saved object it was mapped from or last
    written to, and how to tell the pages that have changed since."""


@dataclass(frozen=True, slots=True)
class RamRegion:
    """`length` bytes of RAM at physical address `base`, backed by the host's `memory`."""

    base: int
    memory: mmap.mmap

    @property
    def length(self) -> int:
        """Bytes."""
        return len(self.memory)

    @property
    def end(self) -> int:
        """One past the last address."""
        return self.base + self.length


def layout(size: int) -> list[tuple[int, int]]:
    """(base, length) of each region of a machine with `size` bytes of RAM, ascending.

    The VGA window's 128 KiB are lost, as on a real PC.
    """
    low = min(size, LOW_LIMIT)
    spans = [(0, min(low, VGA_WINDOW))]
    if low > ABOVE_VGA:
        spans.append((ABOVE_VGA, low - ABOVE_VGA))
    if size > LOW_LIMIT:
        spans.append((FOUR_GIB, size - LOW_LIMIT))
    return spans


class Memory:
    """All RAM of a machine, for the host's side: loaders and snapshots."""

    __slots__ = ("regions",)

    def __init__(self, regions: Sequence[RamRegion]) -> None:
        self.regions = tuple(regions)

    @classmethod
    def blank(cls, size: int) -> Memory:
        """Zeroed RAM; the host allocates pages as they are touched. Raises HostError."""
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        try:
            return cls([RamRegion(base, Ram(-1, length, flags)) for base, length in layout(size)])
        except OSError as error:
            raise HostError(
                f"the host has no room for {size >> 20} MiB of guest RAM: {error.strerror}",
                help="make `memory.size` smaller",
            ) from None

    def holes(self, taken: Iterable[tuple[int, int]] = ()) -> list[tuple[int, int]]:
        """(base, length) of every stretch of the address space without RAM.

        `taken` is what else is there: (base, length) of ROM and of devices in memory.
        """
        used = sorted([*((region.base, region.length) for region in self.regions), *taken])
        found, start = [], 0
        for base, length in [*used, (ADDRESS_SPACE, 0)]:
            if base > start:
                found.append((start, base - start))
            start = base + length
        return found

    def _find(self, address: int, length: int) -> tuple[mmap.mmap, int]:
        for region in self.regions:
            if region.base <= address and address + length <= region.end:
                return region.memory, address - region.base
        raise AddressError(f"{address:#x}-{address + length - 1:#x} is not RAM")

    def write(self, address: int, data: bytes | memoryview) -> None:
        """Store `data`. Raises AddressError unless all of it lands in one region."""
        memory, offset = self._find(address, len(data))
        memory[offset : offset + len(data)] = data

    def read(self, address: int, length: int) -> bytes:
        """Load `length` bytes. Raises AddressError unless all of it lies in one region."""
        memory, offset = self._find(address, length)
        return memory[offset : offset + length]

    def clear(self) -> None:
        """Fill RAM with zeros, as after a power cycle."""
        for region in self.regions:
            region.memory[:] = bytes(region.length)

    def below_4g(self) -> int:
        """The end of RAM below 4 GiB."""
        return max(region.end for region in self.regions if region.base < FOUR_GIB)
