# SPDX-License-Identifier: BSD-2-Clause
"""Writing the input log of a running machine, with checks that a replay compares."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from blake3 import blake3

from manager.bus.record import NEVER
from manager.graph.boot_files import boot_files
from manager.machine.boot_images import of_file
from manager.replay import digests
from manager.replay.entries import Check, End, Header, Heard, Saved, Start
from manager.replay.log import Writer

if TYPE_CHECKING:
    from manager.graph.nodes import Graph
    from manager.machine.inputs import Input
    from manager.machine.machine import Machine

CHECK_AFTER = 100_000_000
"""Virtual ns from output to the check that covers it: an idle machine makes none."""


def header_of(
    machine: Machine,
    start: Start,
    *,
    branch_of: str = "",
    branch_at: int = 0,
    together: str = "",
) -> Header:
    """The header of a log of `machine`, which has just been started. Raises HostError."""
    from manager.graph import identity

    graph = machine.graph
    return Header(
        machine=graph.name,
        identity_hash=identity.identity_hash(graph),
        full_hash=identity.full_hash(graph),
        config=identity.to_plain(graph),
        images=images_of(graph),
        start=start,
        records=list(machine.records()),
        branch_of=branch_of,
        branch_at=branch_at,
        together=together,
    )


def images_of(graph: Graph) -> dict[str, str]:
    """Digests of the files that a machine boots from, by path. Raises HostError."""
    return {str(path): of_file(path) for path in boot_files(graph.boot).values()}


RAM_CHECKED = 1 << 30
"""Bytes of RAM up to which it is digested at the end of a run: some 100 ms."""


class Recorder:
    """Writes the log of one machine, whose input and output it hears until `end` or `detach`.

    The moment of a check is the host's choice and is written down with it; what is checked is not.
    """

    def __init__(self, machine: Machine, log: Writer) -> None:
        self.machine = machine
        self.log = log
        self._timer = machine.clock.timer(self._check)
        self._due = NEVER
        self.inputs = 0
        """Pieces of input recorded."""
        self._counts = dict.fromkeys(machine.ports, 0)
        self._digests = {id: blake3() for id in machine.ports}
        machine.inputs.on_input = self._input
        self._listeners = {id: partial(self._heard, id) for id in machine.ports}
        for id, heard in self._listeners.items():
            machine.ports[id].listeners.add(heard)

    def _heard(self, port: str, data: bytes) -> None:
        self._counts[port] += len(data)
        self._digests[port].update(data)
        if self._timer.deadline == NEVER:
            self._due = self.machine.now() + CHECK_AFTER
            self._timer.arm(self._due)

    def saved(self, snapshot: str, tag: str) -> None:
        """A snapshot was made and the machine goes on."""
        self.log.add(Saved(self.machine.now(), snapshot, tag))

    def end(self, reason: str, snapshot: str = "", detail: str = "") -> None:
        """The run is over; nothing is recorded after this."""
        self._collect()
        small = sum(region.length for region in self.machine.memory.everything) <= RAM_CHECKED
        ram = digests.of_ram(self.machine.memory) if small and not snapshot else ""
        self.log.add(End(self._found(self.machine.now()), reason, snapshot, detail, ram))
        self.detach()

    def detach(self) -> None:
        """Record no more."""
        self._timer.disarm()
        self.machine.inputs.on_input = None
        for id, heard in self._listeners.items():
            self.machine.ports[id].listeners.remove(heard)
        self.log.close()

    def _collect(self) -> None:
        """Hear what the ports still hold."""
        for port in self.machine.ports.values():
            port.take_output()

    def _input(self, input: Input) -> None:
        self.inputs += 1
        self.log.add(input)

    def _check(self) -> None:
        # The deadline, not the present: the replay's timer then fires at the same boundary.
        due = self._due
        self._collect()  # which may arm the timer again, for output that is covered now
        self._timer.disarm()
        self.log.add(self._found(due))

    def _found(self, at: int) -> Check:
        ports = {
            id: Heard(count, self._digests[id].digest(digests.OUTPUT_BYTES))
            for id, count in self._counts.items()
            if count
        }
        for id in ports:
            self._counts[id] = 0
            self._digests[id] = blake3()
        return Check(at, ports, digests.joined(self.machine.records()))
