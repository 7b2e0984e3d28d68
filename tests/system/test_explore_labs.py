# SPDX-License-Identifier: BSD-2-Clause
"""`run` and `explore` of a lab: conditions that name a machine, and seeds of all of it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from support import races
from support.small_lab import ANSWERER, ASLEEP, counter, lab
from support.vmmgr import Vmmgr

from manager.cli.main import main

pytestmark = pytest.mark.guest

FAILS = 27
"""The smallest seed under which the kernel with the missing lock fails."""


def racing(folder: Path) -> Path:
    """A lab of a machine that races, and one that waits."""
    races.machine_file(folder, "missing-lock", schedule="schedule = { seed = 0 }")
    text = lab(folder, idle=ANSWERER, other=ANSWERER).read_text()
    text += '[machines.racer]\nfile = "missing-lock.toml"\n'
    (folder / "duo.toml").write_text(text)
    return folder / "duo.toml"


WANTED = ("--until", "racer:^ok", "--fail-on", "racer:^FAIL", "--max-time", "3ms")


def test_the_smallest_seed_that_fails_is_found_and_its_command_shows_it(
    vmmgr: Vmmgr, tmp_path: Path
) -> None:
    explored = vmmgr(
        "explore",
        racing(tmp_path),
        "--seeds",
        f"{FAILS - 1}-{FAILS}",
        *WANTED,
        "--json",
        status=8,
    )
    told = json.loads(explored.stdout.splitlines()[-1])["smallest"]

    assert told["seed"] == FAILS
    assert told["machine"] == "racer"
    assert told["detail"].startswith("racer: FAIL")
    assert len(told["cpus"]) == 2
    _, *command = shlex.split(told["command"])
    assert f"machines.racer.cpu.schedule.seed={FAILS}" in command
    again = vmmgr(*command, status=8)
    assert "--fail-on matched: racer: FAIL" in again.stderr


def test_a_lab_in_which_no_seed_decides_is_not_explored(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file = lab(tmp_path, one=counter(3), two=ANSWERER)

    refused = vmmgr("explore", file, "--seeds", "1-3", "--until", "one:!", status=2)

    assert "no seed decides anything" in refused.stderr


def test_a_lab_is_run_until_a_machine_says_what_is_wanted(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file = lab(tmp_path, one=counter(3), two=ANSWERER)
    wanted = ("--send", "one:x", "--until", "one:!", "--max-time", "10ms")

    first, second = (vmmgr("run", file, *wanted) for _ in range(2))

    assert first.stdout == second.stdout == "one | .!\n"


def test_seeds_are_tried_from_a_snapshot_of_a_lab(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file = lab(tmp_path, one=counter(3), two=ANSWERER)
    machine = tmp_path / "one.toml"
    machine.write_text(machine.read_text() + "[cpu]\nschedule = { seed = 1 }\n")
    vmmgr("up", file, "-d")
    vmmgr("snapshot", "save", "duo", "here")
    vmmgr("down", "duo")
    wanted = ("--from", "duo:here", "--send", "one:x", "--until", "one:!", "--max-time", "10ms")

    explored = vmmgr("explore", file, "--seeds", "1-2", *wanted, "--json").stdout.splitlines()
    alone = vmmgr("run", file, *wanted, "--set", "machines.one.cpu.schedule.seed=2")

    tried = [json.loads(line) for line in explored[:2]]
    assert {item["outcome"] for item in tried} == {"matched"}
    assert all(item["virtual_time"] > 1_000_000 for item in tried), "it did not begin there"
    assert alone.stdout == "one | .!\n"
    refused = vmmgr("run", file, "--from", "duo/one:here", status=2)
    assert "of a lab it takes its NAME" in refused.stderr
    refused = vmmgr("run", file, *wanted, "--set", "cables.modem.baud=9600", status=5)
    assert "other machines, links or cables" in refused.stderr


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (("--until", "one:never"), 124, "one: still waiting for 'never'"),
        (("--fail-on", r"\.!"), 8, "--fail-on matched: one: .!"),
        (("--fail-on", r"one:\.!"), 8, "--fail-on matched: one: .!"),
    ],
)
def test_how_a_run_of_a_lab_ends(
    vmmgr: Vmmgr, tmp_path: Path, options: tuple[str, ...], status: int, said: str
) -> None:
    file = lab(tmp_path, one=counter(3), two=ANSWERER)

    result = vmmgr("run", file, "--send", "one:x", "--max-time", "3ms", *options, status=status)

    assert said in result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--until", "!"), "it does not say which machine of duo"),
        (("--until", "one.com3:!"), "has no port 'com3'"),
        (("--send", "three:x"), "the lab has one, two"),
        (("--port", "com1"), "--port names no machine of a lab"),
        (("--paced",), "--paced is for a machine"),
        (("--screen-until", "x"), "--screen-until takes a machine"),
    ],
)
def test_what_cannot_be_asked_of_a_lab_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str
) -> None:
    file = lab(tmp_path, one=ASLEEP, two=ASLEEP)

    assert main(["run", str(file), *options]) == 2
    assert said in capsys.readouterr().err


def test_a_fault_of_any_machine_ends_the_run(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file = lab(tmp_path, one="lidt [nothing]\n ud2\nnothing: .word 0, 0, 0", two=ANSWERER)

    result = vmmgr("run", file, "--until", "two:ever", "--max-time", "3ms", status=6)

    assert "one: triple fault" in result.stderr
