# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr explore`: schedules by seed find bugs that turns of equal length do not show.

The ten kernels are explored here in this process, and by the command with `VMMGR_THOROUGH=1`.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pexpect
import pytest
from support import races
from support.vmmgr import COMMAND, ROOT, Vmmgr

from manager.graph.build import load_graph
from manager.machine.expectation import Until
from manager.machine.machine import Machine
from manager.machine.trial import Attempt, Trial
from manager.replay.seeds import Laboratory
from manager.text.pattern import compile_pattern

HANGS = ("deadlock", "lost-wake-up")
SEEDS = range(1, 301)
FIRST = ("--seeds", "1-300", "--jobs", "2")
FEW = ("--seeds", "25-29", "--jobs", "1")
"""The first failure of missing-lock is among them."""
THOROUGH = os.environ.get("VMMGR_THOROUGH") == "1"


def explored(
    vmmgr: Vmmgr, *arguments: str | Path, status: int, wanted: Sequence[str] = races.WANTED
) -> list[dict[str, Any]]:
    """The lines of JSON."""
    said = vmmgr("explore", *arguments, *wanted, "--json", status=status).stdout
    return [json.loads(line) for line in said.splitlines()]


@pytest.mark.parametrize("name", races.KERNELS)
def test_a_planted_bug_is_found(tmp_path: Path, name: str) -> None:
    until, fail_on = compile_pattern("^ok"), compile_pattern("^FAIL")
    trial = Trial([Until(until)], fail_on, 3_000_000, "lpc.com1")
    in_turn = load_graph(races.machine_file(tmp_path, name))
    file = races.machine_file(tmp_path, name, schedule="schedule = { seed = 0 }")
    laboratory = Laboratory(load_graph(file), trial)

    with_turns = Attempt(Machine.power_on(in_turn), trial).run()
    failures = (item for seed in SEEDS if (item := laboratory.attempt(seed)).tried.is_failure)
    first = next(failures, None)

    assert with_turns.outcome == "matched"  # equal turns do not show it
    assert first is not None
    assert first.tried.outcome == ("budget" if name in HANGS else "failed")
    assert first.tried == laboratory.explain(first.seed).tried


@pytest.mark.parametrize("name", races.KERNELS if THOROUGH else ["deadlock"])
def test_the_command_finds_a_planted_bug(vmmgr: Vmmgr, tmp_path: Path, name: str) -> None:
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
        "explore", file, *FEW, *races.WANTED, "--symbols", tmp_path / "missing-lock.elf", status=8
    ).stdout  # fmt: skip

    assert re.search(r"^seed=\d+ --fail-on matched: FAIL every deposit", said, re.M)
    assert re.search(r"CPU \d to CPU \d +before 0x\w+ deposit\+0x", said)
    assert re.search(r"^  CPU 0 +runs +0x\w+ \w+", said, re.M)
    assert re.search(r"^ +vmmgr run .*cpu\.schedule\.seed=\d+", said, re.M)
    assert re.search(r"seeds in [\d.]+ s: \d+ --fail-on matched", said)


def test_all_seeds_in_a_table_and_the_same_again(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file = races.machine_file(tmp_path, "use-after-free")
    arguments = (file, "--seeds", "1-6,20", "--keep-going")

    one = explored(vmmgr, *arguments, "-j", "1", status=8)
    two = explored(vmmgr, *arguments, "-j", "3", status=8)

    def told(lines: list[dict[str, Any]]) -> list[Any]:
        return sorted((item["seed"], item["outcome"], item["virtual_time"]) for item in lines[:-1])

    assert told(one) == told(two)
    assert [seed for seed, *_ in told(one)] == [*range(1, 7), 20]
    assert sum(one[-1]["counts"].values()) == 7


def test_shards_have_all_seeds_among_them_and_none_twice(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file = races.machine_file(tmp_path, "missing-lock")
    seeds = ("--seeds", "3-9,20", "--keep-going", "--jobs", "1")

    tried = [
        [
            line["seed"]
            for line in explored(vmmgr, file, *seeds, "--shard", f"{number}/3", status=0)
            if "seed" in line
        ]
        for number in (1, 2, 3)
    ]
    few = vmmgr("explore", file, "--seeds", "4", "--shard", "2/2", *races.WANTED).stderr

    assert tried == [[3, 6, 9], [4, 7], [5, 8, 20]]
    assert few == "0 of 0 seeds: there are none in this shard\n"


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "1/", "-1/2", "1/2/3", "a/b"])
def test_a_shard_that_is_none_is_refused(vmmgr: Vmmgr, shard: str) -> None:
    said = vmmgr("explore", "x.toml", "--seeds", "1", f"--shard={shard}", status=2).stderr

    assert f"argument --shard: {shard!r}" in said


