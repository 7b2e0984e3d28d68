# SPDX-License-Identifier: BSD-2-Clause
"""Going back: checkpoints of a running machine, and replay from the one before the wanted time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from manager.errors import SnapshotMismatchError, UsageError
from manager.lazy import dataclass
from manager.machine.inputs import Input
from manager.replay import digests
from manager.replay.checkpoints import Checkpoint, Checkpoints, work_of
from manager.replay.checks import seconds
from manager.replay.entries import Check, End, Entry, Header
from manager.replay.replay import Replay, machine_at_start, restored

if TYPE_CHECKING:
    from manager.machine.machine import Machine
    from manager.snapshot.store import Store


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
    replayed: int = 0
    """Virtual ns that were run again for it."""


class Timeline(Checkpoints):
    """The checkpoints of one machine, and the way back by them."""

    def __init__(self, store: Store, window: int) -> None:
        super().__init__(store, window)
        self.base: Checkpoint | None = None
        """A state kept elsewhere, at which this process began."""

    def due(self, machine: Machine) -> bool:
        """Whether a checkpoint is due."""
        return self.are_due(machine.now(), work_of(machine))

    def take(self, machine: Machine, sent: Callable[[], Mapping[str, int]]) -> None:
        """Save the machine, which goes on; a failure is kept in `fault`, not raised."""
        image = machine.run_to_image()
        self.add(
            image.virtual_time,
            work_of(machine),
            lambda tag: self.store.commit(image, tag, goes_on=True),
            sent,
        )

    def back_to(
        self, target: int, header: Header, entries: Sequence[Entry], begun_with: Mapping[str, int]
    ) -> Rewound:
        """The machine at virtual time `target`; `entries` are all of this process's log.

        `begun_with` is what ports had sent when the log began. `went_back` is to follow when that
        machine goes on. Raises UsageError for a time before the log, VmmgrError when the run cannot
        be reproduced.
        """
        require_recorded(target, header.start.at)
        start = self.before(target) or self._base(target)
        machine = at_checkpoint(start, header)
        sent = dict(start.sent if start is not None else begun_with)

        def hear(port: str, data: bytes) -> None:
            sent[port] += len(data)

        known = known_at(target, entries)
        replay = Replay(machine, header.records, known, begun_at=header.start.at, output=hear)
        divergence = replay.run(target)
        if divergence is not None:
            machine.close()
            raise not_reproduced("the machine", divergence.lines())
        replay.leave()
        settle(machine, known, target)
        begun = start.at if start is not None else header.start.at
        return Rewound(machine, sent, known, start, target - begun)

    def _base(self, target: int) -> Checkpoint | None:
        base = self.base
        return base if base is not None and base.at <= target and base.path.is_dir() else None


def require_recorded(target: int, begun: int, called: str = "the machine") -> None:
    """Raise UsageError for a time before the record has begun."""
    if target < begun:
        raise UsageError(
            f"{called}'s record begins at {seconds(begun)}",
            help="earlier states are in its snapshots, if there are any",
        )


def known_at(target: int, entries: Sequence[Entry]) -> list[Entry]:
    """What is recorded of the time up to `target`."""
    return [entry for entry in entries if entry.at <= target and not isinstance(entry, End)]


def at_checkpoint(start: Checkpoint | None, header: Header) -> Machine:
    """The machine of a log as it was then, or where the log begins. Raises VmmgrError."""
    from manager.replay.replay import graph_of
    from manager.snapshot.read import open_snapshot

    if start is None:
        return machine_at_start(header)
    return restored(graph_of(header), open_snapshot(start.path))


def settle(machine: Machine, known: list[Entry], at: int) -> None:
    """What was replayed by `known` goes on: nothing is on its way, and a check says how it is."""
    machine.inputs.recall()
    known.append(Check(at, None, digests.joined(machine.records())))


def not_reproduced(called: str, lines: Sequence[str]) -> SnapshotMismatchError:
    """The replay on the way back differs from what was recorded, and these lines tell how."""
    return SnapshotMismatchError(
        f"the way back cannot be reproduced; {called} runs on\n" + "\n".join(lines),
        help="please report it; `vmmgr verify FILE` may tell more",
    )


def input_before(entries: Sequence[Entry], now: int, count: int) -> int:
    """The virtual time just before the `count`-th last input. Raises UsageError."""
    times = sorted({entry.at for entry in entries if isinstance(entry, Input) and entry.at <= now})
    if len(times) < count:
        raise UsageError(
            f"only {len(times)} inputs are recorded", help="`vmmgr rewind NAME TIME` goes further"
        )
    return times[-count] - 1
