# SPDX-License-Identifier: BSD-2-Clause
"""What runs are compared of: a machine, or a lab of them.

A lab's state is that of its machines that run, of its wires and of how the others ended. Beside
what the ports sent, its output has what each link carried, and a digest of all that a machine
was at its end.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from blake3 import blake3

from manager import cbor
from manager.bus.record import Plain
from manager.graph.lab import End, Lab, quantum
from manager.machine.inputs import Input
from manager.replay import compare, digests
from manager.storage.digest import of_disk

if TYPE_CHECKING:
    from manager.graph.nodes import Graph
    from manager.lab.run import LabRun
    from manager.lab.saved import LabSnapshot, LabStore
    from manager.machine.ended import Ended
    from manager.machine.machine import Machine
    from manager.snapshot.read import Snapshot

SHORTEST_SLICE = 20_000
LONGEST_SLICE = 5_000_000
_ANY = 1 << 40
"""Bytes for decoding what this process's parent wrote: as many as it takes."""
_FRAME = struct.Struct("<QH")
"""When a link carried a frame, its length; the frame follows."""


class Subject(Protocol):
    """A machine or a lab in this process."""

    output: dict[str, bytearray]
    """What was sent since this was emptied."""

    def now(self) -> int:
        """Virtual time, ns."""

    def pass_time(self, until: int, slices: int | None) -> str:
        """Run to a time, in slices of random length by the seed; why it is over, if it is."""

    def save(self, folder: Path, tag: str, *, goes_on: bool, whole: bool) -> Path:
        """Save it in the stores of a folder; `whole` is without a look at what is there."""

    def look(self) -> tuple[dict[str, str], str]:
        """Digests of each record, and of all RAM."""


def step_of(plan: Graph | Lab) -> int:
    """The virtual times, in ns, at which it can be looked at are multiples of this."""
    return quantum(plan) if isinstance(plan, Lab) else 1


def write(path: Path, what: Graph | Lab, inputs: Sequence[Input]) -> None:
    """Write down a machine or a lab, and its input, for jobs to read.

    The input of a lab has its End, as text, for its port.
    """
    from manager.graph import lab_plain, plain

    told: dict[str, Plain] = (
        {"lab": lab_plain.to_plain(what), "name": what.name}
        if isinstance(what, Lab)
        else {"graph": plain.to_plain(what)}
    )
    fed: list[Plain] = [[item.at, item.kind, item.port, item.data] for item in inputs]
    path.write_bytes(cbor.encode({**told, "inputs": fed}))


def read(path: Path) -> tuple[Graph | Lab, list[Input]]:
    """What `write` wrote."""
    from manager.graph import lab_plain, plain

    told: Any = cbor.decode(path.read_bytes(), cbor.Budget(_ANY))
    inputs = [Input(at, str(kind), port, bytes(data)) for at, kind, port, data in told["inputs"]]
    if "lab" in told:
        return lab_plain.from_plain(told["lab"], told["name"]), inputs
    return plain.from_plain(told["graph"]), inputs


def begin(path: Path, start: str) -> Subject:
    """What `write` wrote, at power-on or as `save` left it at `start`. Raises VmmgrError."""
    what, inputs = read(path)
    if isinstance(what, Lab):
        return WholeLab.begin(what, inputs, start)
    return OneMachine.begin(what, inputs, start)


def differences(
    what: Graph | Lab, one: Path, two: Path
) -> tuple[list[compare.Difference], tuple[Path, Path] | None]:
    """All that differs between two states that `save` left, and the two machines that do."""
    from manager.snapshot.read import open_snapshot

    if not isinstance(what, Lab):
        return compare.snapshots(open_snapshot(one), open_snapshot(two)), (one, two)
    left, right = (_store_around(path).open_at(path) for path in (one, two))
    return _lab_differences(left, right)