def test_no_failure_is_0(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file = races.machine_file(tmp_path, "missing-lock")

    # A key of a schedule with a seed, in a file that has none.
    whole = ("--set", "cpu.schedule.tear=false")
    said = vmmgr("explore", file, "--seeds", "1-3", *whole, *races.WANTED).stdout

    assert said.endswith("3 matched\n")
    assert "3 of 3 seeds" in said


def test_an_interrupted_exploration_goes_on(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file = races.machine_file(tmp_path, "missing-lock")
    console = vmmgr.terminal(
        "explore", file, "--seeds", "1-100000", "--keep-going", *races.WANTED, "-j", "1"
    )

    console.expect(r"\[[#.]{20}\] (?:[6-9]|\d\d+) of 100000 seeds, \d+ failed")
    console.sendintr()
    console.expect(r"interrupted after \d+ seeds; the same command with --resume goes on")
    console.expect(pexpect.EOF)
    console.close()
    again = vmmgr(
        "explore", file, "--seeds", "1-6", "--keep-going", *races.WANTED, "--resume", "--json"
    )

    assert console.exitstatus == 130
    assert "Traceback" not in console.before
    *tried, summary = map(json.loads, again.stdout.splitlines())
    assert [item["seed"] for item in tried] == [1, 2, 3, 4, 5, 6]
    assert summary["seeds"] == 6
    assert summary["known"] >= 5


def test_a_signal_that_ends_it_leaves_neither_files_nor_processes(
    vmmgr: Vmmgr, tmp_path: Path
) -> None:
    file = races.machine_file(tmp_path, "missing-lock")
    arguments = ["explore", file, "--seeds", "1-100000", "--keep-going", *races.WANTED, "-j", "2"]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments), "--json"],
        env={**vmmgr.env, "TMPDIR": str(temporary)}, cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()

    process.terminate()

    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM
    assert list(temporary.iterdir()) == []
    assert children
    assert not any(Path("/proc", child).exists() for child in children)


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

    *_, summary = explored(vmmgr, file, "--from", saved, *FEW, status=8)
    again = vmmgr.any(*shlex.split(summary["smallest"]["command"])[1:])

    assert again.returncode == 8
    assert summary["smallest"]["detail"] in again.stdout
    other = races.machine_file(tmp_path, "interrupt")
    refused = vmmgr("explore", other, "--from", saved, *FEW, *races.WANTED, status=5)
    assert "cpu.count" in refused.stderr


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ("7-3", "no range of seeds"),
        ("x", "not A-B"),
        ("", "not A-B"),
        ("1-", "not A-B"),
        ("1,,3", "not A-B"),
        ("-4", "not A-B"),
        ("0-18446744073709551616", "no range of seeds"),
        (f"1-{10**30}", "no range of seeds"),
    ],
)
def test_wrong_seeds_are_refused(vmmgr: Vmmgr, tmp_path: Path, seeds: str, said: str) -> None:
    file = races.machine_file(tmp_path, "missing-lock")

    assert said in vmmgr("explore", file, "--seeds", seeds, status=2).stderr


@pytest.mark.parametrize("jobs", ["0", "-1", "x", "1000000"])
def test_a_number_of_processes_that_is_none_is_refused(vmmgr: Vmmgr, jobs: str) -> None:
    said = vmmgr("explore", "machine.toml", "--seeds", "1", "-j", jobs, status=2).stderr

    assert "is no number from 1 to 256" in said


def test_it_ends_as_run_does(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file = races.machine_file(tmp_path, "missing-lock")

    # Without --until the machine has to end by itself, and well. It takes 146 us.
    *_, early = explored(vmmgr, file, "--seeds", "27", "-j", "1", status=3, wanted=())
    short = ("--max-time", "10us")
    *_, late = explored(vmmgr, file, "--seeds", "1-9", "-j", "1", status=124, wanted=short)

    assert (early["smallest"]["outcome"], early["status"]) == ("early", 3)
    assert (late["smallest"]["outcome"], late["smallest"]["seed"]) == ("budget", 1)
    assert "without --until it has to end by itself" in late["smallest"]["detail"]
    assert late["smallest"]["virtual_time"] in range(10_000, 20_000)
    assert shlex.split(late["smallest"]["command"])[-2:] == list(short)


def test_symbols_come_from_an_elf_file_only(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file = races.machine_file(tmp_path, "missing-lock")
    for name, said in {
        file.name: "--symbols takes an ELF file",
        "": "is a directory",
        "none": "No such file",
        "/dev/zero": "is a device, not a regular file",
    }.items():
        seen = vmmgr.any("explore", file, "--seeds", "1", "--symbols", tmp_path / name)
        assert seen.returncode == 2
        assert said in seen.stderr


def test_a_fault_is_6(vmmgr: Vmmgr, tmp_path: Path) -> None:
    (tmp_path / "fault.bin").write_bytes(bytes.fromhex("0f011e200e0f0b") + bytes(2048))
    file = tmp_path / "fault.toml"
    file.write_text(
        'schema = 1\n[clock]\nmode = "virtual"\n[boot]\nimage = "fault.bin"\nload = 0xe00\n'
        'entry = 0xe00\nbits = 32\n[slots.0]\ndevice = "hostbridge"\n'
    )

    said = vmmgr("explore", file, "--seeds", "4-9", status=6).stdout

    assert "seed=4 fault: triple fault at" in said
