# SPDX-License-Identifier: BSD-2-Clause
"""Running a recorded lab again as one.

Its machines get what came to them from outside, at the recorded times. What they send each other
is computed anew, and compared with what each of them is recorded to have got.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from manager.bus.record import NEVER, RecordError
from manager.errors import SnapshotCorruptError
from manager.lab.rounds import Rounds
from manager.lab.wires import Wires
from manager.lazy import dataclass
from manager.machine.inputs import Input
from manager.machine.network_port import FRAME
from manager.replay.checks import OF_ITSELF, Checks, Divergence, end_of, seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from manager.graph.lab import Lab
    from manager.lab.saved import LabSnapshot
    from manager.machine.ended import Ended
    from manager.machine.machine import Machine
    from manager.replay.entries import Entry, Header


class Told(Protocol):
    """What was recorded of a machine: a log, or several that were joined."""

    header: Header
    entries: list[Entry]


Heard = Callable[[str, str, bytes], None]
"""Called with a machine's name in the lab, a port's id and what it sent."""


class MemberReplay:
    """A machine of a lab that is run again: manager.lab.rounds.Player."""

    def __init__(self, machine: Machine, told: Told, hear: Callable[[str, bytes], None]) -> None:
        now = machine.now()
        self.machine = machine
        self.checks = Checks(
            machine,
            told.header.records,
            told.entries,
            begun_at=told.header.start.at,
            output=hear,
        )
        self.end = end_of(told.entries)
        """How its recorded run ended."""
        self.ended: Ended | None = None
        """How this run did."""
        self.last_at = self.end.at if self.end is not None else _last_of(told)
        """The time up to which the run is known."""
        self._inputs = deque(
            entry for entry in told.entries if isinstance(entry, Input) and entry.at > now
        )
        self._limit = NEVER
        machine.inputs.on_input = self._came

    def stop_at(self, target: int) -> None:
        """Run no further than this, nor further than the recorded run."""
        end = self.end
        self._limit = target
        if end is not None and end.at <= target:
            # What stopped the guest did so inside a block, perhaps after the last deadline.
            self._limit = end.at + (end.reason in OF_ITSELF)

    @property
    def is_there(self) -> bool:
        """Whether it has come to where it is to stop, or to its end."""
        return self.ended is not None or self.machine.now() >= self._limit

    @property
    def is_over(self) -> bool:
        """Whether there is no more of it: in this run, or in the recorded one."""
        if self.ended is not None:
            return True
        return self.end is not None and self.machine.now() >= self._limit >= self.end.at

    def feed(self) -> None:
        """Send what comes from outside on its way, as far as it came before the next by a wire.

        Input keeps its order, and of the times of what wires bring these are no earlier.
        """
        while self._inputs and not self._inputs[0].wired:
            self.machine.inputs.schedule(self._inputs.popleft())

    def idle_until(self) -> int | None:
        """None: busy; else the time of its next event, or NEVER."""
        return self.machine.idle_until()

    def run_to(self, until: int) -> bool:
        """Run until then, or to its end; False when it is not as it was recorded."""
        self.feed()
        if self._inputs and self._inputs[0].at < min(until, self._limit):
            missing = self._inputs[0]
            self._differs(missing.at, f"{_named(missing)} did not come")
        machine, limit = self.machine, min(until, self._limit)
        while self.ended is None and self.checks.divergence is None and machine.now() < limit:
            self.ended = machine.run(limit)
        self.checks.collect()
        return self.checks.divergence is None

    def compare_end(self) -> None:
        """It is over."""
        end = self.end if self.end is not None and self.machine.now() >= self.end.at else None
        self.checks.compare_how_it_ended(end, self.ended)

    def leave(self) -> None:
        """The machine goes on without its recording."""
        self.checks.leave()
        self.machine.inputs.on_input = None

    def _came(self, input: Input) -> None:
        """A piece of input is on its way."""
        if not input.wired or input.at > self._limit:
            return
        expected = self._inputs[0] if self._inputs else None
        if expected == input:
            self._inputs.popleft()
        elif expected is not None and expected == replace(input, data=expected.data):
            self._differs(input.at, f"{_named(input)} has other bytes than the recorded one")
        elif expected is not None:
            self._differs(input.at, f"{_named(input)} came instead of {_named(expected)}")
        elif self.end is not None:
            self._differs(input.at, f"{_named(input)} came, and nothing did when it was recorded")

    def _differs(self, at: int, arrived: str) -> None:
        self.checks.diverge(at, arrived=arrived)


def _named(input: Input) -> str:
    kind = "frame" if input.kind == FRAME else "piece of data"
    return f"the {kind} for {input.port} at {seconds(input.at)}"


def _last_of(told: Told) -> int:
    return max([told.header.start.at, *(entry.at for entry in told.entries)])


@dataclass(frozen=True, slots=True)
class LabDivergence:
    """The first thing that was not as it was recorded, and of which machine."""

    machine: str
    """Its name in the lab."""
    divergence: Divergence

    def lines(self) -> list[str]:
        """In plain words."""
        first, *others = self.divergence.lines()
        return [f"{self.machine}: {first}", *others]


class LabReplay:
    """Runs `machines` again, which are at `now`, with what is `told` of each.

    `wires` join them, and are as they were then.
    """

    def __init__(
        self,
        lab: Lab,
        machines: Mapping[str, Machine],
        wires: Wires,
        told: Mapping[str, Told],
        *,
        now: int = 0,
        hear: Heard = lambda name, port, data: None,
    ) -> None:
        self.members = {
            name: MemberReplay(machine, told[name], _of(name, hear))
            for name, machine in machines.items()
        }
        """All, also those that are over meanwhile."""
        self.divergence: LabDivergence | None = None
        self._rounds = Rounds(lab, self.members, wires, now)

    @property
    def last_at(self) -> int:
        """The time up to which the run is known."""
        return max(member.last_at for member in self.members.values())

    @property
    def checked(self) -> int:
        """Checks that held."""
        return sum(member.checks.checked for member in self.members.values())

    @property
    def running(self) -> Sequence[str]:
        """The machines that are not over."""
        return list(self._rounds.players)

    def now(self) -> int:
        """The time of the machine that is furthest."""
        return max(member.machine.now() for member in self.members.values())

    def run(self, until: int | None = None) -> LabDivergence | None:
        """Go to `until`, or to the end of what was recorded; the first divergence stops it."""
        target = self.last_at if until is None else until
        rounds = self._rounds
        for member in rounds.players.values():
            member.stop_at(target)
        last = -(-(target + 1) // rounds.step) * rounds.step
        self._look()
        while self.divergence is None and rounds.players:
            for member in rounds.players.values():
                member.feed()
            if all(member.is_there for member in rounds.players.values()):
                break
            if not rounds.begin(last):
                break
            rounds.turn()
            self._look()
        return self.divergence

    def _look(self) -> None:
        """Let go of machines that are over, and see whether all is as it was recorded."""
        over = [name for name, member in self._rounds.players.items() if member.is_over]
        for name in over:
            self.members[name].compare_end()
        for name, member in self.members.items():
            if self.divergence is None and member.checks.divergence is not None:
                self.divergence = LabDivergence(name, member.checks.divergence)
        if self.divergence is None:
            for name in over:
                self._rounds.leave(name)

    def leave(self) -> None:
        """The machines go on without their recordings."""
        for member in self.members.values():
            member.leave()


def wires_at(lab: Lab, machines: Mapping[str, Machine], start: LabSnapshot | None) -> Wires:
    """What is between the machines, as a snapshot has it, or at power-on.

    Raises SnapshotCorruptError.
    """
    wires = Wires(lab, machines)
    if start is not None:
        try:
            wires.load(start.record.wires, start.record.now)
        except RecordError as error:
            raise SnapshotCorruptError(f"{start.directory}: {error}") from None
    return wires


def _of(name: str, hear: Heard) -> Callable[[str, bytes], None]:
    return lambda port, data: hear(name, port, data)
