# SPDX-License-Identifier: BSD-2-Clause
"""One process's share of an exploration: a machine or a lab, and seeds to try it with.

`python -m manager.replay.seeds` reads a Task as a line of JSON from standard input, then a line
for each seed, and answers each with a line: a Result, or what a user can do about a failure.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from manager.errors import VmmgrError
from manager.lazy import dataclass
from manager.machine.trial import Attempt, Outcome, Trial, Tried

if TYPE_CHECKING:
    from manager.graph.lab import Lab
    from manager.graph.nodes import Graph
    from manager.lab.run import LabRun
    from manager.lab.saved import LabSnapshot
    from manager.lab.trial import LabTrial
    from manager.machine.machine import Machine
    from manager.replay.witness import Story
    from manager.snapshot.read import Snapshot


@dataclass(frozen=True, slots=True)
class Task:
    """What to do with each seed. Plain, so that it is JSON."""

    subject: str
    """A file that `subjects.write` wrote; what of it has a seed gets another."""
    trial: dict[str, Any]
    start: str = ""
    """A snapshot's directory; power-on if empty."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """Where a lab's snapshot has its machines: the store of each, by name."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one seed."""

    seed: int
    tried: Tried
    seconds: float
    """Of the host's time."""

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Result:
        """From what `asdict` gives. Raises KeyError, TypeError, ValueError for anything else."""
        tried = Tried(**plain["tried"])
        numbers = (plain["seed"], tried.status, tried.at)
        if any(type(number) is not int or number < 0 for number in numbers):
            raise ValueError("a number is missing")
        if tried.outcome not in get_args(Outcome) or not isinstance(tried.detail, str):
            raise ValueError("no such outcome")
        return cls(plain["seed"], tried, float(plain["seconds"]))


@dataclass(slots=True)
class Laboratory:
    """Carries out a task in this process."""

    graph: Graph
    trial: Trial
    start: Snapshot | None = None
    kept: Machine | None = None
    """At the start, before its first seed: its engine has translated what the last one ran."""

    def machine(self, seed: int) -> Machine:
        """A machine that begins with this seed. Raises VmmgrError."""
        from manager.machine.machine import Machine

        graph = self._graph(seed)
        if self.start is None:
            return Machine.power_on(graph)
        return Machine.restore(graph, self.start, reschedule=True)

    def _graph(self, seed: int) -> Graph:
        assert self.graph.cpu_seed is not None
        return replace(self.graph, cpu_seed=replace(self.graph.cpu_seed, seed=seed))

    def attempt(self, seed: int) -> Result:
        """Try one. Raises VmmgrError."""
        began = time.monotonic()
        machine = self._at_start(seed)
        try:
            attempt = Attempt(machine, self.trial)
            tried = attempt.run()
            attempt.expectation.cancel()
            if self._may_go_back(machine):
                self.kept = machine
        finally:
            if self.kept is None:
                machine.free()
        return Result(seed, tried, round(time.monotonic() - began, 6))

    def _at_start(self, seed: int) -> Machine:
        """A machine that begins with this seed: the one that has been there, if it is good."""
        if self.kept is None:
            machine = self.machine(seed)
            if self._may_go_back(machine):
                machine.mark()
            return machine
        machine, self.kept = self.kept, None
        machine.back()
        machine.reseed(self._graph(seed))
        return machine

    def _may_go_back(self, machine: Machine) -> bool:
        """Whether the start can be reached again and is the same for all seeds.

        At power-on, and where a snapshot does not say whose turn it is, a seed has drawn already.
        """
        from manager.machine.state import TURN_ID

        start = self.start
        return start is not None and TURN_ID in start.states and not machine.engine.crashed

    def explain(self, seed: int) -> Story:
        """Try it again and look closely. Raises VmmgrError."""
        from manager.replay.witness import observe

        machine = self.machine(seed)
        try:
            return observe(machine, self.trial)
        finally:
            machine.free()


@dataclass(slots=True)
class LabLaboratory:
    """The same for a lab."""

    lab: Lab
    trial: LabTrial
    start: LabSnapshot | None = None

    def attempt(self, seed: int) -> Result:
        """Try one. Raises VmmgrError."""
        from manager.lab.trial import LabAttempt

        began, run = time.monotonic(), self._run(seed)
        try:
            tried = LabAttempt(run, self.trial).run()
        finally:
            run.free()
        return Result(seed, tried, round(time.monotonic() - began, 6))

    def explain(self, seed: int) -> Story:
        """Try it again and tell what came last. Raises VmmgrError."""
        from manager.lab.trial import LabAttempt
        from manager.replay.witness import observe_lab

        run = self._run(seed)
        try:
            return observe_lab(LabAttempt(run, self.trial))
        finally:
            run.free()

    def _run(self, seed: int) -> LabRun:
        from manager.lab.run import LabRun
        from manager.lab.seeds import reseeded

        lab = reseeded(self.lab, seed)
        if self.start is None:
            return LabRun.power_on(lab)
        return LabRun.restore(lab, self.start, reschedule=True)


def laboratory_of(task: Task) -> Laboratory | LabLaboratory:
    """Raises VmmgrError for a snapshot that cannot be read."""
    from manager.graph.lab import Lab
    from manager.lab.saved import LabStore
    from manager.lab.trial import LabTrial
    from manager.replay import subjects
    from manager.snapshot.read import open_snapshot

    subject, _ = subjects.read(Path(task.subject))
    if isinstance(subject, Lab):
        trial = LabTrial.from_plain(task.trial)
        if not task.start:
            return LabLaboratory(subject, trial)
        record = Path(task.start)
        store = LabStore(record.parent, lambda name: Path(task.parts[name]))
        return LabLaboratory(subject, trial, store.open_at(record))
    start = open_snapshot(Path(task.start)) if task.start else None
    return Laboratory(subject, Trial.from_plain(task.trial), start)


def main() -> None:
    """Answer until standard input ends."""
    laboratory: Laboratory | LabLaboratory | None = None
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            if laboratory is None:
                laboratory = laboratory_of(Task(**asked))
                continue
            answer = (
                asdict(laboratory.explain(asked["seed"]))
                if asked.get("explain")
                else asdict(laboratory.attempt(asked["seed"]))
            )
        except VmmgrError as error:
            answer = {"error": error.message, "help": error.help, "status": error.exit_code}
        try:
            print(json.dumps(answer), flush=True)
        except BrokenPipeError:
            return


if __name__ == "__main__":
    main()
