# SPDX-License-Identifier: BSD-2-Clause
"""FAT12, FAT16 and FAT32: the files of a volume, and which bytes of it each has.

Layout: Microsoft, "FAT: General Overview of On-Disk Format", 1.03. It is read here rather than by
mtools, which list directories for people, and would need a copy of the disk. The volume is the
guest's: chains may loop, names may be anything; so each directory is read once, and the steps along
chains are counted.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from manager.storage.filesystems.volume import FileChange, Kind, LimitError, Ranges, Volume

MOST_ENTRIES = 500_000
MOST_STEPS = 4_000_000
"""Along the chains of clusters, all together."""
_BPB = struct.Struct("<11xHBHBHHxHxxxxxxxxII")
_ENTRY = struct.Struct("<11sBB7xHHHHI")
_ENTRY_SIZE = 32
_LONG, _LABEL, _DIRECTORY = 0x0F, 0x08, 0x10
_FREE, _END = 0xE5, 0x00
_LOWER_BASE, _LOWER_EXTENSION = 0x08, 0x10
_MOST_DIRECTORY = 65536 * _ENTRY_SIZE
_PIECE = 4096
_WINDOW = 1 << 20


class File(NamedTuple):
    """A file or directory."""

    is_directory: bool
    attributes: tuple[int, ...]
    """Size, first cluster, kind, when written: what differs when a file has changed."""
    extents: tuple[tuple[int, int], ...]
    """(offset, length) of its content in the volume."""


def is_fat(volume: Volume) -> bool:
    """Whether it begins as a FAT volume does. Raises OSError."""
    return _Layout.of(volume) is not None


class _Layout(NamedTuple):
    """Bytes from the start of the volume."""

    bits: int
    """Of an entry of the table: 12, 16 or 32."""
    table: int
    root: int
    """Of the directory at the top; its cluster with 32 bits."""
    root_size: int
    clusters: int
    """Where cluster 2, the first, is."""
    cluster: int
    number: int
    """Of clusters."""

    @classmethod
    def of(cls, volume: Volume) -> _Layout | None:
        boot = volume.read(0, 512)
        if len(boot) < 512 or boot[510:] != b"\x55\xaa" or boot[0] not in (0xEB, 0xE9):
            return None
        sector, per, reserved, tables, roots, small, short, large, long = _BPB.unpack_from(boot)
        powers = (per & (per - 1)) == 0 and per and sector in (512, 1024, 2048, 4096)
        length = short or long
        if not powers or not reserved or tables not in (1, 2) or not length:
            return None
        root = (reserved + tables * length) * sector
        root_size = -(-roots * _ENTRY_SIZE // sector) * sector
        clusters = root + root_size
        total = min((small or large) * sector, volume.size)
        count = (total - clusters) // (per * sector)
        if count < 1:
            return None
        bits = 12 if count < 4085 else 16 if count < 65525 else 32
        if bits == 32:
            root = struct.unpack_from("<I", boot, 44)[0]
        return cls(bits, reserved * sector, root, root_size, clusters, per * sector, count)


def files(volume: Volume) -> dict[str, File]:
    """Path -> file, of a FAT volume. Raises OSError, LimitError."""
    layout = _Layout.of(volume)
    assert layout is not None
    return dict(_Reader(volume, layout).walk())


class _Reader:
    def __init__(self, volume: Volume, layout: _Layout) -> None:
        self._volume = volume
        self._layout = layout
        self._steps_left = MOST_STEPS
        self._entries_left = MOST_ENTRIES
        # Tables are read in pieces, as one of 32 bits may have a gigabyte.
        self._piece = lru_cache(256)(lambda number: volume.read(number * _PIECE, _PIECE + 1))

    def walk(self) -> Iterator[tuple[str, File]]:
        layout = self._layout
        if layout.bits == 32:
            waiting = [("", self._directory(layout.root))]
        else:
            waiting = [("", iter([self._volume.read(layout.root, layout.root_size)]))]
        seen = set[int]()
        while waiting:
            above, content = waiting.pop()
            for name, file, cluster in self._entries(content):
                yield above + name, file
                if file.is_directory and cluster not in seen:
                    seen.add(cluster)
                    waiting.append((f"{above}{name}/", self._directory(cluster)))

    def _entries(self, pieces: Iterator[bytes]) -> Iterator[tuple[str, File, int]]:
        """(name, file, first cluster)."""
        long: dict[int, bytes] = {}
        for entry in _split(pieces):
            raw, kind, case, high, time, date, low, size = _ENTRY.unpack(entry)
            self._entries_left -= 1
            if self._entries_left < 0:
                raise LimitError(f"more than {MOST_ENTRIES} entries in directories")
            if raw[0] == _END:
                return
            if raw[0] == _FREE:
                long.clear()
            elif kind & 0x3F == _LONG:
                long[raw[0] & 0x3F] = entry[1:11] + entry[14:26] + entry[28:32]
            else:
                name = _long_name(long) or _short_name(raw, case)
                long.clear()
                if kind & _LABEL or name in (".", ".."):
                    continue
                cluster = low | (high << 16 if self._layout.bits == 32 else 0)
                if kind & _DIRECTORY:
                    yield name, File(True, (kind,), ()), cluster
                else:
                    extents = tuple(self._extents(cluster, size))
                    yield name, File(False, (size, cluster, kind, time, date), extents), cluster

    def _directory(self, cluster: int) -> Iterator[bytes]:
        """Its content, a cluster at a time."""
        length = self._layout.cluster
        for number in islice(self._chain(cluster), _MOST_DIRECTORY // length):
            yield self._volume.read(self._layout.clusters + (number - 2) * length, length)

    def _extents(self, cluster: int, size: int) -> Iterator[tuple[int, int]]:
        """Where the first `size` bytes of a chain are; less when it ends before, or goes round."""
        length, most = self._layout.cluster, -(-size // self._layout.cluster)
        start = end = 0
        for number in islice(self._chain(cluster), min(most, self._layout.number)):
            offset = self._layout.clusters + (number - 2) * length
            if offset != end:
                if end:
                    yield start, end - start
                start = offset
            end = offset + min(length, size)
            size -= length
        if end:
            yield start, end - start

    def _chain(self, cluster: int) -> Iterator[int]:
        while 2 <= cluster < self._layout.number + 2:
            self._steps_left -= 1
            if self._steps_left < 0:
                raise LimitError(f"more than {MOST_STEPS} clusters to follow")
            yield cluster
            cluster = self._next(cluster)

    def _next(self, cluster: int) -> int:
        bits = self._layout.bits
        at = self._layout.table + (cluster * bits) // 8
        piece = self._piece(at // _PIECE)
        width = 4 if bits == 32 else 2
        value = int.from_bytes(piece[at % _PIECE : at % _PIECE + width], "little")
        if bits == 12:
            return value >> 4 if cluster & 1 else value & 0xFFF
        return value & 0x0FFFFFFF if bits == 32 else value


def _long_name(parts: dict[int, bytes]) -> str:
    """The name of the entries before a short one; empty when there is none."""
    units = b"".join(parts[number] for number in sorted(parts))
    text = units.decode("utf-16-le", errors="replace")
    return text.split("\0", 1)[0].replace("/", "\ufffd")


def _short_name(raw: bytes, case: int) -> str:
    name = (b"\xe5" + raw[1:8] if raw[0] == 0x05 else raw[:8]).decode("cp437").rstrip(" ")
    extension = raw[8:].decode("cp437").rstrip(" ")
    name = name.lower() if case & _LOWER_BASE else name
    extension = extension.lower() if case & _LOWER_EXTENSION else extension
    return (f"{name}.{extension}" if extension else name).replace("/", "\ufffd")


def _split(pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        for at in range(0, len(piece) - _ENTRY_SIZE + 1, _ENTRY_SIZE):
            yield piece[at : at + _ENTRY_SIZE]


def changed(one: Volume, other: Volume, ranges: Ranges) -> Iterator[FileChange]:
    """Each file that differs, by path. Raises OSError, LimitError."""
    before, after = files(one), files(other)
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if new is None or old is None:
            kind: Kind = "added" if old is None else "removed"
        elif old != new or any(
            one.read(*part) != other.read(*part) for part in _common(new.extents, ranges)
        ):
            kind = "changed"
        else:
            continue
        found = new or old
        yield FileChange(kind, path + ("/" if found is not None and found.is_directory else ""))


def _common(extents: tuple[tuple[int, int], ...], ranges: Ranges) -> Iterator[tuple[int, int]]:
    """What of the extents is in the ranges."""
    for offset, length in extents:
        at = max(bisect_right(ranges, (offset, 1 << 62)) - 1, 0)
        for index in range(at, len(ranges)):
            start, size = ranges[index]
            if start >= offset + length:
                break
            first = max(start, offset)
            if first < (end := min(start + size, offset + length)):
                yield from ((part, min(_WINDOW, end - part)) for part in range(first, end, _WINDOW))