class OneMachine:
    """A machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.output = {id: bytearray() for id in machine.ports}

    @classmethod
    def begin(cls, graph: Graph, inputs: Sequence[Input], start: str) -> OneMachine:
        """At power-on, or at a snapshot. Raises VmmgrError."""
        from manager.machine.machine import Machine
        from manager.snapshot.read import open_snapshot

        if start:
            machine = Machine.restore(graph, open_snapshot(Path(start)))
        else:
            machine = Machine.power_on(graph)
        begun = machine.now()
        for item in inputs:
            if item.at > begun:
                machine.inputs.schedule(item)
        return cls(machine)

    def now(self) -> int:
        """Virtual time, ns."""
        return self._machine.now()

    def pass_time(self, until: int, slices: int | None) -> str:
        """Run to a time."""
        machine, length = self._machine, _lengths(slices)
        ended = None
        while machine.now() < until and ended is None:
            ended = machine.run(min(until, machine.now() + length()) if length else until)
            for id, port in machine.ports.items():
                self.output[id] += port.take_output()
        return ended.detail if ended is not None else ""

    def save(self, folder: Path, tag: str, *, goes_on: bool, whole: bool) -> Path:
        """Save it in a store."""
        from manager.snapshot.store import Store

        machine = self._machine
        if whole:
            _forget_saved(machine)
        # Input that is still on its way belongs to the next process, not to this state.
        waiting = machine.inputs.recall()
        path = Store(folder).commit(machine.run_to_image(), tag, goes_on=goes_on)
        for item in waiting:
            machine.inputs.schedule(item)
        return path

    def look(self) -> tuple[dict[str, str], str]:
        """Digests of each record and disk, and of all RAM."""
        return _states(self._machine), digests.of_ram(self._machine.memory)


class WholeLab:
    """A lab."""

    def __init__(self, run: LabRun) -> None:
        self._run = run
        self.output = {}
        run.on_end = self._machine_ended
        for name, machine in run.machines.items():
            for id, port in machine.ports.items():
                heard = self.output[str(End(name, id))] = bytearray()
                port.listeners.add(heard.extend)
        for link in run.lab.links:
            run.wires.tap(link, self._carried(self.output.setdefault(link, bytearray())))

    @staticmethod
    def _carried(to: bytearray) -> Callable[[int, bytes], None]:
        def tap(at: int, frame: bytes) -> None:
            to.extend(_FRAME.pack(at, len(frame)) + frame)

        return tap

    @classmethod
    def begin(cls, lab: Lab, inputs: Sequence[Input], start: str) -> WholeLab:
        """At power-on, or at a snapshot. Raises VmmgrError."""
        from manager.lab.run import LabRun

        if start:
            run = LabRun.restore(lab, _store_around(Path(start)).open_at(Path(start)))
        else:
            run = LabRun.power_on(lab)
        for item in inputs:
            if item.at >= run.now():
                machine, _, device = item.port.partition("/")
                run.expect(item.at, End(machine, device), item.kind, item.data)
        return cls(run)

    def now(self) -> int:
        """The end of the last quantum."""
        return self._run.now()

    def pass_time(self, until: int, slices: int | None) -> str:
        """Run to the last end of a quantum by then; in each, machines run in shorter slices."""
        run, length = self._run, _lengths(slices)
        until = until // run.step * run.step
        short = random.Random(slices)  # noqa: S311  no secret
        run.cut((lambda: short.randrange(1, run.step + 1)) if length else None)
        while run.now() < until and run.ended is None:
            run.run(min(until, run.now() + max(run.step, length())) if length else until)
            for machine in run.machines.values():
                for port in machine.ports.values():
                    port.take_output()
        return run.ended.detail if run.ended is not None else ""

    def save(self, folder: Path, tag: str, *, goes_on: bool, whole: bool) -> Path:
        """Save it in stores: one for each machine, one for what is between them."""
        if whole:
            for machine in self._run.machines.values():
                _forget_saved(machine)
        return _store_in(folder).commit(*self._run.state(), tag, goes_on=goes_on)[0]

    def look(self) -> tuple[dict[str, str], str]:
        """Digests of each record and disk by machine, of wires, and of all RAM."""
        run, ram = self._run, []
        states: dict[str, str] = {}
        for name, machine in run.machines.items():
            states |= {f"{name}/{id}": digest for id, digest in _states(machine).items()}
            ram.append(f"{name} {digests.of_ram(machine.memory)}")
        for kind, wires in run.wires.state().items():
            states[kind] = blake3(cbor.encode(wires)).hexdigest()
        states |= {name: f"over: {end}" for name, end in run.over.items()}
        return states, ", ".join(ram)

    def _machine_ended(self, name: str, machine: Machine, ended: Ended) -> None:
        states = blake3(repr(sorted(_states(machine).items())).encode()).hexdigest()
        told = f"{ended.detail}, {machine.now()}, {states}, {digests.of_ram(machine.memory)}"
        self.output.setdefault(f"{name} at its end", bytearray()).extend(told.encode())


def _lengths(slices: int | None) -> Callable[[], int] | None:
    """The lengths of slices by a seed; None for one slice."""
    if slices is None:
        return None
    choose = random.Random(slices)  # noqa: S311  no secret
    return lambda: choose.randrange(SHORTEST_SLICE, LONGEST_SLICE)


def _states(machine: Machine) -> dict[str, str]:
    found = digests.of_records(machine.records())
    states = {id: digest.hex() for id, digest in found.items()}
    return states | {f"disk {name}": of_disk(disk).hex() for name, disk in machine.disks.items()}


def _forget_saved(machine: Machine) -> None:
    for region in machine.memory.everything:
        region.memory.backing = None


def _store_in(folder: Path) -> LabStore:
    from manager.lab.saved import LabStore

    return LabStore(folder / "wires", lambda name: folder / "machines" / name)


def _store_around(record: Path) -> LabStore:
    return _store_in(record.parents[1])


def _lab_differences(
    one: LabSnapshot, two: LabSnapshot
) -> tuple[list[compare.Difference], tuple[Path, Path] | None]:
    found: list[compare.Difference] = []
    machines: tuple[Path, Path] | None = None
    for name in dict.fromkeys([*one.machines, *two.machines]):
        left, right = one.machines.get(name), two.machines.get(name)
        if left is None or right is None:
            found.append(compare.Difference(name, *map(_told, (left, right))))
            continue
        here = compare.snapshots(left, right)
        found += (compare.Difference(f"{name}/{item.where}", item.one, item.two) for item in here)
        if here and machines is None:
            machines = left.directory, right.directory
    return found + compare.states(_wires(one), _wires(two)), machines


def _told(machine: Snapshot | None) -> str:
    return "runs" if machine is not None else "is over"


def _wires(snapshot: LabSnapshot) -> Mapping[str, Any]:
    return {**snapshot.record.wires, "over": {n: str(e) for n, e in snapshot.record.over.items()}}
