# SPDX-License-Identifier: BSD-2-Clause
"""A prover does not cry wolf: machines that end, reset, fault or halt at any time are the same.

Whatever the points, the input and the number of jobs; and any of them is replayed as it was. The
jobs are carried out in this process, one at a time: that no process begins for each is all that
differs from a real verification.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from threading import Lock

import pytest
from support.scripted import ECHO, ENDS, RESET, RESETS, SAY, SPIN, WAIT, Step, scripted

from manager.machine.inputs import Input
from manager.machine.machine import Machine
from manager.replay import recordings
from manager.replay.processes import Processes
from manager.replay.replay import Replay, machine_at_start
from manager.replay.verify import Plan, Verification
from manager.replay.worker import Job, Reached, carry_out

from .conftest import MILLISECOND, Recorded

pytestmark = pytest.mark.guest

SEEDS = int(os.environ.get("VMMGR_FUZZ_ROUNDS", "20"))
COM1 = "lpc.com1"


class Here(Processes):
    """Carries jobs out in this process, one after the other."""

    _turn = Lock()

    def run(self, job: Job) -> list[Reached]:
        """One job."""
        with self._turn:
            return carry_out(job)


def some_steps(choose: random.Random) -> list[Step]:
    """What a guest may do before its end."""
    arguments = {
        SAY: lambda: choose.randrange(ord("a"), ord("z")),
        SPIN: lambda: choose.randrange(1, choose.choice((100, 60_000))),
        WAIT: lambda: choose.randrange(1, 4),
        ECHO: lambda: 0,
        RESET: lambda: choose.randrange(RESETS) | choose.randrange(6) << 8,
    }
    kinds = choose.choices(list(arguments), k=choose.randrange(14))
    return [Step(kind, arguments[kind]()) for kind in kinds]


def some_input(choose: random.Random, until: int) -> list[Input]:
    """What may be typed meanwhile."""
    times = sorted(choose.randrange(1, until + 2) for _ in range(choose.choice((0, 3, 30))))
    return [Input(at, "data", COM1, choose.randbytes(choose.randrange(1, 4))) for at in times]


def some_time(choose: random.Random) -> int:
    """How long, in virtual ns."""
    return choose.choice((choose.randrange(1, 5000), choose.randrange(10_000, 30 * MILLISECOND)))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_any_machine_is_the_same(seed: int, tmp_path: Path) -> None:
    choose = random.Random(seed)
    graph = scripted(tmp_path, some_steps(choose), choose.choice(ENDS))
    until = some_time(choose)
    plan = Plan(graph, until, choose.randrange(7), seed, some_input(choose, until))

    report = Verification(plan, tmp_path / "states", Here(choose.randrange(1, 5))).run()

    assert report.mismatch is None, (report.mismatch.what, report.mismatch.differences)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_any_recorded_machine_is_replayed_as_it_was(seed: int, tmp_path: Path) -> None:
    choose = random.Random(seed)
    graph = scripted(tmp_path, some_steps(choose), choose.choice(ENDS))
    recorded = Recorded(graph, tmp_path / "recordings")
    ended = None
    for number in range(choose.randrange(12)):
        ended = recorded.machine.run(recorded.machine.now() + some_time(choose))
        recorded.pump()
        if ended is not None:
            break
        if choose.random() < 0.7:
            recorded.machine.ports[COM1].feed(choose.randbytes(choose.randrange(1, 4)))
        if choose.random() < 0.2:
            recorded.suspend_and_resume(tmp_path / f"state-{number}")
    recorded.recorder.end("down" if ended is None else "fault" if ended.is_fault else "ended")

    told = recordings.story(recorded.directory)
    machine = machine_at_start(told.header)
    again = Replay(machine, told.header.records, told.entries, begun_at=told.header.start.at)
    divergence = again.run()

    assert divergence is None, divergence.lines()


@pytest.mark.parametrize("end", ENDS)
def test_guest_of_these_tests_ends_as_it_is_told(end: str, tmp_path: Path) -> None:
    machine = Machine.power_on(scripted(tmp_path, [Step(SAY, ord("x")), Step(WAIT, 2)], end))

    ended = machine.run(10 * MILLISECOND)

    assert machine.ports["lpc.com1"].take_output()[:1] == b"x"
    assert (ended.reason if ended is not None else "never") == end
    machine.close()


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_machine_that_ends_before_the_second_point_is_the_same(jobs: int, tmp_path: Path) -> None:
    said = [Step(SAY, ord(letter)) for letter in "hello"]
    graph = scripted(tmp_path, [*said, Step(WAIT, 3), *said], "debug-exit")
    plan = Plan(graph, 1000 * MILLISECOND, 6, 4)

    report = Verification(plan, tmp_path / "states", Here(jobs)).run()

    assert report.mismatch is None
    assert "status 15" in report.ended


def test_input_that_comes_while_a_reset_holds_the_machine_is_not_lost(tmp_path: Path) -> None:
    reset_for_a_millisecond = Step(RESET, 0 | 1 << 8)
    graph = scripted(tmp_path, [Step(SAY, ord("x")), reset_for_a_millisecond, Step(ECHO)])
    typed = [
        Input(at * MILLISECOND // 10, "data", COM1, b"abcdefghi"[at - 1 : at])
        for at in range(1, 10)
    ]
    plan = Plan(graph, 3 * MILLISECOND, 40, 1, typed)

    report = Verification(plan, tmp_path / "states", Here()).run()

    assert report.mismatch is None
    assert report.points == 40
