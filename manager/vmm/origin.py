# SPDX-License-Identifier: BSD-2-Clause
"""Where a machine that is brought up comes from: power-on, a suspended state, the ready cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from manager.errors import HostError, SnapshotMismatchError
from manager.replay.log import Start
from manager.state.disks import MachineDisks
from manager.state.saved import discard_saved, open_saved
from manager.state.warm_starts import WarmStart, WarmStarts, key_of, warm_starts_directory
from manager.vmm.keeper import ToCache

if TYPE_CHECKING:
    from manager.graph.nodes import Graph
    from manager.machine.machine import Machine
    from manager.state.directory import MachineDirectory
    from manager.vmm.connections import SerialConnections
    from manager.vmm.launch import Launch, Readiness


POWER_ON = Start()


@dataclass(frozen=True, slots=True)
class Origin:
    """How a machine came to be where it is."""

    start: Start = POWER_ON
    """What a replay of the run begins with."""
    to_cache: ToCache | None = None
    """Where it is to be kept once it is ready."""
    cached: WarmStart | None = None
    """The entry of the ready cache that it was taken from."""

    @property
    def detail(self) -> str:
        """What to say of a machine from the cache."""
        assert self.cached is not None
        return f"taken from the ready cache, not booted: {self.cached.detail}"

    def replay(self, connections: SerialConnections) -> None:
        """Give the logs what the ports of a machine from the cache had sent."""
        for port, data in self._output().items():
            if port in connections.by_id:
                connections.by_id[port].replay(data)

    def show(self, connections: SerialConnections) -> None:
        """Show it to the backends and to whoever waits for a text."""
        for port, data in self._output().items():
            if port in connections.by_id:
                connections.by_id[port].show(data)

    def _output(self) -> dict[str, bytes]:
        return self.cached.output() if self.cached is not None else {}


def declares(graph: Graph, readiness: Readiness | None) -> bool:
    """Whether what is waited for is what the machine file's `[ready]` says."""
    declared = graph.ready
    if readiness is None or declared is None:
        return False
    fail_on = readiness.fail_on.source if readiness.fail_on is not None else None
    wanted = (readiness.wait_for.source, fail_on)
    return wanted == (declared.wait_for, declared.fail_on) and readiness.port in (
        None,
        declared.port,
    )


def make(launch: Launch, home: MachineDirectory) -> tuple[Machine, Origin]:
    """The machine, about to run. Raises VmmgrError."""
    from manager.machine.machine import Machine
    from manager.machine.match import check_images

    graph = launch.graph
    situation = home.situation()
    if situation.holds_something:
        situation.require_of(graph.source)
    disks = MachineDisks(home.paths)
    if launch.resume:
        situation.require_saved()
        opened = open_saved(home.paths)
        check_images(graph, opened)
        machine = Machine.restore(graph, opened, disks=disks.for_resume(graph, opened))
        return machine, Origin(Start(opened.id.hex(), str(opened.directory), machine.now()))
    to_cache = None
    if graph.ready is not None and graph.ready.cache:
        declared = graph.ready
        cache = WarmStarts(warm_starts_directory())
        key = key_of(graph, (declared.wait_for, declared.fail_on, declared.port))
        to_cache = ToCache(cache, key)
        if launch.cache and (taken := _taken(graph, to_cache, disks)) is not None:
            if launch.fresh:
                discard_saved(home.paths)
            return taken
    machine = Machine.power_on(graph, disks=disks.for_boot(graph))
    if launch.fresh:
        discard_saved(home.paths)
    return machine, Origin(start=_booted_with(graph, disks), to_cache=to_cache)


def _booted_with(graph: Graph, disks: MachineDisks) -> Start:
    """Power-on, with what is on the disks."""
    from manager.snapshot.read import open_snapshot

    kept = disks.keep_for_replay() if graph.disks else None
    if kept is None:
        return POWER_ON
    return Start(disks=open_snapshot(kept).id.hex(), path=str(kept))


def _taken(graph: Graph, place: ToCache, disks: MachineDisks) -> tuple[Machine, Origin] | None:
    """The machine from the cache, if it is there."""
    from manager.machine.machine import Machine

    found = place.cache.find(place.key)
    if found is None:
        return None
    entry, opened = found
    try:
        machine = Machine.restore(graph, opened, disks=disks.for_resume(graph, opened))
        return machine, Origin(cached=entry)
    except (SnapshotMismatchError, HostError):
        return None
