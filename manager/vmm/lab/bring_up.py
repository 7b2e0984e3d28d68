# SPDX-License-Identifier: BSD-2-Clause
"""Bringing a lab up under this process, and owning it to its end."""

from __future__ import annotations

import selectors
from contextlib import ExitStack
from typing import TYPE_CHECKING

from manager.bus.record import RecordError
from manager.errors import SnapshotCorruptError, SnapshotMismatchError, VmmgrError, WrongStateError
from manager.graph.identity import lab_identity_hash
from manager.lab.saved import LabSnapshot
from manager.lab.wires import Wires
from manager.replay.lab_recordings import together
from manager.state.directory import MachineDirectory
from manager.state.lab import open_lab
from manager.state.last_run import LastRun
from manager.state.paths import MachinePaths
from manager.state.saved import discard_saved
from manager.vmm.enclosing import enclose
from manager.vmm.lab.commands import serve_lab
from manager.vmm.lab.member import Member, MemberMachine
from manager.vmm.lab.ready import await_all, watch_all
from manager.vmm.lab.running import RunningLab
from manager.vmm.launch import Launch
from manager.vmm.loop import EventLoop
from manager.vmm.owned import Owned

if TYPE_CHECKING:
    from manager.graph.nodes import Graph
    from manager.vmm.launch import Audience, LabLaunch
    from manager.vmm.outcome import Outcome


def own_lab(launch: LabLaunch, audience: Audience) -> Outcome:
    """Bring the lab up and own it to its end.

    Raises WrongStateError when another process owns it, SnapshotMismatchError and
    SnapshotCorruptError when it cannot be restored, HostError; then it is as it was before.
    """
    lab = launch.lab
    with ExitStack() as stack:  # steps are undone in the opposite order
        selector = stack.enter_context(selectors.DefaultSelector())
        directory = stack.enter_context(MachineDirectory.take(MachinePaths.of(lab.name)))
        if launch.detached:
            directory.begin_log()
        snapshot = _saved(launch, directory)
        over = snapshot.record.over if snapshot is not None else {}
        begun = together()
        members = {
            name: _open(launch, name, graph, begun, selector, audience, stack)
            for name, graph in lab.members.items()
            if name not in over
        }
        if launch.fresh:
            discard_saved(directory.paths)
        wires = _wires(launch, members, snapshot)
        stack.callback(wires.close)
        running = RunningLab(
            lab,
            lab_identity_hash(lab),
            members,
            wires,
            directory,
            paused=launch.paused,
            on_term=launch.on_term,
            begun=snapshot,
            say=audience.say,
        )
        stack.callback(lambda: running.wires.close())  # others after a rewind
        socket = directory.paths.socket()
        serve_lab(running, socket, selector, stack)
        paced = lab.clock_mode == "paced"
        loop = EventLoop(running, selector, paced=paced, interrupts=2, say=audience.say)
        for member in members.values():
            member.owned.check(selector, loop.timers)
        if launch.waits:
            await_all(members.values(), loop.timers, audience)
        elif snapshot is None:
            watch_all(members.values())
        for member in members.values():
            member.owned.begin()
        run = LastRun(
            name=lab.name,
            file=str(lab.source.absolute()),
            identity=lab_identity_hash(lab),
            socket=str(socket),
            detached=launch.detached,
        )
        directory.begin_run(run, launch.settings)
        captures = [link.capture for link in lab.links.values() if link.capture is not None]
        running.sandbox = enclose([member.owned for member in members.values()], captures)
        for member in members.values():
            member.running.sandbox = running.sandbox
        audience.up()
        try:
            outcome = loop.run()
        except VmmgrError as error:
            directory.faulted(error.message)
            for member in members.values():
                member.owned.failed(error)
            raise
        _conclude(directory, outcome)
        return outcome


def _saved(launch: LabLaunch, directory: MachineDirectory) -> LabSnapshot | None:
    """What to go on from, if that is wanted. Raises VmmgrError."""
    lab, situation = launch.lab, directory.situation()
    if situation.holds_something:
        situation.require_of(lab.source)
    if not launch.resume:
        if situation.saved is not None and not launch.fresh:
            raise WrongStateError(
                f"{lab.name} was suspended meanwhile", help="the same command again resumes it"
            )
        return None
    situation.require_saved()
    snapshot = open_lab(directory.paths)
    if snapshot.record.identity != lab_identity_hash(lab):
        raise SnapshotMismatchError(
            f"{lab.source}: the lab was suspended with other machines, links or cables",
            help=f"make the file what it was, or boot afresh: `vmmgr up {lab.source} --fresh`",
        )
    return snapshot


def _open(
    launch: LabLaunch,
    name: str,
    graph: Graph,
    begun: str,
    selector: selectors.BaseSelector,
    audience: Audience,
    stack: ExitStack,
) -> Member:
    own = stack.enter_context(ExitStack())  # left when the machine is over; the lab goes on
    alone = Launch(graph, resume=launch.resume, fresh=launch.fresh, detached=True, together=begun)
    owned = Owned.open(alone, selector, audience, own, MemberMachine)
    assert isinstance(owned.running, MemberMachine)
    return Member(name, owned, owned.running, own)


def _wires(launch: LabLaunch, members: dict[str, Member], snapshot: LabSnapshot | None) -> Wires:
    wires = Wires(launch.lab, {name: member.running.machine for name, member in members.items()})
    if snapshot is not None:
        try:
            wires.load(snapshot.record.wires, snapshot.record.now)
        except RecordError as error:
            raise SnapshotCorruptError(
                f"{snapshot.directory}: {error}", help="`vmmgr discard` forgets it"
            ) from None
    wires.open_captures(anew=snapshot is None)
    return wires


def _conclude(directory: MachineDirectory, outcome: Outcome) -> None:
    """Write down how it ended; a suspend has done so itself."""
    if outcome.kind == "fault":
        directory.faulted(outcome.detail)
    elif outcome.kind in ("ended", "down"):
        directory.stopped()
    elif outcome.kind != "suspended":
        directory.set_stopped()
