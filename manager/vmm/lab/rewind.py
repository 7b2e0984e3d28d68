# SPDX-License-Identifier: BSD-2-Clause
"""The way back of a running lab: checkpoints of all of it, and a replay of all of it.

Like that of a machine alone (manager.vmm.recorder, manager.replay.timeline), but for machines and
wires together. The times that a lab can go back to are ends of quanta.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from manager.errors import HostError, UsageError, VmmgrError, WrongStateError
from manager.lab.parts import drop_orphans, member_tag
from manager.lazy import dataclass
from manager.replay.checkpoints import Checkpoint, Checkpoints, work_of
from manager.replay.checks import seconds
from manager.replay.lab_recordings import together
from manager.replay.lab_replay import LabReplay, wires_at
from manager.replay.log import Log, Writer, read
from manager.replay.replay import graph_of, machine_at_start, restored
from manager.replay.timeline import (
    Rewound,
    known_at,
    not_reproduced,
    require_recorded,
    settle,
)
from manager.snapshot.store import Store
from manager.state.lab import lab_store

if TYPE_CHECKING:
    from pathlib import Path

    from manager.graph.lab import Lab
    from manager.lab.saved import LabSnapshot
    from manager.lab.wires import Wires
    from manager.machine.machine import Machine
    from manager.state.paths import MachinePaths
    from manager.vmm.lab.member import Member

Members = Mapping[str, "Member"]


@dataclass(frozen=True, slots=True)
class RewoundLab:
    """A lab that was brought back to an earlier time."""

    members: Mapping[str, Rewound]
    wires: Wires
    at: int
    """The end of a quantum, ns of virtual time."""
    replayed: int
    """Virtual ns that were run again for it."""


class LabTimeline:
    """The checkpoints of a lab, and the way back by them.

    `begun` is the snapshot that this process began with, None for power-on.
    """

    def __init__(
        self, lab: Lab, paths: MachinePaths, members: Members, begun: LabSnapshot | None
    ) -> None:
        self._lab = lab
        self._paths = paths
        self._begun = begun
        self._begun_at = begun.record.now if begun is not None else 0
        self._left = 0
        """When a machine was over: nothing leads back to before that."""
        self._gone: dict[str, Path] = {}
        """The logs of machines that were over since, by name."""
        record = [member.running.machine.graph.record for member in members.values()]
        window = min((one.rewind_ns for one in record if one.enabled), default=0)
        window = window if all(one.enabled for one in record) else 0
        self._checkpoints = Checkpoints(
            Store(paths.snapshots), window, drop=self._drop, folders=self._folders
        )
        self.clear()

    def clear(self) -> None:
        """Forget all checkpoints."""
        self._checkpoints.clear()

    @property
    def fault(self) -> str:
        """Why there are no more checkpoints."""
        return self._checkpoints.fault

    def _drop(self, tag: str) -> None:
        store = self._checkpoints.store
        store.discard(tag)
        drop_orphans(store.root, [paths.snapshots for paths in self._paths.members()])

    def _folders(self, item: Checkpoint) -> Sequence[Path]:
        tag = member_tag(item.path.name)
        parts = [(paths.snapshots / tag).resolve() for paths in self._paths.members()]
        return [item.path, *parts]

    def machine_left(self, name: str, now: int, log: Path | None) -> None:
        """A machine is over; its log is needed to come to any time after that."""
        self._left = now
        if log is not None:
            self._gone[name] = log

    # -- checkpoints --------------------------------------------------------------------------

    def due(self, now: int, members: Members) -> bool:
        """Whether a checkpoint is due, and can be taken between these two quanta."""
        machines = [member.running.machine for member in members.values()]
        return (
            self._checkpoints.are_due(now, sum(map(work_of, machines)))
            and all(machine.inputs.last_at is None for machine in machines)
            and all(member.running.restored.is_sound for member in members.values())
        )

    def take(self, now: int, members: Members, save: Callable[[str], Path]) -> None:
        """Have the lab saved, by a tag; a failure is kept in `fault`, not raised."""
        work = sum(work_of(member.running.machine) for member in members.values())
        self._checkpoints.add(now, work, save, lambda: sent_by(members))

    def went_back(self, rewound: RewoundLab) -> None:
        """The lab goes on from there, on a branch of its own."""
        work = sum(work_of(one.machine) for one in rewound.members.values())
        self._checkpoints.went_back(rewound.at, work)

    # -- the way back -------------------------------------------------------------------------

    def back_to(self, target: int, members: Members) -> RewoundLab:
        """The lab at `target`, the end of a quantum. What runs is not touched.

        Raises WrongStateError, UsageError for a time before the logs, VmmgrError when the run
        cannot be reproduced.
        """
        if target < self._left:
            raise WrongStateError(
                f"a machine of {self._lab.name} was over at {seconds(self._left)}, and no way "
                "leads back to before that",
                help="`vmmgr snapshot restore` brings back what was saved",
            )
        logs = {
            name: read(member.running.recorder.require_way_back()[0].log.path)
            for name, member in members.items()
        }
        require_recorded(target, self._begun_at, "the lab")
        for log in logs.values():
            log.entries = known_at(target, log.entries)
        logs.update((name, read(path)) for name, path in self._gone.items())
        checkpoint = self._checkpoints.before(target)
        start = self._start(checkpoint)
        machines: dict[str, Machine] = {}
        try:
            for name, log in logs.items():
                if start is None:
                    machines[name] = machine_at_start(log.header)
                elif name in start.machines:
                    machines[name] = restored(graph_of(log.header), start.machines[name])
            sent = _sent(members, logs, checkpoint)
            replayed = self._replayed(target, machines, logs, start, sent)
        except BaseException:
            for machine in machines.values():
                machine.free()
            raise
        found = {}
        for name, machine in machines.items():
            if name in members:
                known = logs[name].entries
                settle(machine, known, target)
                part = _part(name, checkpoint, start)
                found[name] = Rewound(machine, sent[name], known, part)
            else:
                machine.free()
        begun = start.record.now if start is not None else 0
        return RewoundLab(found, replayed, target, target - begun)

    def _start(self, checkpoint: Checkpoint | None) -> LabSnapshot | None:
        """What the replay begins with; None for power-on. Raises VmmgrError."""
        begun = self._begun
        if checkpoint is not None:
            return lab_store(self._paths).open_at(checkpoint.path)
        if begun is None:
            return None
        found = lab_store(self._paths).open_at(begun.directory)
        if found.record != begun.record or _ids(found) != _ids(begun):
            raise WrongStateError(
                f"{begun.directory} is not the state that the lab began with here",
                help="it was replaced since; `vmmgr snapshot restore` brings back what was saved",
            )
        return found

    def _replayed(
        self,
        target: int,
        machines: Mapping[str, Machine],
        logs: Mapping[str, Log],
        start: LabSnapshot | None,
        sent: Mapping[str, dict[str, int]],
    ) -> Wires:
        """Run all machines to `target`, and count what they send; what is between them then."""

        def hear(name: str, port: str, data: bytes) -> None:
            sent[name][port] += len(data)

        wires = wires_at(self._lab, machines, start)
        now = start.record.now if start is not None else 0
        replay = LabReplay(self._lab, machines, wires, logs, now=now, hear=hear)
        divergence = replay.run(target)
        if divergence is not None:
            raise not_reproduced("the lab", divergence.lines())
        left = set(machines) & set(self._gone)
        if set(replay.running) != set(machines) - left:
            raise not_reproduced("the lab", ["other machines are over there"])
        replay.leave()
        return wires


def _ids(snapshot: LabSnapshot) -> dict[str, bytes]:
    return {name: machine.id for name, machine in snapshot.machines.items()}


def _part(name: str, checkpoint: Checkpoint | None, start: LabSnapshot | None) -> Checkpoint | None:
    """What of a checkpoint a machine's RAM is mapped from, to be compared while it runs."""
    if checkpoint is None or start is None:
        return None
    return Checkpoint(checkpoint.at, checkpoint.tag, start.machines[name].directory, {})


