# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr explore`: schedules by seed find bugs that turns of equal length do not show."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support import races
from support.vmmgr import COMMAND, ROOT, Vmmgr

HANGS = ("deadlock", "lost-wake-up")
FIRST = ("--seeds", "1-300", "--jobs", "2")


def explored(vmmgr: Vmmgr, *arguments: str | Path, status: int) -> list[dict[str, Any]]:
    """The lines of JSON."""
    said = vmmgr("explore", *arguments, *races.WANTED, "--json", status=status).stdout
    return [json.loads(line) for line in said.splitlines()]


@pytest.mark.parametrize("name", races.KERNELS)
def test_a_planted_bug_is_found_and_shown_again(vmmgr: Vmmgr, tmp_path: Path, name: str) -> None:
    file = races.machine_file(tmp_path, name)
    status = 124 if name in HANGS else 8

    in_turn = vmmgr.any("run", file, *races.WANTED)
    *tried, summary = explored(vmmgr, file, *FIRST, status=status)
    smallest = summary["smallest"]
    again = vmmgr.any(*shlex.split(smallest["command"])[1:])

    assert "ok " in in_turn.stdout  # equal turns do not show it
    assert "FAIL" not in in_turn.stdout
    assert smallest["outcome"] == ("budget" if name in HANGS else "failed")
    failing = [item["seed"] for item in tried if item["outcome"] not in ("matched", "ended")]
    assert smallest["seed"] == min(failing)
    assert {item["seed"] for item in tried} >= set(range(1, smallest["seed"] + 1))
    assert again.returncode == status
    if name not in HANGS:
        assert smallest["detail"] in again.stdout
    assert [place["cpu"] for place in summary["smallest"]["cpus"]] == list(
        range(1 if name == "interrupt" else 2)
    )


def test_the_story_names_the_place_where_the_turn_ended(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file = races.machine_file(tmp_path, "missing-lock")

    said = vmmgr(
        "explore", file, *FIRST, *races.WANTED, "--symbols", tmp_path / "missing-lock.elf", status=8
    ).stdout  # fmt: skip

    assert re.search(r"^seed=\d+ --fail-on matched: FAIL every deposit", said, re.M)
    assert re.search(r"CPU \d to CPU \d +before 0x\w+ deposit\+0x", said)
    assert re.search(r"^  CPU 0 +runs +0x\w+ \w+", said, re.M)
    assert re.search(r"^ +vmmgr run .*cpu\.schedule\.seed=\d+", said, re.M)
    assert re.search(r"seeds in [\d.]+ s: \d+ --fail-on matched", said)


def test_all_seeds_in_a_table_and_the_same_again(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file = races.machine_file(tmp_path, "use-after-free")
    arguments = (file, "--seeds", "1-12,20", "--keep-going")

    one = explored(vmmgr, *arguments, "-j", "1", status=8)
    two = explored(vmmgr, *arguments, "-j", "3", status=8)

    def told(lines: list[dict[str, Any]]) -> list[Any]:
        return sorted((item["seed"], item["outcome"], item["virtual_time"]) for item in lines[:-1])

    assert told(one) == told(two)
    assert [seed for seed, *_ in told(one)] == [*range(1, 13), 20]
    assert sum(one[-1]["counts"].values()) == 13


def test_no_failure_is_0(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file = races.machine_file(tmp_path, "missing-lock")

    said = vmmgr("explore", file, "--seeds", "1-3", *races.WANTED).stdout

    assert said.endswith("3 matched\n")
    assert "3 of 3 seeds" in said


def test_an_interrupted_exploration_goes_on(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file = races.machine_file(tmp_path, "missing-lock")
    arguments = ["explore", file, "--seeds", "1-100000", "--keep-going", *races.WANTED, "-j", "1"]
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments), "--json"],
        env=vmmgr.env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for _ in range(5):
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)

    again = vmmgr(
        "explore", file, "--seeds", "1-6", "--keep-going", *races.WANTED, "--resume", "--json"
    )

    assert process.returncode == 130
    assert "--resume goes on" in said
    assert "Traceback" not in said
    *tried, summary = map(json.loads, again.stdout.splitlines())
    assert [item["seed"] for item in tried] == [1, 2, 3, 4, 5, 6]
    assert summary["seeds"] == 6
    assert summary["known"] >= 5


def test_a_process_that_is_killed_is_told_with_its_seed(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file = races.machine_file(tmp_path, "missing-lock")
    arguments = ["explore", file, "--seeds", "1-100000", "--keep-going", *races.WANTED, "-j", "1"]
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments), "--json"],
        env=vmmgr.env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not (child := children.read_text().split()):
        time.sleep(0.01)
    subprocess.run(["kill", "-KILL", child[0]], check=True)
    _, said = process.communicate(timeout=60)

    assert process.returncode == 1
    assert re.search(r"seed=\d+: the process that ran it was ended by signal 9 \(SIGKILL\)", said)
    assert "--resume" in said


def test_it_begins_at_a_snapshot(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file = races.machine_file(tmp_path, "missing-lock")
    script = """
import sys
from pathlib import Path
from manager.graph.build import load_graph
from manager.machine.machine import Machine
from manager.snapshot.write import write_snapshot
machine = Machine.power_on(load_graph(Path(sys.argv[1])))
machine.run(5_000)
write_snapshot(Path(sys.argv[2]), machine.run_to_image())
"""
    saved = tmp_path / "saved"
    subprocess.run([sys.executable, "-c", script, file, saved], check=True, env=vmmgr.env)

    *_, summary = explored(vmmgr, file, "--from", saved, *FIRST, status=8)
    again = vmmgr.any(*shlex.split(summary["smallest"]["command"])[1:])

    assert again.returncode == 8
    assert summary["smallest"]["detail"] in again.stdout
    other = races.machine_file(tmp_path, "interrupt")
    refused = vmmgr("explore", other, "--from", saved, *FIRST, *races.WANTED, status=5)
    assert "cpu.count" in refused.stderr


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ("7-3", "no range of seeds"),
        ("x", "not A-B"),
        ("", "not A-B"),
        ("1-", "not A-B"),
        ("0-18446744073709551616", "no range of seeds"),
    ],
)
def test_wrong_seeds_are_refused(vmmgr: Vmmgr, tmp_path: Path, seeds: str, said: str) -> None:
    file = races.machine_file(tmp_path, "missing-lock")

    assert said in vmmgr("explore", file, "--seeds", seeds, status=2).stderr


def test_a_fault_is_6(vmmgr: Vmmgr, tmp_path: Path) -> None:
    (tmp_path / "fault.bin").write_bytes(bytes.fromhex("0f011e200e0f0b") + bytes(2048))
    file = tmp_path / "fault.toml"
    file.write_text(
        'schema = 1\n[clock]\nmode = "virtual"\n[boot]\nimage = "fault.bin"\nload = 0xe00\n'
        'entry = 0xe00\nbits = 32\n[slots.0]\ndevice = "hostbridge"\n'
    )

    said = vmmgr("explore", file, "--seeds", "4-9", status=6).stdout

    assert "seed=4 fault: triple fault at" in said
