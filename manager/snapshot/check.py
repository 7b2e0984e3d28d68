# SPDX-License-Identifier: BSD-2-Clause
"""Comparing objects with their hashes, as a whole or segment by segment in any order."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from blake3 import blake3

from manager.snapshot import ram
from manager.snapshot.disk_entry import HASH_BYTES
from manager.snapshot.faults import corrupt
from manager.snapshot.manifest import RamObject

_WINDOW = 4 << 20

Advance = Callable[[int], None]
"""Called with the progress of long work, every so many bytes."""
PlaceOf = Callable[[int, int], str]
"""Says what the bytes from a start to an end of an object are to the guest."""


def unwatched(count: int) -> None:
    """Progress is not reported."""


class ObjectCheck:
    """One object, whose file stays open until `close`.

    Raises SnapshotCorruptError when the hashes themselves are wrong, or the file is not there.
    """

    def __init__(self, directory: Path, entry: RamObject, place_of: PlaceOf, writer: str) -> None:
        self._path = directory / entry.file
        self._entry = entry
        self._place_of = place_of
        self._writer = writer
        digest = ram.root_hash(entry.length, entry.segment, bytes(entry.hashes))
        if digest != entry.hash:
            fault = f"expected hash {entry.hash.hex()}, got {digest.hex()} from the segment hashes"
            raise corrupt(self._path, fault, writer=writer)
        self._stack = ExitStack()
        self._fd = self._stack.enter_context(ram.opened(directory, entry, writer))

    @property
    def segments(self) -> range:
        """The numbers of its segments."""
        return range(-(-self._entry.length // self._entry.segment))

    def span(self, index: int) -> tuple[int, int]:
        """From where to where in the file a segment is."""
        start = index * self._entry.segment
        return start, min(start + self._entry.segment, self._entry.length)

    def compare(self, index: int) -> None:
        """Read a segment. Raises SnapshotCorruptError when it is not what was saved, OSError."""
        start, end = self.span(index)
        expected = bytes(self._entry.hashes[index * HASH_BYTES : (index + 1) * HASH_BYTES])
        if expected == ram.ZERO_HASH:
            self._require_zeros(index, start, end)
        elif (got := self._hash(start, end)) != expected:
            fault = f"segment {index}: expected hash {expected.hex()}, got {got.hex()}"
            where = self._place_of(start, end)
            raise corrupt(self._path, f"{fault}, in {where}", offset=start, writer=self._writer)

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    def _hash(self, start: int, end: int) -> bytes:
        digest = blake3()
        for at in range(start, end, _WINDOW):
            digest.update(os.pread(self._fd, min(_WINDOW, end - at), at))
        return digest.digest()

    def _require_zeros(self, index: int, start: int, end: int) -> None:
        for first, stop in ram.data_within(self._fd, start, end):
            for at in range(first, stop, _WINDOW):
                content = os.pread(self._fd, min(_WINDOW, stop - at), at)
                if rest := content.lstrip(b"\0"):
                    wrong = at + len(content) - len(rest)
                    where = self._place_of(wrong, wrong + 1)
                    fault = f"segment {index}: expected zeros, got {rest[0]:#04x} in {where}"
                    raise corrupt(self._path, fault, offset=wrong, writer=self._writer)


def verify_object(
    directory: Path,
    entry: RamObject,
    place_of: PlaceOf,
    writer: str,
    advance: Advance = unwatched,
) -> None:
    """Read a whole object and compare it with its hashes; raises at the first difference."""
    with closing(ObjectCheck(directory, entry, place_of, writer)) as check:
        for index in check.segments:
            start, end = check.span(index)
            advance(end - start)
            check.compare(index)
