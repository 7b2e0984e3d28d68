# SPDX-License-Identifier: BSD-2-Clause
"""Where RAM came from, and which of its pages have changed since.

Everything is counted against one immutable object, the base, from the moment that memory and base
were equal until another base takes its place. Nothing is ever reset in between, so a commit that
fails loses nothing: the next one finds the same pages again, and those changed since.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from manager.bus.memory import PAGE, Ram
from manager.lazy import dataclass
from manager.snapshot import native, ram, runs
from manager.snapshot.disk_entry import HASH_BYTES
from manager.snapshot.manifest import RamEntry, RamObject

_MOST_LINKS = 60_000
"""ext4 gives a file 65000 names at most."""


class Tracker(Protocol):
    """The kernel's account of which pages have changed."""

    def changed(self, memory: Ram) -> bytes:
        """A run list, which may hold pages that only look changed. Raises OSError if unknown."""


@contextmanager
def _pagemap() -> Iterator[int]:
    fd = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


class CopiedPages:
    """For a private mapping of the base: a page that was written to is no page of the file."""

    def __init__(self, *ways: Callable[[int, Ram], bytes]) -> None:
        self._ways = ways or (native.scan_copied, native.pagemap_copied)

    def changed(self, memory: Ram) -> bytes:
        """By the PAGEMAP_SCAN ioctl of Linux 6.7, else by reading the page map."""
        with _pagemap() as pagemap:
            for way in self._ways[:-1]:
                try:
                    return way(pagemap, memory)
                except OSError:
                    continue
            return self._ways[-1](pagemap, memory)


class WrittenPages:
    """For any memory: userfaultfd lets the kernel note writes from now on (Linux 6.7)."""

    def __init__(self, memory: Ram) -> None:
        self._watch = -1
        self._watch = native.open_watch()
        self.restart(memory)

    def restart(self, memory: Ram) -> None:
        """Forget what was written until now. Raises OSError."""
        native.watch(self._watch, memory)

    def changed(self, memory: Ram) -> bytes:
        """By the PAGEMAP_SCAN ioctl."""
        with _pagemap() as pagemap:
            return native.scan_written(pagemap, memory)

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        # `os` may be gone when the interpreter ends.
        if self._watch >= 0:
            close(self._watch)


class NoTracker:
    """For kernels without any of these: every segment is hashed and compared."""

    def changed(self, memory: Ram) -> bytes:
        """Always raises OSError."""
        raise OSError("not tracked")


@dataclass(slots=True)
class Backing:
    """The base of some memory and how to find what has changed against it."""

    directory: Path
    """A snapshot that has the base."""
    snapshot: bytes
    """The id of the snapshot that the machine went on from."""
    base: RamObject
    offset: int
    """Where in the base the memory begins."""
    tracker: Tracker
    inherited: bytes = runs.NONE
    """Pages that differed from the base from the outset: those of the delta."""

    def changed(self, memory: Ram) -> bytes:
        """The run list of pages that may differ from the base. Raises OSError."""
        try:
            found = self.tracker.changed(memory)
        except OSError:
            return self.compared(memory)
        return runs.union(self.inherited, found)

    def touched(self, memory: Ram) -> set[int]:
        """The segments of the base that were read or written through `memory`, and perhaps some
        beside them. Raises OSError where the kernel does not say.
        """
        with _pagemap() as pagemap:
            found = native.pagemap_touched(pagemap, memory)
        at, segment = self.offset, self.base.segment
        spans = ((at + first * PAGE, at + (first + n) * PAGE - 1) for first, n in runs.pairs(found))
        return {
            number
            for start, last in spans
            for number in range(start // segment, last // segment + 1)
        }

    def used(self, memory: Ram) -> Iterator[tuple[int, int]]:
        """(offset, length) of stretches outside of which `memory` has only zeros."""
        try:
            touched = CopiedPages().changed(memory)
        except OSError:
            yield 0, len(memory)
            return
        for first, pages in runs.pairs(touched):
            yield first * PAGE, pages * PAGE
        if not isinstance(self.tracker, CopiedPages):
            return
        for first, pages in runs.pairs(self.inherited):
            yield first * PAGE, pages * PAGE
        with ram.opened(self.directory, self.base, "") as fd:
            for start, end in ram.data_within(fd, self.offset, self.offset + len(memory)):
                yield start - self.offset, end - start

    def compared(self, memory: Ram) -> bytes:
        """The same without the kernel's help, and exact: compare hashes, then pages."""
        found: list[tuple[int, int]] = []
        segment = self.base.segment
        with ram.opened(self.directory, self.base, "") as fd, memoryview(memory) as view:
            for start in range(0, len(view), segment):
                piece = view[start : start + segment]
                at = self.offset + start
                index = at // segment * HASH_BYTES
                if at % segment == 0 and ram.segment_hash(piece) == bytes(
                    self.base.hashes[index : index + HASH_BYTES]
                ):
                    continue
                with mmap.mmap(fd, len(piece), prot=mmap.PROT_READ, offset=at) as saved:
                    different = native.differing(piece, saved)
                first = start // PAGE
                found += [(first + page, pages) for page, pages in runs.pairs(different)]
        return runs.pack(found)

    def can_link(self, device: int) -> bool:
        """Whether the base can be linked into a directory on the filesystem `device`."""
        try:
            status = (self.directory / self.base.file).lstat()
        except OSError:
            return False
        return (
            status.st_dev == device
            and status.st_size == self.base.length
            and status.st_nlink < _MOST_LINKS
        )


def backing_of(memory: object) -> Backing | None:
    """What some memory is counted against; None when it did not come from a snapshot."""
    found = memory.backing if isinstance(memory, Ram) else None
    return found if isinstance(found, Backing) else None


def begin(memory: Ram, directory: Path, snapshot: bytes, base: RamObject, entry: RamEntry) -> None:
    """From now on, while it equals what was just saved, note what changes in `memory`."""
    tracker: Tracker = NoTracker()
    before = backing_of(memory)
    with suppress(OSError):
        if before is not None and isinstance(before.tracker, WrittenPages):
            before.tracker.restart(memory)
            tracker = before.tracker
        else:
            tracker = WrittenPages(memory)
    memory.backing = Backing(directory, snapshot, base, entry.offset, tracker)
