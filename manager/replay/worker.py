# SPDX-License-Identifier: BSD-2-Clause
"""One process's share of a run, for `verify` and `bisect`: a job on standard input, JSON out.

`python -m manager.replay.worker` reads a Job as JSON, runs its legs and prints a Reached for each.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Sequence
from dataclasses import asdict, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from manager import cbor
from manager.bus.record import Plain
from manager.lazy import dataclass
from manager.machine.inputs import Input
from manager.replay import digests
from manager.storage.digest import of_disk

if TYPE_CHECKING:
    from manager.graph.nodes import Graph
    from manager.machine.machine import Machine

Mode = Literal["full", "incremental", "tracked"]
MODES: tuple[Mode, ...] = ("full", "incremental", "tracked")
"""How RAM is saved: whole; what differs from the snapshot that was restored; what was written
since another snapshot in the middle of the leg."""
SHORTEST_SLICE = 20_000
_ANY = 1 << 40
"""Bytes for decoding what this process's parent wrote: as many as it takes."""
LONGEST_SLICE = 5_000_000


@dataclass(frozen=True, slots=True)
class Leg:
    """Run to a time and look."""

    until: int
    slices: int | None = None
    """Seed of the slices' sizes; None for one slice."""
    tag: str = ""
    """Save the machine under this tag of the job's store."""
    mode: Mode = "incremental"
    look: bool = True
    """Whether to digest the state."""


@dataclass(frozen=True, slots=True)
class Job:
    """What one process has to do. Paths are strings, so that it is plain JSON."""

    machine: str
    """A file that `write_machine` wrote."""
    legs: Sequence[Leg]
    start: str = ""
    """A snapshot's directory; power-on if empty."""
    store: str = ""


@dataclass(frozen=True, slots=True)
class Reached:
    """The machine at the end of a leg."""

    now: int
    ended: str
    """Why it is over, or an empty string."""
    output: dict[str, str]
    """What each port sent in the leg, in hex."""
    states: dict[str, str] = field(default_factory=dict)
    """Digest of each record."""
    ram: str = ""
    saved: str = ""
    """The snapshot's directory."""

    def same_state(self, other: Reached) -> bool:
        """Whether the two machines are the same, as far as the next instant goes."""
        return (self.now, self.ended, self.states, self.ram) == (
            other.now,
            other.ended,
            other.states,
            other.ram,
        )


def write_machine(path: Path, graph: Graph, inputs: Sequence[Input]) -> None:
    """Write down a machine and its input for jobs to read."""
    from manager.graph.plain import to_plain

    plain: list[Plain] = [[item.at, item.kind, item.port, item.data] for item in inputs]
    path.write_bytes(cbor.encode({"graph": to_plain(graph), "inputs": plain}))


def read_machine(path: Path) -> tuple[Graph, list[Input]]:
    """What `write_machine` wrote."""
    from manager.graph.plain import from_plain

    plain: Any = cbor.decode(path.read_bytes(), cbor.Budget(_ANY))
    inputs = [Input(at, str(kind), port, bytes(data)) for at, kind, port, data in plain["inputs"]]
    return from_plain(plain["graph"]), inputs


def carry_out(job: Job) -> list[Reached]:
    """Run the legs; after the one in which the machine ends, no more."""
    from manager.machine.machine import Machine
    from manager.snapshot.read import open_snapshot

    graph, inputs = read_machine(Path(job.machine))
    if job.start:
        machine = Machine.restore(graph, open_snapshot(Path(job.start)))
    else:
        machine = Machine.power_on(graph)
    begun = machine.now()
    for item in inputs:
        if item.at > begun:
            machine.inputs.schedule(item)
    reached = []
    for leg in job.legs:
        reached.append(_run(machine, leg, job))
        if reached[-1].ended:
            break
    return reached


def _run(machine: Machine, leg: Leg, job: Job) -> Reached:
    output: dict[str, bytearray] = {id: bytearray() for id in machine.ports}
    ended = ""
    halfway = (machine.now() + leg.until) // 2
    tracked = bool(leg.tag) and leg.mode == "tracked"
    for end in (halfway, leg.until) if tracked else (leg.until,):
        ended = _pass_time(machine, end, leg.slices, output)
        if ended:
            break
        if tracked and end != leg.until:
            _save(machine, job.store, f"{leg.tag}.half", goes_on=True)
    saved = ""
    if leg.tag:
        if leg.mode == "full":
            for region in machine.memory.everything:
                region.memory.backing = None
        saved = _save(machine, job.store, leg.tag, goes_on=False)
    states: dict[str, str] = {}
    ram = ""
    if leg.look:
        found = digests.of_records(machine.records())
        states = {id: digest.hex() for id, digest in found.items()}
        states |= {f"disk {name}": of_disk(disk).hex() for name, disk in machine.disks.items()}
        ram = digests.of_ram(machine.memory)
    sent = {id: data.hex() for id, data in output.items() if data}
    return Reached(machine.now(), ended, sent, states, ram, saved)


def _pass_time(
    machine: Machine, until: int, slices: int | None, output: dict[str, bytearray]
) -> str:
    choose = random.Random(slices)  # noqa: S311  no secret
    ended = None
    while machine.now() < until and ended is None:
        length = until if slices is None else choose.randrange(SHORTEST_SLICE, LONGEST_SLICE)
        ended = machine.run(min(until, machine.now() + length))
        for id, port in machine.ports.items():
            output[id] += port.take_output()
    return ended.detail if ended is not None else ""


def _save(machine: Machine, store: str, tag: str, *, goes_on: bool) -> str:
    from manager.snapshot.store import Store

    # Input that is still on its way belongs to the next process, not to this state.
    waiting = machine.inputs.recall()
    path = Store(Path(store)).commit(machine.run_to_image(), tag, goes_on=goes_on)
    for item in waiting:
        machine.inputs.schedule(item)
    return str(path)


def main() -> None:
    """Carry out the job on standard input."""
    job = json.load(sys.stdin)
    legs = [Leg(**leg) for leg in job.pop("legs")]
    json.dump([asdict(reached) for reached in carry_out(Job(legs=legs, **job))], sys.stdout)


if __name__ == "__main__":
    main()