def require_ways_back(members: Members) -> None:
    """Raise WrongStateError unless there is a way back for each."""
    for member in members.values():
        try:
            member.running.require_way_back()
        except VmmgrError as error:
            raise WrongStateError(f"{member.name}: {error.message}", help=error.help) from None


def wanted_time(now: int, step: int, back: int | None, to: int | None) -> int:
    """The end of the quantum at or before the time that is asked for. Raises UsageError."""
    if back is not None:
        to = max(now - back, 0)
    if to is None or not 0 <= to <= now:
        raise UsageError(f"the lab is at {seconds(now)}; that is not before")
    return to // step * step


def sent_by(members: Members) -> dict[str, int]:
    """How many bytes each port of each machine has sent, by "MACHINE/PORT"."""
    return {
        f"{name}/{port}": count
        for name, member in members.items()
        for port, count in member.running.recorder.sent().items()
    }


def _sent(
    members: Members, logs: Mapping[str, Log], checkpoint: Checkpoint | None
) -> dict[str, dict[str, int]]:
    """How many bytes each port of each machine had sent where the replay begins."""
    found: dict[str, dict[str, int]] = {}
    for name, log in logs.items():
        begun = members[name].running.recorder.begun_with if name in members else {}
        ids = graph_of(log.header).serial_ports()
        found[name] = {node.id: begun.get(node.id, 0) for node in ids}
    for key, count in checkpoint.sent.items() if checkpoint is not None else ():
        name, _, port = key.partition("/")
        found[name][port] = count
    return found


def exchange_of(members: Members, rewound: RewoundLab) -> Callable[[], None]:
    """What puts the earlier selves in the place of the machines, each with a log for its branch.

    Raises HostError, and then there is no such log. What it returns raises VmmgrError.
    """
    begun = together()
    branches: dict[str, Writer] = {}
    try:
        for name, one in rewound.members.items():
            branch = branches[name] = members[name].running.recorder.branch(one, rewound.at, begun)
            if branch.fault:
                raise HostError(f"{branch.path}: {branch.fault}")
    except BaseException:
        for branch in branches.values():
            branch.close()
            branch.path.unlink(missing_ok=True)
        for one in rewound.members.values():
            one.machine.free()
        raise

    def exchange() -> None:
        for name, one in rewound.members.items():
            members[name].running.go_back(one, branches[name])

    return exchange
