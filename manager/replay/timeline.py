# SPDX-License-Identifier: BSD-2-Clause
"""Going back: checkpoints of a running machine, and replay from the one before the wanted time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from manager.bus.clock import SECOND
from manager.errors import HostError, SnapshotMismatchError, UsageError, VmmgrError
from manager.lazy import dataclass
from manager.machine.inputs import Input
from manager.replay import digests
from manager.replay.entries import Check, End, Entry, Header
from manager.replay.replay import Replay, machine_at_start, restored, seconds
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


@dataclass(slots=True)
class Rewound:
    """A machine that was brought back to an earlier time."""

    machine: Machine
    sent: dict[str, int]
    """How many bytes each port had sent by then."""
    entries: list[Entry]
    """What the log of the branch begins with."""
    start: Checkpoint | None
    """Where the replay began; None for the log's own start."""
    replayed: int
    """Virtual ns that were run again for it."""


@dataclass(slots=True)
class Timeline:
    """The checkpoints of one machine, for as far back as `window` (virtual ns); 0 keeps none."""

    store: Store
    window: int
    checkpoints: list[Checkpoint] = field(default_factory=list)
    base: Checkpoint | None = None
    """A state kept elsewhere, at which this process began."""
    abandoned: list[str] = field(default_factory=list)
    """Tags of checkpoints on other branches, and of forks."""
    fault: str = ""
    """Why there are no more checkpoints."""
    _next_at: int | None = None
    _next_work: int = 0
    _rested_at: float = 0.0
    """The host's time: a machine that skips idle time would spend its time on saving itself."""

    def clear(self) -> None:
        """Forget the checkpoints of an earlier process."""
        with suppress(VmmgrError):
            for tag in self.store.tags():
                if tag.startswith((AUTO, FORK)):
                    self.store.discard(tag)

    def due(self, machine: Machine) -> bool:
        """Whether a checkpoint is due; the first one waits, so as not to slow the start."""
        if not self.window or self.fault:
            return False
        now, work = machine.now(), _work(machine)
        if self._next_at is None:
            self._next_at, self._next_work = now + INTERVAL // 4, work + WORK
        return (now >= self._next_at or work >= self._next_work) and (
            time.monotonic() >= self._rested_at
        )

    def take(self, machine: Machine, sent: Callable[[], Mapping[str, int]]) -> None:
        """Save the machine, which goes on; a failure is kept in `fault`, not raised."""
        began = time.monotonic()
        image = machine.run_to_image()
        at = image.virtual_time
        tag = f"{AUTO}{at // 1_000_000}ms"
        self._next_at, self._next_work = at + INTERVAL, _work(machine) + WORK
        if self.checkpoints and self.checkpoints[-1].tag == tag:
            return
        try:
            path = self.store.commit(image, tag, goes_on=True)
            self.checkpoints.append(Checkpoint(at, tag, path, dict(sent())))
            self._thin(at)
        except (HostError, OSError) as error:
            self.fault = str(error)
        now = time.monotonic()
        self._rested_at = now + min(REST * (now - began), LONGEST_REST)

    def _thin(self, now: int) -> None:
        """Remove checkpoints that are too old, too close together or too many."""
        kept: list[Checkpoint] = []
        distance = 0
        for number, item in enumerate(reversed(self.checkpoints)):
            if number >= DENSE:
                distance = INTERVAL << ((number - DENSE) // DENSE + 1)
            if now - item.at <= self.window and (
                not kept or kept[-1].at - item.at >= min(distance, self.window)
            ):
                kept.append(item)
            else:
                self.store.discard(item.tag)
        self.checkpoints = kept[::-1]
        while len(self.checkpoints) > DENSE and self._size() > BUDGET:
            self.store.discard(self.checkpoints.pop(0).tag)

    def _size(self) -> int:
        seen: dict[int, int] = {}
        for item in self.checkpoints:
            with suppress(OSError):
                for entry in item.path.iterdir():
                    status = entry.lstat()
                    seen[status.st_ino] = status.st_blocks * 512
        return sum(seen.values())

    def back_to(
        self, target: int, header: Header, entries: Sequence[Entry], begun_with: Mapping[str, int]
    ) -> Rewound:
        """The machine at virtual time `target`; `entries` are all of this process's log.

        `begun_with` is what ports had sent when the log began. Raises UsageError for a time before
        the log, VmmgrError when the run cannot be reproduced.
        """
        if target < header.start.at:
            raise UsageError(
                f"the machine's record begins at {seconds(header.start.at)}",
                help="earlier states are in its snapshots, if there are any",
            )
        nearest = [item for item in self.checkpoints if item.at <= target]
        start = nearest[-1] if nearest else self._base(target)
        machine = self._at(start, header)
        sent = dict(start.sent if start is not None else begun_with)

        def hear(port: str, data: bytes) -> None:
            sent[port] += len(data)

        known: list[Entry] = [
            entry for entry in entries if entry.at <= target and not isinstance(entry, End)
        ]
        replay = Replay(machine, header.records, known, begun_at=header.start.at, output=hear)
        divergence = replay.run(target)
        if divergence is not None:
            machine.close()
            raise SnapshotMismatchError(
                "the way back cannot be reproduced; the machine runs on\n"
                + "\n".join(divergence.lines()),
                help="please report it; `vmmgr verify FILE` may tell more",
            )
        machine.inputs.recall()
        known.append(Check(target, None, digests.joined(machine.records())))
        if nearest:
            self._mark_fork(nearest[-1])
        self._abandon(self.checkpoints[len(nearest) :])
        self.checkpoints = nearest
        self._next_at, self._next_work = target + INTERVAL, _work(machine) + WORK
        begun = start.at if start is not None else header.start.at
        return Rewound(machine, sent, known, start, target - begun)

    def _base(self, target: int) -> Checkpoint | None:
        base = self.base
        return base if base is not None and base.at <= target and base.path.is_dir() else None

    @staticmethod
    def _at(start: Checkpoint | None, header: Header) -> Machine:
        from manager.replay.replay import graph_of
        from manager.snapshot.read import open_snapshot

        if start is None:
            return machine_at_start(header)
        return restored(graph_of(header), open_snapshot(start.path))

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
                self.store.discard(self.abandoned.pop(0))


def _work(machine: Machine) -> int:
    """Bytes of code that were executed: what a replay has to do again."""
    ticks, charged = machine.engine.time
    return ticks - charged


def input_before(entries: Sequence[Entry], now: int, count: int) -> int:
    """The virtual time just before the `count`-th last input. Raises UsageError."""
    times = sorted({entry.at for entry in entries if isinstance(entry, Input) and entry.at <= now})
    if len(times) < count:
        raise UsageError(
            f"only {len(times)} inputs are recorded", help="`vmmgr rewind NAME TIME` goes further"
        )
    return times[-count] - 1
