# SPDX-License-Identifier: BSD-2-Clause
"""Cutting files into chunks, so that files which have pages in common have chunks in common.

A chunk ends after a page whose CRC says so, not at a fixed place: where pages were put in or
taken out, as in a delta of RAM, only the chunks around that place differ. A stretch of pages of
zeros ends a chunk too, and is no part of any.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator

from manager.bus.memory import PAGE
from manager.snapshot.ram import data_within

LEAST = 16 * PAGE
"""Bytes of a chunk, but at the end of data."""
MOST = 256 * PAGE
_MASK = 63
"""One page in 64 ends a chunk that is long enough."""
_GAP = 16 * PAGE
"""So many zeros part two chunks; fewer cost less inside one."""
_WHOLE = 1 << 30
"""Bytes of a file up to which these sizes hold; in one of twice as many they are doubled."""
MOST_DOUBLINGS = 6
_ZEROS = bytes(PAGE)
_WINDOW = 1 << 20


def doublings(length: int) -> int:
    """How often the sizes are doubled in a file of `length` bytes, so that it has few chunks.

    It depends on this file alone, so that snapshots which share it have the same chunks of it.

    >>> doublings(256 << 20), doublings(3 << 30)
    (0, 2)
    """
    return max(0, ((length - 1) // _WHOLE).bit_length())


def cuts(fd: int, length: int) -> Iterator[tuple[int, bytes]]:
    """(offset, content) of each chunk of a file of `length` bytes, by ascending offset.

    Raises OSError.
    """
    doubled = doublings(length)
    least, most, widest = LEAST << doubled, MOST << doubled, _GAP << doubled
    mask = (_MASK + 1 << doubled) - 1
    start = end = 0
    chunk = bytearray()
    for at, page in _pages(fd, length):
        gap = at - end
        if chunk and (gap >= widest or len(chunk) + gap + PAGE > most):
            yield start, bytes(chunk)
            chunk.clear()
        if not chunk:
            start, gap = at, 0
        chunk += bytes(gap)
        chunk += page
        end = at + len(page)
        if len(chunk) >= most or (len(chunk) >= least and not zlib.crc32(page) & mask):
            yield start, bytes(chunk)
            chunk.clear()
    if chunk:
        yield start, bytes(chunk)


def _pages(fd: int, length: int) -> Iterator[tuple[int, bytes]]:
    """(offset, content) of each page that is not zeros; the last may be short."""
    done = 0
    for start, stop in data_within(fd, 0, length):
        for at in range(max(done, start // PAGE * PAGE), stop, _WINDOW):
            window = os.pread(fd, min(_WINDOW, -(-stop // PAGE) * PAGE - at), at)
            for place in range(0, len(window), PAGE):
                page = window[place : place + PAGE]
                if page != _ZEROS[: len(page)]:
                    yield at + place, page
        done = -(-stop // PAGE) * PAGE
