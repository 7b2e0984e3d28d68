# SPDX-License-Identifier: BSD-2-Clause
"""Where a machine that is brought up comes from: power-on, a suspended state, a warm start."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from manager.errors import HostError, SnapshotMismatchError, WrongStateError
from manager.lazy import dataclass
from manager.replay.entries import Start
from manager.state.decided import key_of
from manager.state.disks import MachineDisks
from manager.state.saved import discard_saved, open_saved
from manager.state.warm_starts import WarmStart, WarmStarts, warm_starts_directory
from manager.vmm.restored import Origin

if TYPE_CHECKING:
    from manager.bus.record import Plain
    from manager.graph.nodes import Graph, Ready
    from manager.machine.machine import Machine
    from manager.snapshot.read import Snapshot
    from manager.state.directory import MachineDirectory
    from manager.vmm.connections import SerialConnections
    from manager.vmm.launch import Launch
    from manager.vmm.restored import RestoredState

POWER_ON = Start()


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where a machine is kept once it is ready, for the next start."""

    store: WarmStarts
    key: str


@dataclass(frozen=True, slots=True)
class BootSource:
    """A machine that is about to run, and how it came to be where it is."""

    machine: Machine
    start: Start = POWER_ON
    """What a replay of the run begins with."""
    shelf: Shelf | None = None
    """Where it is to be kept once it is ready, if that is wanted."""
    warm_start: WarmStart | None = None
    """What it was taken from instead of being booted."""

    opened: Snapshot | None = None
    """What its RAM was mapped from."""

    @property
    def is_boot(self) -> bool:
        """Whether the guest is at its very beginning."""
        return not self.start.snapshot and self.warm_start is None

    @property
    def snapshot(self) -> Path | None:
        """A snapshot of the machine as it is, if there is one apart from `start`."""
        return self.warm_start.snapshot if self.warm_start is not None else None

    def check(self, restored: RestoredState) -> None:
        """Have RAM that came from a snapshot checked while the machine runs on it."""
        if self.opened is None:
            return
        name = self.machine.graph.name
        if self.warm_start is None:
            origin = Origin(
                f"the state that {name} was resumed from",
                f"`vmmgr ctl {name} quit` ends it and leaves that state as it is; then restore "
                f"another snapshot, or boot afresh with `vmmgr up FILE --fresh`",
            )
        else:
            origin = Origin(
                f"the state of the ready cache that {name} began with",
                f"it is in the cache no more: `vmmgr down {name}`, then `vmmgr up FILE` boots",
                self.warm_start.remove,
            )
        restored.begin(self.opened, self.machine, origin)

    def fill_logs(self, connections: SerialConnections) -> None:
        """Give the logs what the ports of a warm start had sent."""
        for port, data in self._output().items():
            if port in connections.by_id:
                connections.by_id[port].take_over(data)

    def show(self, connections: SerialConnections) -> None:
        """Show the same to backends, to consoles, and to what waits for a text."""
        for port, data in self._output().items():
            if port in connections.by_id:
                connections.by_id[port].show(data)

    def _output(self) -> dict[str, bytes]:
        return self.warm_start.output() if self.warm_start is not None else {}


def open_source(launch: Launch, directory: MachineDirectory) -> BootSource:
    """The machine that `launch` asks for. Raises VmmgrError."""
    graph, situation = launch.graph, directory.situation()
    if situation.holds_something:
        situation.require_of(graph.source)
    if situation.saved is not None and not (launch.resume or launch.fresh):
        raise WrongStateError(
            f"{graph.name} was suspended meanwhile", help="the same command again resumes it"
        )
    directory.lock_images(graph)
    disks = MachineDisks(directory.paths)
    if launch.resume:
        situation.require_saved()
        return _suspended(graph, open_saved(directory.paths), disks)
    ready = graph.ready
    kept = ready is not None and ready.cache and directory.paths.lab is None
    shelf = _shelf(graph, ready, disks) if ready is not None and kept else None
    source = _warm(graph, shelf, disks) if shelf is not None and launch.cache else None
    if source is None:
        source = _powered_on(graph, shelf, disks)
    if launch.fresh:
        discard_saved(directory.paths)
    return source


def _suspended(graph: Graph, opened: Snapshot, disks: MachineDisks) -> BootSource:
    from manager.machine.machine import Machine
    from manager.machine.match import check_images

    check_images(graph, opened)
    machine = Machine.restore(graph, opened, disks=disks.for_resume(graph, opened))
    start = Start(opened.id.hex(), str(opened.directory), machine.now())
    return BootSource(machine, start, opened=opened)


def _powered_on(graph: Graph, shelf: Shelf | None, disks: MachineDisks) -> BootSource:
    from manager.machine.machine import Machine

    machine = Machine.power_on(graph, disks=disks.for_boot(graph))
    return BootSource(machine, _booted_with(graph, disks), shelf)


def _booted_with(graph: Graph, disks: MachineDisks) -> Start:
    """Power-on, with what is on the disks."""
    from manager.snapshot.read import open_snapshot

    kept = disks.keep_for_replay() if graph.disks else None
    if kept is None:
        return POWER_ON
    return Start(disks=open_snapshot(kept).id.hex(), path=str(kept))


def _shelf(graph: Graph, ready: Ready, disks: MachineDisks) -> Shelf:
    held = disks.held_at_boot(graph)  # what is on them then
    waited_for: Plain = [ready.wait_for, ready.fail_on, ready.port]
    key = key_of(graph, {"waited_for": waited_for, "disks": held})
    return Shelf(WarmStarts(warm_starts_directory()), key)


def _warm(graph: Graph, shelf: Shelf, disks: MachineDisks) -> BootSource | None:
    """The machine as it was kept, if it was and still fits."""
    from manager.machine.machine import Machine

    found = shelf.store.find(shelf.key)
    if found is None:
        return None
    warm_start, opened = found
    try:
        machine = Machine.restore(graph, opened, disks=disks.for_resume(graph, opened))
        return BootSource(machine, warm_start=warm_start, opened=opened)
    except (SnapshotMismatchError, HostError):
        return None
