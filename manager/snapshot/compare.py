# SPDX-License-Identifier: BSD-2-Clause
"""In which pages of RAM two snapshots differ."""

from __future__ import annotations

from collections.abc import Iterator

from manager.bus.memory import PAGE
from manager.snapshot import native, runs
from manager.snapshot.manifest import RamEntry
from manager.snapshot.read import Snapshot

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
