# SPDX-License-Identifier: BSD-2-Clause
"""Running a lab to a verdict. What a machine's trial is for a machine, this is for a lab.

What machines print is looked at between two quanta, and what is sent to one reaches it in the
next; so no verdict depends on the host, nor on the order in which the machines run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from manager.bus.record import NEVER
from manager.errors import ExitCode
from manager.graph.lab import End
from manager.lazy import dataclass
from manager.machine.expectation import AFAR, line_of
from manager.machine.inputs import DATA
from manager.machine.places import CpuPlace
from manager.machine.trial import STILL_RUNS, Outcome, Tried
from manager.text.console_text import ConsoleText
from manager.text.pattern import Match, Pattern, compile_pattern
from manager.text.search import Search

if TYPE_CHECKING:
    from manager.cpu.engine import Break
    from manager.lab.run import LabRun
    from manager.machine.ended import Ended
    from manager.machine.machine import Machine


@dataclass(frozen=True, slots=True)
class Wait:
    """Until what a port sends matches."""

    end: End
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Tell:
    """Give bytes to the guest at a port."""

    end: End
    data: bytes


@dataclass(frozen=True, slots=True)
class LabTrial:
    """What a lab is to do."""

    steps: Sequence[Wait | Tell]
    """In order. Of each port, text counts from where the match before on it ended."""
    fail_on: Sequence[Wait]
    """The first of these that matches is a failure."""
    budget: int
    """ns of virtual time."""

    def to_plain(self) -> dict[str, Any]:
        """As JSON has it."""
        steps = [
            ["tell", item.end, item.data.hex()]
            if isinstance(item, Tell)
            else ["wait", item.end, item.pattern.source]
            for item in self.steps
        ]
        fail_on = [[item.end, item.pattern.source] for item in self.fail_on]
        return {"steps": steps, "fail_on": fail_on, "budget": self.budget}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> LabTrial:
        """What `to_plain` gave."""
        steps = [
            Tell(End(*end), bytes.fromhex(text))
            if kind == "tell"
            else Wait(End(*end), compile_pattern(text))
            for kind, end, text in plain["steps"]
        ]
        fail_on = [Wait(End(*end), compile_pattern(text)) for end, text in plain["fail_on"]]
        return cls(steps, fail_on, plain["budget"])

    @property
    def waits(self) -> bool:
        """Whether there is a pattern that is to match."""
        return any(isinstance(step, Wait) for step in self.steps)


class LabAttempt:
    """One lab on trial. `run` may be called once.

    Its verdict is about a machine where one is to blame: `blamed`. Where its CPUs were then is in
    `places`, and the last ends of turns and interrupts in `breaks`.
    """

    def __init__(self, run: LabRun, trial: LabTrial) -> None:
        self._run = run
        self._trial = trial
        self._next = 0
        self._search: Search | None = None
        """For the step that is waited for, from the first look on."""
        self._look_afar_at = 0
        self._tried: Tried | None = None
        self._over = set(run.over)
        self.blamed = ""
        self.places: Sequence[CpuPlace] = ()
        self.breaks: Sequence[Break] = ()
        watched = [item for item in (*trial.steps, *trial.fail_on) if isinstance(item, Wait)]
        self._consoles = {item.end: ConsoleText() for item in watched}
        self._positions = dict.fromkeys(self._consoles, 0)
        self._fail_on = [(item.end, Search(item.pattern)) for item in trial.fail_on]
        self._ports = {}
        self._heard = False
        for end, console in self._consoles.items():
            if end.machine in run.machines:
                port = self._ports[end] = run.machines[end.machine].ports[end.device]
                port.listeners.add(self._hears(console))
        run.on_end = self._ended

    def _hears(self, console: ConsoleText) -> Callable[[bytes], None]:
        def heard(data: bytes) -> None:
            self._heard = True
            console.add(data)

        return heard

    def run(self, settled: Callable[[], object] = lambda: None) -> Tried:
        """Run to the verdict or the end; `settled` is called after each quantum."""
        run = self._run
        until = -(-(run.now() + self._trial.budget) // run.step) * run.step
        self._tell_due()

        def done() -> bool:
            self._look()
            if run.idle_until() == NEVER:
                self._look(afar=True)
                self._give_up()
            settled()
            return self._tried is not None

        run.run(until, done)
        self._look(afar=True)
        if self._tried is None:
            self._tried = self._at_end()
        if self.blamed in run.machines:
            self._blame(self.blamed, run.machines[self.blamed])
        return self._tried

    def _look(self, *, afar: bool = False) -> None:
        """Judge what is new."""
        if self._tried is not None:
            return
        for port in self._ports.values():
            port.take_output()
        now = self._run.now()
        afar = afar or now >= self._look_afar_at
        if self._heard or afar:
            self._heard = False
            self._judge(afar=afar)
            for console in self._consoles.values():
                console.forget()
        if afar:
            self._look_afar_at = now + AFAR
        awaited = self._awaited()
        if awaited is not None and awaited.end.machine in self._over and not afar:
            self._look(afar=True)
        elif awaited is not None and awaited.end.machine in self._over and self._tried is None:
            detail = f"it is over, and {awaited.pattern.source!r} has not come"
            self._finish("early", ExitCode.FAILURE, awaited.end.machine, detail)

    def _judge(self, *, afar: bool) -> None:
        failed = self._failed(afar=afar)
        while (awaited := self._awaited()) is not None:
            end, console = awaited.end, self._consoles[awaited.end]
            if self._search is None:
                self._search = Search(awaited.pattern, self._positions[end])
            match = self._search.look(console.text, console.start, afar=afar)
            if match is None or _is_before(failed, end, match):
                break
            self._positions[end] = console.start + match.end()
            self._next += 1
            self._search = None
            self._tell_due()
            if self._next == len(self._trial.steps):
                self._finish("matched", ExitCode.OK, end.machine, line_of(match))
                return
        if failed is not None:
            end, match = failed
            self._finish("failed", ExitCode.FAIL_ON_MATCHED, end.machine, line_of(match))

    def _failed(self, *, afar: bool) -> tuple[End, Match] | None:
        for end, search in self._fail_on:
            console = self._consoles[end]
            match = search.look(console.text, console.start, afar=afar)
            if match is not None:
                return end, match
        return None

    def _awaited(self) -> Wait | None:
        steps = self._trial.steps
        step = steps[self._next] if self._next < len(steps) else None
        return step if isinstance(step, Wait) else None

    def _tell_due(self) -> None:
        steps = self._trial.steps
        while self._next < len(steps) and isinstance(step := steps[self._next], Tell):
            self._run.expect(self._run.now(), step.end, DATA, step.data)
            self._next += 1

    def _ended(self, name: str, machine: Machine, ended: Ended) -> None:
        self._over.add(name)
        bad = ended.reason == "debug-exit" and ended.status >> 1 != 0
        if self._tried is None and (ended.is_fault or bad):
            self._look(afar=True)
        if self._tried is None and (ended.is_fault or bad):
            self._blame(name, machine)
            self._finish("fault" if ended.is_fault else "early", ended.status, name, ended.detail)

    def _give_up(self) -> None:
        """Neither a machine nor a wire will do anything any more."""
        if self._tried is None and self._run.machines and self._run.idle_until() == NEVER:
            waits = self._awaited()
            what = f"; still waiting for {waits.pattern.source!r}" if waits is not None else ""
            first = waits.end.machine if waits is not None else next(iter(self._run.machines))
            self._finish("budget", ExitCode.TIME_BUDGET, first, f"idle for ever{what}")

    def _at_end(self) -> Tried:
        now, ended, awaited = self._run.now(), self._run.ended, self._awaited()
        if ended is None:
            if awaited is None:
                return Tried("budget", ExitCode.TIME_BUDGET, STILL_RUNS, now)
            self.blamed = awaited.end.machine
            detail = f"{self.blamed}: still waiting for {awaited.pattern.source!r}"
            return Tried("budget", ExitCode.TIME_BUDGET, detail, now)
        if self._trial.waits:
            return Tried("early", ExitCode.FAILURE, ended.detail, now)
        return Tried("ended", ended.status, ended.detail, now)

    def _blame(self, name: str, machine: Machine) -> None:
        self.blamed = name
        self.places, self.breaks = machine.places(), tuple(machine.engine.breaks)

    def _finish(self, outcome: Outcome, status: int, machine: str, detail: str) -> None:
        self.blamed = machine
        self._tried = Tried(outcome, status, f"{machine}: {detail}", self._run.now())


def _is_before(failed: tuple[End, Match] | None, end: End, match: Match) -> bool:
    """Whether a failure comes first: on another port it does, for both are of one quantum."""
    return failed is not None and (failed[0] != end or failed[1].start() < match.start())
