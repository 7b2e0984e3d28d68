# SPDX-License-Identifier: BSD-2-Clause
"""A lab on trial: conditions on several machines, in turns."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from support.small_lab import ASLEEP, lab

from manager.graph.lab import End, Lab
from manager.graph.labs import load_lab
from manager.lab.run import LabRun
from manager.lab.trial import LabAttempt, LabTrial, Tell, Wait
from manager.machine.trial import Tried
from manager.text.pattern import compile_pattern

MILLISECOND = 1_000_000
ONE, TWO = End("one", "lpc.com1"), End("two", "lpc.com1")
ECHO = """
        cli
        mov dx, 0x3fd           /* what comes from the console, plus one */
wait:   in al, dx
        test al, 1
        jz wait
        mov dx, 0x3f8
        in al, dx
        inc al
        out dx, al
        mov dx, 0x3fd
        cmp al, 'Z'
        jne wait
        cli
        hlt
"""


def waits(end: End, text: str) -> Wait:
    return Wait(end, compile_pattern(text))


def duo(folder: Path, one: str = ECHO, two: str = ECHO) -> Lab:
    return load_lab(lab(folder, one=one, two=two))


def tried(machines: Lab, trial: LabTrial, *, slices: int | None = None) -> Tried:
    run = LabRun.power_on(machines)
    choose = random.Random(slices)
    try:
        if slices is not None:
            run.cut(lambda: choose.randrange(1, 20_000))
        return LabAttempt(run, LabTrial.from_plain(trial.to_plain())).run()
    finally:
        run.free()


def test_machines_are_waited_for_and_answered_in_turns(tmp_path: Path) -> None:
    steps = [Tell(ONE, b"a"), waits(ONE, "b"), Tell(TWO, b"m"), waits(TWO, "n"), Tell(ONE, b"c")]
    trial = LabTrial([*steps, waits(ONE, "bd$")], [], MILLISECOND)

    missed = tried(duo(tmp_path), trial)
    trial = LabTrial([*steps, waits(ONE, "^d$|d")], [], MILLISECOND)
    whole, cut = tried(duo(tmp_path), trial), tried(duo(tmp_path), trial, slices=3)

    assert missed.outcome == "budget", "the text before a match is not looked at again"
    assert (whole.outcome, whole.detail) == ("matched", "one: bd")
    assert whole.at % 100_000 == 0
    assert cut == whole


def test_a_failure_on_another_machine_counts(tmp_path: Path) -> None:
    steps = [Tell(ONE, b"a"), Tell(TWO, b"m"), waits(ONE, "never")]

    result = tried(duo(tmp_path), LabTrial(steps, [waits(TWO, "n")], MILLISECOND))

    assert (result.outcome, result.status, result.detail) == ("failed", 8, "two: n")


def test_a_machine_that_ends_before_it_said_what_is_waited_for_is_told(tmp_path: Path) -> None:
    steps = [Tell(ONE, b"Y"), waits(ONE, "never")]

    result = tried(duo(tmp_path), LabTrial(steps, [], 10 * MILLISECOND))

    assert (result.outcome, result.status) == ("early", 1)
    assert result.detail == "one: it is over, and 'never' has not come"
    assert result.at < MILLISECOND


def test_last_words_count(tmp_path: Path) -> None:
    result = tried(
        duo(tmp_path), LabTrial([Tell(ONE, b"Y"), waits(ONE, "Z")], [], 10 * MILLISECOND)
    )

    assert (result.outcome, result.detail) == ("matched", "one: Z")


@pytest.mark.parametrize("steps", [[], [waits(ONE, "never")]])
def test_a_lab_that_is_idle_for_ever_is_not_waited_for(
    tmp_path: Path, steps: list[Wait | Tell]
) -> None:
    result = tried(duo(tmp_path, ASLEEP, ASLEEP), LabTrial(steps, [], 1 << 62))

    assert (result.outcome, result.status) == ("budget", 124)
    assert "one: idle for ever" in result.detail
    assert result.at < 60_000 * MILLISECOND
