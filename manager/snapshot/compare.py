# SPDX-License-Identifier: BSD-2-Clause
"""In which pages of RAM and blocks of disks two snapshots differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from manager.bus.memory import PAGE
from manager.snapshot import native, runs
from manager.snapshot.manifest import RamEntry
from manager.snapshot.read import Snapshot
from manager.storage.base import BLOCK
from manager.storage.disk import Disk

_WINDOW = 4 << 20


def ram_differences(one: Snapshot, other: Snapshot) -> list[tuple[int, int]]:
    """(guest physical address, length) of the ranges of pages that differ, ascending.

    Addresses that only one of them has count as different. Where both share a base, only the pages
    of their deltas are read.
    """
    mapped = [dict(side.map_ram()) for side in (one, other)]
    entries = [{entry.base: entry for entry in side.manifest.ram} for side in (one, other)]
    found: list[tuple[int, int]] = []
    for base in sorted(entries[0].keys() | entries[1].keys()):
        before, after = (side.get(base) for side in entries)
        if before is None or after is None or before.length != after.length:
            present = [entry.length for entry in (before, after) if entry is not None]
            found.append((base, max(present)))
            continue
        views = [memoryview(side[base]) for side in mapped]
        for start, length in _windows(before, after):
            pieces = [view[start : start + length] for view in views]
            for first, pages in runs.pairs(native.differing(*pieces)):
                _add(found, base + start + first * PAGE, pages * PAGE)
    return found


def disk_differences(one: Disk, other: Disk) -> list[tuple[int, int]]:
    """(offset, length) of the ranges of blocks of 4 KiB that differ, ascending.

    Where both begin with the same, only what is in layers of one alone is read. The bytes that only
    the longer one has count as different. Raises OSError.
    """
    end = min(one.size, other.size)
    blocks = -(-end // BLOCK)
    if one.base.digest == other.base.digest:
        names = [{layer.name for layer in disk.layers} for disk in (one, other)]
        own = names[0] ^ names[1]
        layers = [layer for layer in (*one.layers, *other.layers) if layer.name in own]
        chosen: Iterable[int] = sorted({block for layer in layers for block in layer})
    else:
        chosen = range(blocks)
    found: list[tuple[int, int]] = []
    for first, count in _stretches(block for block in chosen if block < blocks):
        start = first * BLOCK
        length = min(count * BLOCK, end - start)
        before, after = (disk.read(start, length) for disk in (one, other))
        if before == after:
            continue
        for at in range(0, length, BLOCK):
            if before[at : at + BLOCK] != after[at : at + BLOCK]:
                _add(found, start + at, min(BLOCK, length - at))
    if (longest := max(one.size, other.size)) > end:
        _add(found, end, longest - end)
    return found


def _stretches(blocks: Iterable[int]) -> Iterator[tuple[int, int]]:
    """(first, count) of ascending blocks that follow each other, a window's at most."""
    first, count = 0, 0
    for block in blocks:
        if count and block == first + count and count < _WINDOW // BLOCK:
            count += 1
            continue
        if count:
            yield first, count
        first, count = block, 1
    if count:
        yield first, count


def _windows(one: RamEntry, other: RamEntry) -> Iterator[tuple[int, int]]:
    """(offset, length) of the parts of a range that may differ."""
    if (one.file, one.offset) == (other.file, other.offset):
        for first, pages in runs.pairs(runs.union(one.runs, other.runs)):
            yield first * PAGE, pages * PAGE
    else:
        for start in range(0, one.length, _WINDOW):
            yield start, min(_WINDOW, one.length - start)


def _add(found: list[tuple[int, int]], base: int, length: int) -> None:
    if found and sum(found[-1]) == base:
        start, before = found.pop()
        base, length = start, before + length
    found.append((base, length))
