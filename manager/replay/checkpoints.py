# SPDX-License-Identifier: BSD-2-Clause
"""Checkpoints of a run: when they are taken, and which of them are kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from manager.bus.clock import SECOND
from manager.errors import HostError, VmmgrError
from manager.lazy import dataclass
from manager.snapshot.store import Store

if TYPE_CHECKING:
    from manager.machine.machine import Machine

AUTO = "auto."
"""Tags of checkpoints begin with this, and the virtual time in ms follows."""
FORK = "fork."
"""Tags of checkpoints from which a branch has grown."""
INTERVAL = SECOND
"""Virtual ns between checkpoints of the last while."""
WORK = 200_000_000
"""Bytes of code after which a busy machine gets a checkpoint earlier: half a second's work."""
DENSE = 8
"""Checkpoints that are kept at that distance; before them it doubles again and again."""
REST = 30
"""How many times as long as saving takes nothing is saved after it: at most 3 % goes there."""
LONGEST_REST = 1.0
"""Seconds; the first checkpoint, of all RAM, takes longer than the others."""
BUDGET = 1 << 30
"""Bytes that checkpoints may take on disk."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A saved state of this run."""

    at: int
    """Virtual time in ns."""
    tag: str
    path: Path
    sent: Mapping[str, int]
    """How many bytes each port had sent since the process began."""


def _folder(item: Checkpoint) -> Sequence[Path]:
    return (item.path,)


class Checkpoints:
    """Those of a run that goes on, for as far back as `window` (virtual ns); 0 keeps none.

    `drop` removes one by its tag, `folders` names all that one has on disk.
    """

    def __init__(
        self,
        store: Store,
        window: int,
        *,
        drop: Callable[[str], None] | None = None,
        folders: Callable[[Checkpoint], Sequence[Path]] = _folder,
    ) -> None:
        self.store = store
        self.window = window
        self.kept: list[Checkpoint] = []
        self.abandoned: list[str] = []
        """Tags of checkpoints on other branches, and of forks."""
        self.fault = ""
        """Why there are no more checkpoints."""
        self._drop = drop if drop is not None else store.discard
        self._folders = folders
        self._next_at: int | None = None
        self._next_work = 0
        self._rested_at = 0.0
        """The host's time: a machine that skips idle time would spend its time on saving itself."""

    def clear(self) -> None:
        """Forget the checkpoints of an earlier process."""
        with suppress(VmmgrError):
            for tag in self.store.tags():
                if tag.startswith((AUTO, FORK)):
                    self._drop(tag)

    def are_due(self, now: int, work: int) -> bool:
        """Whether a checkpoint is due at `now`; the first one waits, so as not to slow the start.

        `work` is how much was executed by then, see `work_of`.
        """
        if not self.window or self.fault:
            return False
        if self._next_at is None:
            self._next_at, self._next_work = now + INTERVAL // 4, work + WORK
        return (now >= self._next_at or work >= self._next_work) and (
            time.monotonic() >= self._rested_at
        )

    def add(
        self,
        at: int,
        work: int,
        save: Callable[[str], Path],
        sent: Callable[[], Mapping[str, int]],
    ) -> None:
        """Have the state of `at` saved, with a tag; a failure is kept in `fault`, not raised.

        `sent` is asked after that.
        """
        began = time.monotonic()
        tag = f"{AUTO}{at // 1_000_000}ms"
        self._next_at, self._next_work = at + INTERVAL, work + WORK
        if self.kept and self.kept[-1].tag == tag:
            return
        try:
            path = save(tag)
            self.kept.append(Checkpoint(at, tag, path, dict(sent())))
            self._thin(at)
        except (HostError, OSError) as error:
            self.fault = str(error)
        now = time.monotonic()
        self._rested_at = now + min(REST * (now - began), LONGEST_REST)

    def _thin(self, now: int) -> None:
        """Remove checkpoints that are too old, too close together or too many."""
        kept: list[Checkpoint] = []
        distance = 0
        for number, item in enumerate(reversed(self.kept)):
            if number >= DENSE:
                distance = INTERVAL << ((number - DENSE) // DENSE + 1)
            if now - item.at <= self.window and (
                not kept or kept[-1].at - item.at >= min(distance, self.window)
            ):
                kept.append(item)
            else:
                self._drop(item.tag)
        self.kept = kept[::-1]
        while len(self.kept) > DENSE and self._size() > BUDGET:
            self._drop(self.kept.pop(0).tag)

    def _size(self) -> int:
        seen: dict[int, int] = {}
        for folder in (folder for item in self.kept for folder in self._folders(item)):
            with suppress(OSError):
                for entry in folder.iterdir():
                    status = entry.lstat()
                    seen[status.st_ino] = status.st_blocks * 512
        return sum(seen.values())

    def before(self, target: int) -> Checkpoint | None:
        """The last one that is not after `target`."""
        return next((item for item in reversed(self.kept) if item.at <= target), None)

    def went_back(self, target: int, work: int) -> None:
        """The run goes on from `target`, on a branch of its own."""
        nearest = [item for item in self.kept if item.at <= target]
        if nearest:
            self._mark_fork(nearest[-1])
        self._abandon(self.kept[len(nearest) :])
        self.kept = nearest
        self._next_at, self._next_work = target + INTERVAL, work + WORK

    def _mark_fork(self, start: Checkpoint) -> None:
        """Keep the state that two time lines have in common, for the tree of snapshots."""
        tag = f"{FORK}{start.at // 1_000_000}ms"
        with suppress(VmmgrError):
            self.store.tag(tag, start.path)
            self.abandoned = [*(known for known in self.abandoned if known != tag), tag]

    def _abandon(self, others: Sequence[Checkpoint]) -> None:
        """Keep a few states of the time lines that were left, to be looked at."""
        self.abandoned += [item.tag for item in others]
        while len(self.abandoned) > DENSE:
            with suppress(VmmgrError):
                self._drop(self.abandoned.pop(0))


def work_of(machine: Machine) -> int:
    """Bytes of code that were executed: what a replay has to do again."""
    ticks, charged = machine.engine.time
    return ticks - charged
