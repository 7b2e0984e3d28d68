# SPDX-License-Identifier: BSD-2-Clause
"""Guest RAM as a PC has it: below the VGA window, above it, and above 4 GiB."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Sequence
from typing import Protocol

from manager.errors import HostError
from manager.lazy import dataclass

PAGE = 4096
ZEROS = bytes(1 << 20)
VGA_WINDOW = 0xA0000
"""Where video memory would be; nothing answers there."""
ABOVE_VGA = 0xC0000
LOW_LIMIT = 0xC000_0000
"""RAM beyond 3 GiB goes above 4 GiB; the space between is for devices."""
FOUR_GIB = 1 << 32
ADDRESS_SPACE = 1 << 40
"""What a CPU with 40 physical address bits can name."""
HOMES = 1 << 51
"""From here up memory of devices has its home, where no guest can name it. A BAR shows it."""


class AddressError(ValueError):
    """An access that is not wholly inside RAM."""


class Backing(Protocol):
    """What the snapshot code knows of some RAM: which saved object it was mapped from or last
    written to, and how to tell the pages that have changed since.
    """

    def used(self, memory: Ram) -> Iterable[tuple[int, int]]:
        """(offset, length) of stretches outside of which there are only zeros."""


class Ram(mmap.mmap):
    """Host memory that is guest RAM."""

    backing: Backing | None = None
    began_blank = False
    """It is no mapping of a file."""

    def clear(self) -> None:
        """Fill it with zeros, in a time that depends on how much of it has been used."""
        if self.backing is None and self.began_blank:
            self.madvise(mmap.MADV_DONTNEED)  # zeros come when it is touched again
            return
        used = ((0, len(self)),) if self.backing is None else self.backing.used(self)
        for start, length in used:
            for at in range(start, start + length, len(ZEROS)):
                self[at : min(at + len(ZEROS), start + length)] = ZEROS[: start + length - at]


@dataclass(frozen=True, slots=True)
class RamRegion:
    """`length` bytes of RAM at physical address `base`, backed by the host's `memory`."""

    base: int
    memory: Ram

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


def home(slot: int, function: int, bar: int) -> int:
    """Where the memory behind a BAR (0-5) of a PCI function is at home; there is room for 1 TiB."""
    return HOMES + (((slot << 3 | function) << 3 | bar) << 40)


class Memory:
    """All memory of a machine, for the host's side: loaders and snapshots.

    `regions` are RAM; `devices` are what is behind BARs, each at its home.
    """

    __slots__ = ("devices", "regions")

    def __init__(self, regions: Sequence[RamRegion]) -> None:
        self.regions = tuple(region for region in regions if region.base < HOMES)
        self.devices = tuple(region for region in regions if region.base >= HOMES)

    @classmethod
    def blank(cls, size: int, devices: Iterable[tuple[int, int]] = ()) -> Memory:
        """Zeroed memory; the host allocates pages as they are touched. Raises HostError.

        `devices` are (home, length) of the memory behind BARs.
        """
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        places = [*layout(size), *devices]
        try:
            regions = [RamRegion(base, Ram(-1, length, flags)) for base, length in places]
        except OSError as error:
            raise HostError(
                f"the host has no room for {size >> 20} MiB of guest RAM: {error.strerror}",
                help="make `memory.size` smaller",
            ) from None
        for region in regions:
            region.memory.began_blank = True
        return cls(regions)

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

    @property
    def everything(self) -> tuple[RamRegion, ...]:
        """RAM and the memory of devices: what a snapshot holds."""
        return self.regions + self.devices

    def behind(self, home: int) -> Ram:
        """The memory of a device. Raises KeyError if none has its home there."""
        for region in self.devices:
            if region.base == home:
                return region.memory
        raise KeyError(home)

    def clear(self) -> None:
        """Fill all memory with zeros, as after a power cycle."""
        for region in self.everything:
            region.memory.clear()

    def below_4g(self) -> int:
        """The end of RAM below 4 GiB."""
        return max(region.end for region in self.regions if region.base < FOUR_GIB)
