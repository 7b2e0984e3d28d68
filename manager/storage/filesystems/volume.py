# SPDX-License-Identifier: BSD-2-Clause
"""Where file systems can be on a disk: the whole of it, or the partitions of its table.

MBR with logical partitions; GUID partition tables by the UEFI specification 2.10, section 5. A
table is the guest's: whatever it says, little is read, and all that is found lies on the disk.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Literal, NamedTuple

from manager.lazy import dataclass
from manager.storage.base import SECTOR
from manager.storage.disk import Disk

Ranges = list[tuple[int, int]]
"""(offset, length) in bytes, ascending and apart."""

_TABLE, _SIGNATURE = 0x1BE, 0x1FE
_ENTRY = struct.Struct("<4xB3xII")
_EXTENDED = (0x05, 0x0F, 0x85)
_PROTECTIVE = 0xEE
_GPT_HEADER = struct.Struct("<8s64xQII")
_MOST_LOGICAL = 64
_MOST_GPT, _LEAST_GPT_ENTRY, _MOST_GPT_ENTRY = 128, 128, 512


@dataclass(frozen=True, slots=True)
class Volume:
    """A part of a disk. Offsets of `read` count from its start."""

    disk: Disk
    number: int
    """As Linux counts partitions; 0 is the whole disk."""
    offset: int
    size: int

    @property
    def title(self) -> str:
        """What it is called."""
        return f"partition {self.number}" if self.number else "the whole disk"

    def read(self, offset: int, length: int) -> bytes:
        """What is there; less at the end, nothing beyond it. Raises OSError."""
        length = min(length, self.size - offset)
        if offset < 0 or length <= 0:
            return b""
        start = self.offset + offset
        first = start - start % SECTOR
        data = self.disk.read(first, -(-(start + length - first) // SECTOR) * SECTOR)
        return data[start - first : start - first + length]

    def may_differ_from_zero(self) -> Iterator[tuple[int, bytes]]:
        """(offset, content) of all that is not known to be zeros. Raises OSError."""
        end = self.offset + self.size
        for start, content in self.disk.may_differ_from_zero(self.offset, end):
            cut = max(self.offset - start, 0)
            yield start + cut - self.offset, content[cut : end - start]

    def own(self, ranges: Ranges) -> Ranges:
        """The parts of the disk's `ranges` that are in this volume, counted from its start."""
        found = []
        for offset, length in ranges:
            start = max(offset - self.offset, 0)
            end = min(offset + length - self.offset, self.size)
            if start < end:
                found.append((start, end - start))
        return found


Kind = Literal["added", "removed", "changed"]


class FileChange(NamedTuple):
    """A file that differs between two volumes."""

    kind: Kind
    path: str
    """From the top, without a "/" before it; directories end with one."""


class LimitError(Exception):
    """The file system has more than is read here; the text says of what."""


class _Part(NamedTuple):
    kind: int
    first: int
    sectors: int


def volumes(disk: Disk) -> list[Volume]:
    """The whole disk, and its partitions by their numbers. Raises OSError."""
    found = [Volume(disk, 0, 0, disk.size)]
    for number, first, sectors in _partitions(disk):
        if 0 < first < disk.sectors and 0 < sectors <= disk.sectors - first:
            found.append(Volume(disk, number, first * SECTOR, sectors * SECTOR))
    return found


def _partitions(disk: Disk) -> Iterator[tuple[int, int, int]]:
    """(number, first sector, sectors)."""
    entries = _entries(disk, 0)
    if any(entry.kind == _PROTECTIVE for entry in entries):
        yield from _gpt(disk)
        return
    for number, entry in enumerate(entries, 1):
        if entry.kind in _EXTENDED:
            yield from _logical(disk, entry.first)
        elif entry.kind:
            yield number, entry.first, entry.sectors


def _entries(disk: Disk, sector: int) -> list[_Part]:
    """The four of a boot record; none when it is not one."""
    if not 0 <= sector < disk.sectors:
        return []
    record = disk.read(sector * SECTOR, SECTOR)
    if record[_SIGNATURE:] != b"\x55\xaa":
        return []
    return [_Part(*entry) for entry in _ENTRY.iter_unpack(record[_TABLE:_SIGNATURE])]


def _logical(disk: Disk, extended: int) -> Iterator[tuple[int, int, int]]:
    """A chain of records, each with a partition and where the next record is."""
    at = extended
    for number in range(5, 5 + _MOST_LOGICAL):
        entries = _entries(disk, at)
        if not entries:
            return
        if entries[0].kind:
            yield number, at + entries[0].first, entries[0].sectors
        if entries[1].kind not in _EXTENDED:
            return
        at = extended + entries[1].first


def _gpt(disk: Disk) -> Iterator[tuple[int, int, int]]:
    if disk.sectors < 2:
        return
    header = disk.read(SECTOR, SECTOR)
    magic, at, count, length = _GPT_HEADER.unpack_from(header)
    count = min(count, _MOST_GPT)
    if magic != b"EFI PART" or not _LEAST_GPT_ENTRY <= length <= _MOST_GPT_ENTRY:
        return
    table = Volume(disk, 0, 0, disk.size).read(at * SECTOR, count * length)
    for number in range(len(table) // length):
        entry = table[number * length : (number + 1) * length]
        first, last = struct.unpack_from("<QQ", entry, 32)
        if any(entry[:16]):
            yield number + 1, first, last + 1 - first
