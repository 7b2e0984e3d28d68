# SPDX-License-Identifier: BSD-2-Clause
"""What happened to the CPUs just before a run failed."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from manager.lazy import dataclass
from manager.machine.places import CpuPlace, of_engine
from manager.machine.trial import Attempt, Trial, Tried

if TYPE_CHECKING:
    from manager.cpu.engine import Break
    from manager.lab.trial import LabAttempt
    from manager.machine.machine import Machine

LINES = 400
"""Beginnings of lines that are remembered: what failed is told at the one where it was printed."""
TICKS_PER_NS = 4


@dataclass(frozen=True, slots=True)
class Interruption:
    """A turn that ended, or an interrupt that came."""

    at: float
    """Virtual ns."""
    cpu: int
    address: int
    """Linear, of the instruction that would have been next."""
    next: int
    """The CPU whose turn began; -1 at an interrupt."""
    vector: int
    """The interrupt's; -1 at a turn."""
    torn: bool
    """That instruction has read memory already, and not written it."""
    times: int
    """How often the same came, in turn with a few others, `at` the last time."""


@dataclass(frozen=True, slots=True)
class Story:
    """A run that was looked at: how it ended, and what happened before."""

    tried: Tried
    at: float
    """When it failed, virtual ns: when the first byte of what is wrong was sent, or at its end."""
    interruptions: Sequence[Interruption]
    """The last ones before, the latest last."""
    places: Sequence[CpuPlace]
    """Each CPU, then."""
    machine: str = ""
    """The one of a lab that is to blame; the rest is about that one."""


@dataclass(frozen=True, slots=True)
class _View:
    """The CPUs at one moment."""

    at: float
    interruptions: Sequence[Interruption]
    places: Sequence[CpuPlace]


def observe(machine: Machine, trial: Trial) -> Story:
    """Run a machine to its verdict; the guest does what it does without being looked at."""
    attempt = Attempt(machine, trial)
    lines: deque[tuple[int, _View]] = deque(maxlen=LINES)
    if trial.port:
        _watch_lines(machine, attempt, trial.port, lines)
    last: list[_View] = []
    tried = attempt.run(lambda: last.append(_look(machine)))
    view = last[0]
    expectation = attempt.expectation
    if tried.outcome == "failed" and expectation.match is not None:
        start = expectation.console.start + expectation.match.start()
        view = next((item for at, item in reversed(lines) if at <= start), view)
    return Story(tried, view.at, view.interruptions, view.places)


def observe_lab(attempt: LabAttempt) -> Story:
    """Run a lab to its verdict. When it fails, the last quantum has ended."""
    tried = attempt.run()
    return Story(tried, tried.at, _told(attempt.breaks), attempt.places, attempt.blamed)


def _watch_lines(
    machine: Machine, attempt: Attempt, id: str, lines: deque[tuple[int, _View]]
) -> None:
    """Note where the CPUs are whenever a line begins, by its position in the text."""
    port, console = machine.ports[id], attempt.expectation.console
    begins = True

    def heard(data: bytes) -> None:
        nonlocal begins
        if begins:
            lines.append((console.start + len(console.text), _look(machine)))
        begins = data.endswith(b"\n")

    port.listeners.add(heard, port.take_output)  # each byte as it is sent


def _look(machine: Machine) -> _View:
    engine = machine.engine
    return _View(engine.time[0] / TICKS_PER_NS, _told(engine.breaks), of_engine(engine))


def _told(breaks: Sequence[Break]) -> list[Interruption]:
    return [Interruption(item.at / TICKS_PER_NS, *item[1:]) for item in breaks]
