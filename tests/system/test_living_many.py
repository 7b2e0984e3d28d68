# SPDX-License-Identifier: BSD-2-Clause
"""Many machines side by side: starting, listing, suspending them, and what idle ones cost."""

from __future__ import annotations

import json
import os
import resource
import time
from pathlib import Path

from support.vmmgr import Vmmgr

IDLE = int(os.environ.get("VMMGR_TEST_IDLE", "20"))
"""Idle machines; VMMGR_TEST_IDLE=50 for the long test."""
IDLE_SHARE = 0.05
"""Of one CPU, for all idle machines together."""
TICKS = os.sysconf("SC_CLK_TCK")

HALTED = """\
schema = 1
[memory]
size = "1M"
[boot]
image = "halted.bin"
load = 0x7c00
entry = 0x7c00
bits = 16
[slots.0]
device = "hostbridge"
[slots.31]
device = "lpc"
[lpc.com1]
backend = "null"
"""


def files(folder: Path, count: int, text: str) -> list[Path]:
    """So many machine files that differ by name."""
    folder.mkdir(exist_ok=True)
    (folder / "halted.bin").write_bytes(b"\xfb\xf4\xeb\xfd")  # sti; hlt; jmp back
    made = [folder / f"m{number:03}.toml" for number in range(count)]
    for file in made:
        file.write_text(text)
    return made


def states(vmmgr: Vmmgr) -> dict[str, str]:
    listed = json.loads(vmmgr("ls", "--json").stdout)["machines"]
    return {machine["name"]: machine["state"] for machine in listed}


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def test_several_files_at_once_with_a_line_each(vmmgr: Vmmgr, tmp_path) -> None:
    three = files(tmp_path / "m", 3, HALTED)

    started = vmmgr("up", *three, "-d").stderr
    again = vmmgr("up", *three, "-d").stderr
    suspended = vmmgr("suspend", "--all").stderr
    after = states(vmmgr)
    resumed = vmmgr("up", *three, "-d").stderr
    ended = vmmgr("down", "--all").stderr

    assert sorted(started.splitlines()) == ["m000 is up", "m001 is up", "m002 is up"]
    assert again.count("is already running") == 3
    assert suspended.count("suspended in") == 3
    assert set(after.values()) == {"suspended"}
    assert resumed.count("resumed\n") == 3
    assert ended.splitlines() == ["m000 powered off", "m001 powered off", "m002 powered off"]
    assert vmmgr("down", "--all").stderr == ""


def test_one_of_several_that_fails_does_not_stop_the_others(vmmgr: Vmmgr, tmp_path) -> None:
    good, bad = files(tmp_path / "m", 2, HALTED)
    bad.write_text(HALTED.replace('"null"', '{ type = "file", path = "nowhere/x" }'))

    result = vmmgr("up", good, bad, "-d", status=1)

    assert "m000 is up" in result.stderr
    assert "error: m001: cannot write" in result.stderr
    assert states(vmmgr)["m000"] == "running"


def test_several_files_need_d_and_names_of_their_own(vmmgr: Vmmgr, tmp_path) -> None:
    one, two = files(tmp_path / "m", 2, HALTED)
    two.write_text('name = "m000"\n' + HALTED)

    assert "several machines need -d" in vmmgr("up", one, two, status=2).stderr
    assert "both named 'm000'" in vmmgr("up", one, two, "-d", status=2).stderr


def test_machine_readable_events_of_a_start(vmmgr: Vmmgr) -> None:
    lines = vmmgr("up", "machines/hello.toml", "-d", "--json").stdout.splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]

    assert [event["event"] for event in events if event["event"] != "output"] == ["up", "ready"]
    assert {event["name"] for event in events} == {"hello"}


def test_a_hundred_machines_are_listed_at_once(vmmgr: Vmmgr) -> None:
    record = {"schema": 1, "name": "x", "file": "/x.toml", "phase": "stopped"}
    for number in range(100):
        folder = vmmgr.home / "state" / f"m{number:03}"
        folder.mkdir(parents=True, mode=0o700)
        (folder / "machine.lock").touch()
        (folder / "machine.json").write_text(json.dumps(record))
    many = min(_cost(vmmgr, "ls") for _ in range(3))
    none = min(_cost(vmmgr, "--version") for _ in range(3))

    assert len(states(vmmgr)) == 100
    assert many < 5 * none


def _cost(vmmgr: Vmmgr, *arguments: str) -> float:
    """CPU seconds, of which a busy host changes little."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    vmmgr(*arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_idle_machines_cost_next_to_nothing(vmmgr: Vmmgr, tmp_path) -> None:
    vmmgr("up", *files(tmp_path / "m", IDLE, HALTED), "-d")
    pids = [
        json.loads((folder / "machine.json").read_text())["pid"]
        for folder in (vmmgr.home / "state").glob("m*")
    ]
    time.sleep(1)  # the starts are over
    before = sum(map(cpu_seconds, pids))

    time.sleep(4)

    spent = sum(map(cpu_seconds, pids)) - before
    vmmgr("down", "--all")
    assert len(pids) == IDLE
    assert spent / 4 < IDLE_SHARE
