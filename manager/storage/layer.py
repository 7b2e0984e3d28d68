# SPDX-License-Identifier: BSD-2-Clause
"""A frozen layer: blocks in an immutable file, packed in ascending order."""

from __future__ import annotations

import os
import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterator

from manager.storage.base import BLOCK

_RUN = struct.Struct("<II")


class Layer:
    """The blocks that `runs` lists, one after the other in the file behind `fd`.

    `runs` is a byte string of pairs of 32-bit little-endian numbers, ascending and apart: a first
    block and how many follow from there, itself included. The layer owns `fd`.
    """

    __slots__ = ("_counts", "_fd", "_firsts", "_slots", "blocks", "name", "runs")

    def __init__(self, fd: int, runs: bytes, name: str = "") -> None:
        self._fd = fd
        self.runs = runs
        self.name = name
        """The name of the object that it is, for snapshots."""
        self._firsts = array("Q")
        self._counts = array("Q")
        self._slots = array("Q")
        self.blocks = 0
        for first, count in _RUN.iter_unpack(runs):
            self._firsts.append(first)
            self._counts.append(count)
            self._slots.append(self.blocks)
            self.blocks += count

    def find(self, block: int) -> tuple[int, int]:
        """Where `block` is: (slot, blocks from there on in this run).

        (-1, blocks until the next run) when it is not here; a huge number after the last.
        """
        index = bisect_right(self._firsts, block) - 1
        if index >= 0:
            into = block - self._firsts[index]
            if into < self._counts[index]:
                return self._slots[index] + into, self._counts[index] - into
        following = index + 1
        if following < len(self._firsts):
            return -1, self._firsts[following] - block
        return -1, 1 << 62

    def read(self, slot: int, count: int) -> bytes:
        """`count` blocks from `slot` on. Raises OSError."""
        return read_exactly(self._fd, count * BLOCK, slot * BLOCK)

    def __iter__(self) -> Iterator[int]:
        """The blocks, ascending."""
        for first, count in zip(self._firsts, self._counts, strict=True):
            yield from range(first, first + count)

    def close(self) -> None:
        """Close the file; once, however often it is asked for."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def read_exactly(fd: int, length: int, offset: int) -> bytes:
    """`length` bytes at `offset`; what lies beyond the file's end is zeros. Raises OSError."""
    data = os.pread(fd, length, offset)
    while len(data) < length:
        part = os.pread(fd, length - len(data), offset + len(data))
        if not part:
            return data + bytes(length - len(data))
        data += part
    return data


def write_all(fd: int, content: bytes | memoryview, offset: int) -> None:
    """Write all of it. Raises OSError."""
    rest = memoryview(content)
    while rest:
        done = os.pwrite(fd, rest, offset)
        offset += done
        rest = rest[done:]


def pack_runs(blocks: Iterator[int] | list[int]) -> bytes:
    """A run list of ascending block numbers.

    >>> list(_RUN.iter_unpack(pack_runs([3, 4, 9])))
    [(3, 2), (9, 1)]
    """
    runs = bytearray()
    first, count = 0, 0
    for block in blocks:
        if count and block == first + count:
            count += 1
            continue
        if count:
            runs += _RUN.pack(first, count)
        first, count = block, 1
    if count:
        runs += _RUN.pack(first, count)
    return bytes(runs)


def stretches(blocks: list[int]) -> Iterator[tuple[int, int]]:
    """(first, count) of ascending blocks that follow each other."""
    return _RUN.iter_unpack(pack_runs(blocks))
