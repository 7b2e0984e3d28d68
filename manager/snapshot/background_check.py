# SPDX-License-Identifier: BSD-2-Clause
"""Comparing RAM with its hashes while a machine runs on it already.

A thread reads the files that RAM was mapped from, and nothing of the machine: what the guest does
is the same with it and without. It rests between segments, so that the guest has most of the host.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from functools import partial
from threading import Event, Thread

from manager.bus.memory import Ram
from manager.errors import VmmgrError
from manager.snapshot.backing import backing_of
from manager.snapshot.check import ObjectCheck
from manager.snapshot.faults import host_failures
from manager.snapshot.places import place_of
from manager.snapshot.read import Snapshot

_REST = 3
"""How much longer the thread rests than it works."""
_LOOK = 64
"""Segments between two looks at what the guest has touched."""

Segment = tuple[str, int]
"""An object's file, and the number of the segment in it."""


class BackgroundCheck:
    """Compares the RAM of `snapshot`, which `memory` was mapped from, until one segment is wrong.

    What the guest has touched comes first, and deltas, which hold what it wrote last. The files
    stay open until `close`. Raises SnapshotCorruptError when one is missing.
    """

    def __init__(self, snapshot: Snapshot, memory: Iterable[Ram]) -> None:
        self._directory = snapshot.directory
        self._memory = list(memory)
        self._checks: dict[str, ObjectCheck] = {}
        self._stop = Event()
        self._thread: Thread | None = None
        self._fault: VmmgrError | None = None
        manifest = snapshot.manifest
        deltas = {region.delta for region in manifest.ram}
        used = deltas | {region.file for region in manifest.ram}
        with ExitStack() as stack:
            for entry in manifest.objects:
                if entry.file in used:
                    where = partial(place_of, manifest, entry.file)
                    check = ObjectCheck(self._directory, entry, where, snapshot.header.writer)
                    stack.callback(check.close)
                    self._checks[entry.file] = check
            self._files = stack.pop_all()
        self._left = [(file, at) for file, check in self._checks.items() for at in check.segments]
        self._first = {segment for segment in self._left if segment[0] in deltas}

    @property
    def is_over(self) -> bool:
        """Whether all was compared, or something was found."""
        return self._fault is not None or not self._left

    @property
    def fault(self) -> VmmgrError | None:
        """What is wrong, as far as is known."""
        return self._fault

    def start(self, when_over: Callable[[], None]) -> None:
        """Begin; `when_over` is called in the thread, unless `finish` or `close` is faster."""

        def run() -> None:
            self._go(resting=True)
            if self.is_over:
                when_over()

        self._thread = Thread(target=run, name="background check", daemon=True)
        self._thread.start()

    def finish(self) -> VmmgrError | None:
        """Compare the rest now, without a rest; what is wrong, if anything."""
        self._halt()
        self._go(resting=False)
        return self._fault

    def close(self) -> None:
        """Compare no more, and close the files."""
        self._halt()
        self._files.close()
        self._memory.clear()

    def _halt(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _go(self, *, resting: bool) -> None:
        done = 0
        while not self.is_over:
            if resting and done % _LOOK == 0:
                soon = self._first | self._touched()
                self._left.sort(key=lambda segment: segment not in soon)
            began = time.monotonic()
            self._compare(self._left[0])
            done += 1
            if resting and self._stop.wait(_REST * (time.monotonic() - began)):
                return

    def _compare(self, segment: Segment) -> None:
        file, index = segment
        try:
            with host_failures(f"cannot read the RAM of {self._directory}", "try again"):
                self._checks[file].compare(index)
        except VmmgrError as error:
            self._fault = error
        else:
            self._left.pop(0)

    def _touched(self) -> set[Segment]:
        """What the guest has read or written; empty where the host does not say."""
        found: set[Segment] = set()
        with suppress(OSError, ValueError):  # the latter: the machine has let go of its RAM
            for memory in self._memory:
                if (backing := backing_of(memory)) is not None:
                    found |= {(backing.base.file, at) for at in backing.touched(memory)}
        return found
