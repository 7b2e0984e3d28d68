# SPDX-License-Identifier: BSD-2-Clause
"""What was recorded of a lab: a story of each of its machines, which all belong together."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from manager.errors import SnapshotCorruptError, SnapshotMismatchError, WrongStateError
from manager.lazy import dataclass
from manager.replay import recordings
from manager.replay.checks import OF_ITSELF, end_of
from manager.replay.log import Log, read
from manager.replay.replay import StateGoneError
from manager.snapshot.store import Store

if TYPE_CHECKING:
    from manager.lab.saved import LabSnapshot, LabStore
    from manager.replay.recordings import Story

_OVER = (*OF_ITSELF, "down")
"""How a machine's run ends that is over before its lab."""


@dataclass(frozen=True, slots=True)
class LabStory:
    """A run of a lab, from its earliest start that is known to its present."""

    members: Mapping[str, Story]
    """Of each machine that was not over when it began."""
    start: LabSnapshot | None
    """What it began with; None for power-on."""

    @property
    def is_torn(self) -> bool:
        """Whether the last entry of a log is incomplete."""
        return any(told.torn for told in self.members.values())

    @property
    def is_over(self) -> bool:
        """Whether the end of each machine's run was recorded."""
        return all(end_of(told.entries) is not None for told in self.members.values())


def lab_story(directories: Mapping[str, Path], store: LabStore) -> LabStory:
    """The run that the newest logs are of; `directories` have each machine's, by its name.

    Raises WrongStateError where nothing was recorded, or of a machine not; SnapshotMismatchError
    where logs do not belong together; SnapshotCorruptError.
    """
    newest = {name: _newest(name, directory, store) for name, directory in directories.items()}
    last = max(log.header.together for log in newest.values())
    chains = {name: recordings.chain(log.path) for name, log in newest.items()}
    legs = next(
        [_names(log) for log in chain]
        for name, chain in chains.items()
        if newest[name].header.together == last
    )
    known = set().union(*legs)
    start = _start(chains, legs, store)
    told = {}
    for name, chain in chains.items():
        if start is not None and name in start.record.over:
            continue
        part = [log for log in chain if log.header.together in known]
        if not part or part[-1] is not chain[-1] or part[0].header.together not in legs[0]:
            _refuse(name, store)
        if chain[-1].header.together != last and not _is_over(chain[-1]):
            _refuse(name, store)
        told[name] = recordings.joined(part)
    return LabStory(told, start)


def _newest(name: str, directory: Path, store: LabStore) -> Log:
    found = recordings.logs(directory)
    if not found:
        raise WrongStateError(
            f"nothing was recorded of {store.name}/{name}",
            help="`vmmgr up` records all machines unless `[record]` of one says no",
        )
    log = read(found[-1])
    if not log.header.together:
        raise WrongStateError(
            f"{log.path}: an older vmmgr wrote it, which did not say what logs belong together",
            help=f"`vmmgr replay {store.name}/{name}` replays that machine alone",
        )
    return log


def _names(log: Log) -> set[str]:
    """What the logs are called that belong to this one.

    A machine that was over by then has none of a branch, but one of what the branch left.
    """
    names = {log.header.together}
    while log.header.branch_of and (name := Path(log.header.branch_of).name) < log.path.name:
        try:
            log = read(log.path.with_name(name))
        except SnapshotCorruptError:  # only so many are kept
            break
        names.add(log.header.together)
    return names


def _is_over(log: Log) -> bool:
    return log.end is not None and log.end.reason in _OVER


def _refuse(name: str, store: LabStore) -> None:
    raise SnapshotMismatchError(
        f"the log of {store.name}/{name} does not belong to those of the other machines",
        help="a process that died as it began them, or in a rewind, leaves this; "
        f"`vmmgr replay {store.name}/{name}` replays that machine alone",
    )


def _start(
    chains: Mapping[str, Sequence[Log]], legs: Sequence[set[str]], store: LabStore
) -> LabSnapshot | None:
    """The lab's snapshot that all began with. Raises SnapshotMismatchError when it is gone."""
    wanted = {
        name: log.header.start.snapshot
        for name, chain in chains.items()
        for log in chain
        if log.header.together in legs[0]
    }
    if not any(wanted.values()):
        return None
    for number in sorted(set(Store(store.own).links().values()), reverse=True):
        with suppress(SnapshotCorruptError):
            found = store.open_at(store.own / number)
            if {name: machine.id.hex() for name, machine in found.machines.items()} == wanted:
                return found
    raise StateGoneError(str(store.own))


def together() -> str:
    """A name for logs that are begun at once; it sorts after those of before."""
    return f"{time.time_ns():016x}"
