# SPDX-License-Identifier: BSD-2-Clause
"""How a device reads and writes guest RAM by itself.

Whatever addresses and lengths a guest hands to a device are legal. A transfer stops where RAM
stops, and the device gets how many bytes were transferred; nothing raises. Snapshots see what was
written by themselves, because they ask the host's kernel which pages have changed; code that was
translated from it is dropped here.

Registers of devices and the memory behind BARs are no RAM: a transfer there stops at once.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Iterable

from manager.bus.memory import Memory

FAILED = -1
"""What a number reads as where there is no RAM: masked to its width, all ones, as on a PCI bus."""

Segment = tuple[int, int]
"""(physical address, bytes): one entry of a scatter list."""

_U16, _U32, _U64 = struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<Q")
_ZEROS = bytes(1 << 16)


class Dma:
    """One device's way to RAM. `writes(start, end)` gets the addresses that are about to change.

    While `enabled` is off nothing is transferred: a PCI function turns it on and off with the bus
    master bit of its command register.

    >>> dma = Dma(Memory.blank(1 << 20), lambda start, end: print(f"{start:#x}-{end:#x}"))
    >>> dma.write(0x1000, b"hello")
    0x1000-0x1005
    5
    >>> dma.gather([(0x1000, 2), (0x1003, 2)])
    b'helo'
    >>> dma.read_u16(0xA0000)
    -1
    """

    __slots__ = ("_spans", "_writes", "enabled")

    def __init__(self, memory: Memory, writes: Callable[[int, int], None]) -> None:
        self._spans = tuple((region.base, region.end, region.memory) for region in memory.regions)
        self._writes = writes
        self.enabled = True

    def _find(self, address: int, length: int) -> tuple[mmap.mmap, int, int] | None:
        """RAM, the offset in it, and how much of `length` it holds; None if there is no RAM."""
        if self.enabled:
            for base, end, memory in self._spans:
                if base <= address < end:
                    return memory, address - base, min(length, end - address)
        return None

    # -- bytes ----------------------------------------------------------------------------

    def read(self, address: int, length: int) -> bytes:
        """The next `length` bytes (0 or more) of RAM: fewer where it ends before.

        A device bounds `length` before it asks: up to all of RAM is copied.
        """
        found = self._find(address, length)
        if found is None:
            return b""
        memory, offset, length = found
        return memory[offset : offset + length]

    def write(self, address: int, data: bytes | bytearray | memoryview) -> int:
        """Store `data`, up to where RAM ends; how many bytes that were."""
        length = len(data)
        found = self._find(address, length)
        if found is None or not length:
            return 0
        memory, offset, fits = found
        self._writes(address, address + fits)
        memory[offset : offset + fits] = data if fits == length else data[:fits]
        return fits

    def clear(self, address: int, length: int) -> int:
        """Store `length` zeros (0 or more), up to where RAM ends; how many that were."""
        done = 0
        while done < length:
            some = min(length - done, len(_ZEROS))
            wrote = self.write(address + done, _ZEROS[:some])
            done += wrote
            if wrote < some:
                break
        return done

    # -- scatter lists --------------------------------------------------------------------

    def gather(self, segments: Iterable[Segment]) -> bytes:
        """The bytes of all segments, one after the other: fewer where one is not all RAM."""
        parts = []
        base, end, memory = 0, -1, None
        for address, length in segments:
            # A long list has hundreds of segments, nearly all in the span of the one before.
            if not base <= address <= address + length <= end:
                found = self._find(address, length)
                if found is None:
                    if length:
                        break
                    continue
                memory, offset, _ = found
                base, end = address - offset, address - offset + len(memory)
            assert memory is not None
            parts.append(part := memory[address - base : address - base + length])
            if len(part) < length:
                break
        return b"".join(parts)

    def scatter(self, segments: Iterable[Segment], data: bytes | bytearray | memoryview) -> int:
        """Spread `data` over the segments, in order; how many bytes that were.

        It ends with the data, with the last segment, or where a segment is not all RAM.
        """
        rest = memoryview(data)
        done = 0
        for address, length in segments:
            some = min(length, len(rest) - done)
            wrote = self.write(address, rest[done : done + some])
            done += wrote
            if wrote < some or done == len(rest):
                break
        return done

    # -- numbers, little-endian -----------------------------------------------------------

    def read_u8(self, address: int) -> int:
        """A byte, or FAILED."""
        found = self._find(address, 1)
        return FAILED if found is None else found[0][found[1]]

    def read_u16(self, address: int) -> int:
        """16 bits, or FAILED unless all of them are RAM."""
        return self._load(_U16, address, 2)

    def read_u32(self, address: int) -> int:
        """32 bits, or FAILED unless all of them are RAM."""
        return self._load(_U32, address, 4)

    def read_u64(self, address: int) -> int:
        """64 bits, or FAILED unless all of them are RAM."""
        return self._load(_U64, address, 8)

    def write_u8(self, address: int, value: int) -> bool:
        """Store a byte (0-255); False where there is no RAM."""
        return self.write(address, bytes((value,))) == 1

    def write_u16(self, address: int, value: int) -> bool:
        """Store 16 bits; False, and nothing is stored, unless all of them are RAM."""
        return self._store(_U16, address, 2, value)

    def write_u32(self, address: int, value: int) -> bool:
        """Store 32 bits; False, and nothing is stored, unless all of them are RAM."""
        return self._store(_U32, address, 4, value)

    def write_u64(self, address: int, value: int) -> bool:
        """Store 64 bits; False, and nothing is stored, unless all of them are RAM."""
        return self._store(_U64, address, 8, value)

    def _load(self, form: struct.Struct, address: int, length: int) -> int:
        found = self._find(address, length)
        if found is None or found[2] < length:
            return FAILED
        value: int = form.unpack_from(found[0], found[1])[0]
        return value

    def _store(self, form: struct.Struct, address: int, length: int, value: int) -> bool:
        found = self._find(address, length)
        if found is None or found[2] < length:
            return False
        self._writes(address, address + length)
        form.pack_into(found[0], found[1], value)
        return True


def nowhere() -> Dma:
    """A way to no RAM, for a device that is plugged into nothing."""
    return Dma(Memory(()), lambda start, end: None)
