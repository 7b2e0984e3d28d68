# SPDX-License-Identifier: BSD-2-Clause
"""A lab that runs with nothing of the host's around it: no process, no sockets, no event loop.

What `vmmgr up` has around the same rounds is manager.vmm.lab.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from manager.bus.record import RecordError
from manager.errors import SnapshotCorruptError, SnapshotMismatchError
from manager.graph.identity import lab_identity_hash
from manager.lab.rounds import Rounds
from manager.lab.saved import LabRecord, LabSnapshot, Over, last_word
from manager.lab.seeds import reseeded
from manager.lab.wires import Arrival, Wires
from manager.machine.machine import Machine

if TYPE_CHECKING:
    from manager.graph.lab import End, Lab
    from manager.machine.ended import Ended
    from manager.snapshot.image import Image

P = TypeVar("P")


class Seat:
    """A machine in a LabRun: manager.lab.rounds.Player. Nothing holds it."""

    __slots__ = ("ended", "lengths", "machine")

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.ended: Ended | None = None
        self.lengths: Callable[[], int] | None = None
        """How long the next slice is within a quantum, ns; the guest cannot tell."""

    def idle_until(self) -> int | None:
        """None: busy; else the time of its next event, or NEVER."""
        return self.machine.idle_until()

    def run_to(self, until: int) -> bool:
        """Run until then or to its end."""
        machine, lengths = self.machine, self.lengths
        while self.ended is None and (now := machine.now()) < until:
            self.ended = machine.run(until if lengths is None else min(until, now + lengths()))
        return True


class LabRun:
    """The machines and wires of a lab, from power-on or a snapshot; `free` gives all back.

    Times are ns of virtual time since power-on, and those of the whole are ends of quanta.
    """

    def __init__(
        self,
        lab: Lab,
        machines: Mapping[str, Machine],
        *,
        now: int = 0,
        over: Mapping[str, Over] | None = None,
    ) -> None:
        self.lab = lab
        self.machines = dict(machines)
        """Those that run."""
        self.over = dict(over or {})
        """Those that came to their end."""
        self.wires = Wires(lab, machines)
        seats = {name: Seat(machine) for name, machine in machines.items()}
        self._rounds = Rounds(lab, seats, self.wires, now)
        self.step = self._rounds.step
        """The length of a quantum."""
        self.on_end: Callable[[str, Machine, Ended], object] = lambda name, machine, ended: None
        """Called when a machine is over, at the end of that quantum, before it is given back."""

    @classmethod
    def power_on(cls, lab: Lab) -> LabRun:
        """All machines about to execute their first instruction. Raises VmmgrError."""
        return cls(lab, _all(lab.members, Machine.power_on))

    @classmethod
    def restore(cls, lab: Lab, snapshot: LabSnapshot, *, reschedule: bool = False) -> LabRun:
        """The lab that a snapshot holds.

        With `reschedule` the seeds of links and schedules may have been others until then.

        Raises SnapshotMismatchError, SnapshotCorruptError and whatever a machine's restore does.
        """
        record = snapshot.record
        if not _fits(lab, record, reschedule=reschedule):
            raise SnapshotMismatchError(
                f"{snapshot.directory}: the lab was saved with other machines, links or cables",
                help="make the file what it was",
            )

        def restored(name: str) -> Machine:
            return Machine.restore(
                lab.members[name], snapshot.machines[name], reschedule=reschedule
            )

        machines = _all({name: name for name in lab.members if name not in record.over}, restored)
        run = cls(lab, machines, now=record.now, over=record.over)
        try:
            run.wires.load(record.wires, record.now)
        except RecordError as error:
            run.free()
            raise SnapshotCorruptError(f"{snapshot.directory}: {error}") from None
        return run

    def now(self) -> int:
        """The end of the last quantum; no machine is behind it."""
        return self._rounds.now

    @property
    def ended(self) -> Over | None:
        """How the lab ended: when all its machines did."""
        return last_word(self.over) if not self.machines else None

    def cut(self, lengths: Callable[[], int] | None) -> None:
        """Run machines in slices of these lengths (ns) within a quantum; no guest can tell."""
        for seat in self._rounds.players.values():
            seat.lengths = lengths

    def idle_until(self) -> int | None:
        """None: busy; else when something happens again, or NEVER."""
        return self._rounds.idle_until()

    def expect(self, at: int, end: End, kind: str, data: bytes) -> None:
        """Give a device of a machine input at a time; `at` is not over.

        The kinds are those of manager.machine.inputs, and the order is Rounds.expect's.
        """
        self._rounds.expect(Arrival(at, end, kind, data, wired=False))

    def run(self, until: int, done: Callable[[], bool] = lambda: False) -> Over | None:
        """Let quanta pass that end by `until`, and no more once `done` says so between two."""
        rounds = self._rounds
        last = until // self.step * self.step
        while rounds.players and not done() and rounds.begin(last):
            rounds.turn()
            for name, seat in tuple(rounds.players.items()):
                if seat.ended is not None:
                    self._part_with(name, seat.machine, seat.ended)
        return self.ended

    def _part_with(self, name: str, machine: Machine, ended: Ended) -> None:
        self._rounds.leave(name)
        self.over[name] = Over.of_guest(ended)
        for port in machine.ports.values():
            port.take_output()
        self.on_end(name, machine, ended)
        del self.machines[name]
        machine.free()

    def state(self) -> tuple[LabRecord, dict[str, Image]]:
        """All of it, for manager.lab.saved.LabStore.commit; it may run on.

        What is expected from outside belongs to the caller, not to this state.
        """
        images = {name: machine.run_to_image() for name, machine in self.machines.items()}
        record = LabRecord(
            self.now(), lab_identity_hash(self.lab), self.wires.state(), dict(self.over)
        )
        return record, images

    def free(self) -> None:
        """Give back all engines and all RAM now; captures are written to their ends."""
        self.wires.close()
        for machine in self.machines.values():
            machine.free()


def _fits(lab: Lab, record: LabRecord, *, reschedule: bool) -> bool:
    if record.identity == lab_identity_hash(lab):
        return True
    if not reschedule or not record.config:
        return reschedule  # then each machine is compared for itself
    from manager.graph import lab_plain

    labs = (reseeded(one, 0) for one in (lab, lab_plain.from_plain(record.config, lab.name)))
    return len({lab_identity_hash(one) for one in labs}) == 1


def _all(members: Mapping[str, P], make: Callable[[P], Machine]) -> dict[str, Machine]:
    """A machine of each, or none."""
    machines: dict[str, Machine] = {}
    try:
        for name, member in members.items():
            machines[name] = make(member)
    except BaseException:
        for machine in machines.values():
            machine.free()
        raise
    return machines
