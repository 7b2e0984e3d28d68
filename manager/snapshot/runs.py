# SPDX-License-Identifier: BSD-2-Clause
"""Lists of page runs: byte strings of pairs of 32-bit little-endian numbers.

A pair is the index of a page and how many pages follow from there, itself included. Runs ascend
and neither overlap nor are empty. One form serves the native code, the manifest and the scans.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from manager.bus.memory import PAGE

_PAIR = struct.Struct("<II")
SIZE = _PAIR.size
NONE = b""


def pack(pairs: Iterable[tuple[int, int]]) -> bytes:
    """A run list of (first page, pages); neighbours are joined.

    >>> list(pairs(pack([(1, 2), (3, 1), (9, 1)])))
    [(1, 3), (9, 1)]
    """
    joined: list[tuple[int, int]] = []
    for first, pages in pairs:
        if joined and sum(joined[-1]) == first:
            start, before = joined.pop()
            joined.append((start, before + pages))
        else:
            joined.append((first, pages))
    return b"".join(_PAIR.pack(first, pages) for first, pages in joined)


def pairs(runs: bytes) -> Iterator[tuple[int, int]]:
    """The (first page, pages) of each run."""
    return _PAIR.iter_unpack(runs)


def count(runs: bytes) -> int:
    """How many pages there are in all."""
    return sum(pages for _, pages in pairs(runs))


def size(runs: bytes) -> int:
    """Bytes of all the pages."""
    return count(runs) * PAGE


def union(one: bytes, other: bytes) -> bytes:
    """The pages that are in either list."""
    if one == other or not other:
        return one
    if not one:
        return other
    merged: list[tuple[int, int]] = []
    for first, pages in sorted([*pairs(one), *pairs(other)]):
        if merged and first <= sum(merged[-1]):
            start, length = merged[-1]
            merged[-1] = (start, max(length, first + pages - start))
        else:
            merged.append((first, pages))
    return pack(merged)


def fault(runs: bytes, limit: int) -> str:
    """What is wrong with a run list of pages 0 to `limit` - 1, or an empty string."""
    if len(runs) % SIZE:
        return "it has half a run"
    end = -1
    for first, pages in pairs(runs):
        if first <= end:
            return f"the run at page {first:#x} does not lie apart from the one before it"
        if pages == 0:
            return f"the run at page {first:#x} is empty"
        end = first + pages
        if end > limit:
            return f"the run at page {first:#x} ends beyond the range"
    return ""
