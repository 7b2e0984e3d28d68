# SPDX-License-Identifier: BSD-2-Clause
"""Running a machine to a verdict, with nothing of the host's around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from manager.errors import ExitCode
from manager.lazy import dataclass
from manager.machine.expectation import Expectation, Press, Send, Step, Until, UntilScreen
from manager.machine.keystrokes import press
from manager.machine.serial_port import SerialPort
from manager.text.pattern import Pattern, compile_pattern
from manager.text.search import Search

if TYPE_CHECKING:
    from manager.machine.ended import Ended
    from manager.machine.machine import Machine

SLICE = 50_000_000
"""Virtual ns after which output is taken; the guest cannot tell."""

STILL_RUNS = "it still runs; without --until it has to end by itself"
"""Of a machine that is out of time, where nothing was waited for."""

Outcome = Literal["matched", "ended", "failed", "fault", "budget", "early"]
"""`early`: it ended before the last pattern matched, or with a status that is no success."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a machine is to do: as with `vmmgr run`."""

    steps: Sequence[Step]
    fail_on: Pattern | None
    budget: int
    """ns of virtual time."""
    port: str
    """The id of the port that is searched; empty if nothing is looked for."""

    def to_plain(self) -> dict[str, Any]:
        """As JSON has it."""
        steps = [_step_to_plain(item) for item in self.steps]
        fail_on = self.fail_on.source if self.fail_on is not None else None
        return {"steps": steps, "fail_on": fail_on, "budget": self.budget, "port": self.port}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Trial:
        """What `to_plain` gave."""
        steps = [_step_from_plain(kind, text) for kind, text in plain["steps"]]
        fail_on = plain["fail_on"]
        found = compile_pattern(fail_on) if fail_on is not None else None
        return cls(steps, found, plain["budget"], plain["port"])

    @property
    def waits(self) -> bool:
        """Whether there is a pattern that is to match."""
        return any(isinstance(step, Until | UntilScreen) for step in self.steps)


def _step_to_plain(step: Step) -> list[str]:
    if isinstance(step, Send):
        return ["send", step.data.hex()]
    if isinstance(step, Press):
        return ["press", step.events.hex()]
    return ["until" if isinstance(step, Until) else "screen", step.pattern.source]


def _step_from_plain(kind: str, text: str) -> Step:
    if kind == "send":
        return Send(bytes.fromhex(text))
    if kind == "press":
        return Press(bytes.fromhex(text))
    pattern = compile_pattern(text)
    return Until(pattern) if kind == "until" else UntilScreen(pattern)


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of it."""

    outcome: Outcome
    status: int
    """The exit code that `vmmgr run` would have."""
    detail: str
    """One line."""
    at: int
    """Virtual ns since power-on."""

    @property
    def is_failure(self) -> bool:
        """Whether something went wrong."""
        return self.outcome not in ("matched", "ended")


class Attempt:
    """One machine on trial. `run` may be called once."""

    def __init__(self, machine: Machine, trial: Trial) -> None:
        self._machine = machine
        self._trial = trial
        fail_on = trial.fail_on
        self.expectation = Expectation(
            machine.clock,
            machine.ports[trial.port] if trial.port else SerialPort("none"),
            trial.steps,
            finished=lambda _: machine.stop(),
            fail_on=Search(fail_on) if fail_on is not None else None,
            budget=trial.budget,
            screen=machine.screen_text,
            press=lambda events: press(machine, events),
        )

    def run(self, settled: Callable[[], None] = lambda: None) -> Tried:
        """Run to the verdict or the end; `settled` is called there, before last words are read."""
        machine, expectation = self._machine, self.expectation
        ended: Ended | None = None
        expectation.start()
        while ended is None and expectation.verdict is None:
            ended = machine.run(machine.now() + SLICE)
            for port in machine.ports.values():
                port.take_output()
        settled()
        expectation.look()  # at what it printed last
        return self._judged(ended)

    def _judged(self, ended: Ended | None) -> Tried:
        at, verdict = self._machine.now(), self.expectation.verdict
        if verdict is not None and verdict.outcome == "failed":
            return Tried("failed", ExitCode.FAIL_ON_MATCHED, verdict.detail, at)
        if verdict is not None and verdict.outcome == "matched":
            return Tried("matched", ExitCode.OK, verdict.detail, at)
        if verdict is not None:
            return Tried("budget", ExitCode.TIME_BUDGET, verdict.detail or STILL_RUNS, at)
        assert ended is not None
        if ended.is_fault:
            return Tried("fault", ended.status, ended.detail, at)
        if ended.reason == "debug-exit":
            early = self._trial.waits or ended.status >> 1 != 0
            return Tried("early" if early else "ended", ended.status, ended.detail, at)
        if self._trial.waits:
            return Tried("early", ExitCode.FAILURE, ended.detail, at)
        return Tried("ended", ended.status, ended.detail, at)
