# SPDX-License-Identifier: BSD-2-Clause
"""Machines of a lab in one process: cables and links between them, one state, one end."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
from support.small_lab import ANSWERER, ASLEEP, FAULTY, counter, lab, states, until
from support.vmmgr import Vmmgr

from manager.machine.inputs import Input
from manager.replay.log import read


def test_a_lab_comes_up_talks_and_goes_down(vmmgr: Vmmgr, tmp_path: Path) -> None:
    vmmgr("up", lab(tmp_path, asks=counter(300), answers=ANSWERER), "-d")

    assert states(vmmgr) == {"duo": "running", "duo/asks": "running", "duo/answers": "running"}
    vmmgr("send", "duo/asks", "x")
    assert until(vmmgr, "duo/asks", "!") == ".....!"
    status = json.loads(vmmgr("status", "duo", "--json").stdout)
    assert status["cables"][0]["ends"][0]["sent"] == 300
    assert status["cables"][0]["ends"][0]["received"] == 300
    assert "asks" in vmmgr("status", "duo").stdout
    assert "duo/asks" in vmmgr("status", "duo/asks").stdout

    vmmgr("down", "duo")
    assert set(states(vmmgr).values()) == {"stopped"}
    vmmgr("rm", "duo", "--force")
    assert states(vmmgr) == {}


def test_a_lab_suspended_in_a_transfer_goes_on_in_another_process(
    vmmgr: Vmmgr, tmp_path: Path
) -> None:
    file = lab(tmp_path, asks=counter(700), answers=ANSWERER)
    vmmgr("up", file, "-d")
    vmmgr("send", "duo/asks", "x")
    until(vmmgr, "duo/asks", ".")

    for _ in range(2):
        vmmgr("suspend", "duo")
        assert set(states(vmmgr).values()) == {"suspended"}
        vmmgr("resume", "duo", "-d")

    log = until(vmmgr, "duo/asks", "!")
    assert log.count(".") == 700 // 64 + 1


def test_a_member_is_not_saved_or_removed_alone(vmmgr: Vmmgr, tmp_path: Path) -> None:
    vmmgr("up", lab(tmp_path, asks=counter(300), answers=ANSWERER), "-d")

    for command in (
        ("suspend", "duo/asks"),
        ("snapshot", "save", "duo/asks"),
        ("rewind", "duo/asks", "0s"),
        ("up", "duo/asks"),
        ("ctl", "duo/asks", "quit"),
    ):
        assert "part of the lab duo" in vmmgr(*command, status=4).stderr
    vmmgr("suspend", "duo")
    for verb in ("resume", "discard"):
        assert "part of the lab duo" in vmmgr(verb, "duo/asks", status=4).stderr
    assert "part of the lab duo" in vmmgr("rm", "duo/asks", "--force", status=4).stderr


def test_a_member_that_powers_off_or_faults_leaves_the_others_running(
    vmmgr: Vmmgr, tmp_path: Path
) -> None:
    vmmgr("up", lab(tmp_path, asks=counter(300), answers=ANSWERER, bad=FAULTY, idle=ASLEEP), "-d")

    vmmgr("send", "duo/bad", "x")
    vmmgr("wait", "duo/bad", "crashed", "--timeout", "30s")
    vmmgr("down", "duo/idle")
    assert states(vmmgr) == {
        "duo": "running",
        "duo/answers": "running",
        "duo/asks": "running",
        "duo/bad": "crashed",
        "duo/idle": "stopped",
    }
    assert "triple fault" in vmmgr("status", "duo/bad").stdout

    vmmgr("suspend", "duo")
    vmmgr("resume", "duo", "-d")
    assert states(vmmgr)["duo/bad"] == "crashed"
    vmmgr("send", "duo/asks", "x")
    assert until(vmmgr, "duo/asks", "!") == ".....!"
    vmmgr("down", "duo/asks")
    vmmgr("down", "duo/answers")
    vmmgr("wait", "duo", "crashed", "--timeout", "30s")  # one was at fault


def test_the_lab_ends_with_its_last_machine(vmmgr: Vmmgr, tmp_path: Path) -> None:
    halts = "mov al, '!'\n mov dx, 0x3f8\n out dx, al\n cli\n hlt"
    vmmgr("up", lab(tmp_path, one=halts, two=halts), timeout=30)

    assert set(states(vmmgr).values()) == {"stopped"}
    assert vmmgr("logs", "duo/two").stdout == "!"


def test_a_killed_lab_is_told_as_crashed_and_goes_on_from_its_last_state(
    vmmgr: Vmmgr, tmp_path: Path
) -> None:
    file = lab(tmp_path, asks=counter(300), answers=ANSWERER)
    vmmgr("up", file, "-d")
    vmmgr("suspend", "duo")
    vmmgr("resume", "duo", "-d")
    pid = json.loads(vmmgr("status", "duo", "--json").stdout)["pid"]

    os.kill(pid, signal.SIGKILL)
    vmmgr("wait", "duo", "crashed", "--timeout", "30s")

    assert set(states(vmmgr).values()) == {"crashed"}
    vmmgr("resume", "duo", "-d")
    vmmgr("send", "duo/asks", "x")
    assert until(vmmgr, "duo/asks", "!") == ".....!"


def test_sigterm_suspends_where_it_is_told_to(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file = lab(tmp_path, asks=counter(300), answers=ANSWERER)
    vmmgr("up", file, "-d", "--on-term", "suspend")
    pid = json.loads(vmmgr("status", "duo", "--json").stdout)["pid"]

    os.kill(pid, signal.SIGTERM)
    vmmgr("wait", "duo", "suspended", "--timeout", "30s")

    assert set(states(vmmgr).values()) == {"suspended"}
    vmmgr("discard", "duo")
    assert set(states(vmmgr).values()) == {"stopped"}


def test_a_paused_member_holds_the_time_of_all(vmmgr: Vmmgr, tmp_path: Path) -> None:
    vmmgr("up", lab(tmp_path, asks=counter(300), answers=ANSWERER), "-d")

    vmmgr("ctl", "duo/answers", "pause")
    before = json.loads(vmmgr("status", "duo", "--json").stdout)
    vmmgr("send", "duo/asks", "x")
    after = json.loads(vmmgr("status", "duo", "--json").stdout)
    assert before["activity"] == "paused"
    assert before["virtual_time_ns"] == after["virtual_time_ns"]

    vmmgr("suspend", "duo")
    vmmgr("resume", "duo", "-d")
    assert until(vmmgr, "duo/asks", "!") == ".....!"


def test_a_lab_with_other_wires_is_not_resumed(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file = lab(tmp_path, asks=counter(300), answers=ANSWERER)
    vmmgr("up", file, "-d")
    vmmgr("suspend", "duo")
    file.write_text(file.read_text() + 'latency = "2ms"\n')

    assert "other machines, links or cables" in vmmgr("resume", "duo", "-d", status=5).stderr
    vmmgr("up", file, "-d", "--fresh", "--yes")


def test_a_lab_goes_back_to_a_snapshot_of_all_of_it(vmmgr: Vmmgr, tmp_path: Path) -> None:
    vmmgr("up", lab(tmp_path, asks=counter(300), answers=ANSWERER), "-d")

    vmmgr("snapshot", "save", "duo", "before")
    vmmgr("snapshot", "save", "duo")
    assert "duo:before" in vmmgr("snapshot", "ls").stdout
    vmmgr("send", "duo/asks", "x")
    until(vmmgr, "duo/asks", "!")
    vmmgr("down", "duo")
    vmmgr("snapshot", "restore", "duo", "before")
    assert set(states(vmmgr).values()) == {"suspended"}
    vmmgr("snapshot", "rm", "duo", "save-1")
    vmmgr("resume", "duo", "-d", "--verify")
    vmmgr("send", "duo/asks", "x")

    until(vmmgr, "duo/asks", "!", times=2)


def inputs(vmmgr: Vmmgr, name: str) -> list[Input]:
    """All that a machine of the lab got from outside of it, with its times."""
    folder = vmmgr.home / "state" / "duo" / "machines" / name / "recordings"
    logs = map(read, sorted(folder.iterdir()))
    return [entry for log in logs for entry in log.entries if isinstance(entry, Input)]


def test_a_suspend_changes_nothing_of_what_happens(vmmgr: Vmmgr, tmp_path: Path) -> None:
    begins = counter(300, "cli\n hlt").replace(
        "jz start\n        mov dx, 0x3f8\n        in al, dx", ""
    )
    file = lab(tmp_path, asks=begins, answers=ANSWERER, idle=ASLEEP)

    vmmgr("up", file, "-d")
    vmmgr("wait", "duo/asks", "stopped", "--timeout", "60s")
    vmmgr("down", "duo")
    undisturbed = {name: inputs(vmmgr, name) for name in ("asks", "answers")}
    vmmgr("rm", "duo", "-f")
    vmmgr("up", file, "-d")
    for _ in range(2):
        vmmgr("suspend", "duo")
        vmmgr("resume", "duo", "-d")
    vmmgr("wait", "duo/asks", "stopped", "--timeout", "60s")
    vmmgr("down", "duo")

    assert len(undisturbed["answers"]) == 300
    assert {name: inputs(vmmgr, name) for name in undisturbed} == undisturbed
    assert "the same" in vmmgr("replay", "duo/answers").stderr


def test_many_machines_that_are_idle_cost_nothing(vmmgr: Vmmgr, tmp_path: Path) -> None:
    members = {f"m{number}": ASLEEP for number in range(10)}
    vmmgr("up", lab(tmp_path, **members), "-d")
    pid = json.loads(vmmgr("status", "duo", "--json").stdout)["pid"]

    def spent() -> int:
        user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return int(user) + int(system)

    before = spent()
    vmmgr("ls")
    time.sleep(1)
    ticks = spent() - before
    assert ticks < os.sysconf("SC_CLK_TCK") // 2
    assert len(states(vmmgr)) == 11


@pytest.mark.parametrize("verb", ["--wait-for", "--fail-on"])
def test_what_is_about_one_console_is_refused(vmmgr: Vmmgr, tmp_path: Path, verb: str) -> None:
    file = lab(tmp_path, asks=counter(300), answers=ANSWERER)

    assert "a lab has several" in vmmgr("up", file, "-d", verb, "x", status=2).stderr


@pytest.fixture
def stopped(vmmgr: Vmmgr) -> Vmmgr:
    """What is left of the lab duo, with the machines asks and answers."""
    for name in ("asks", "answers"):
        (vmmgr.home / "state" / "duo" / "machines" / name).mkdir(parents=True)
    (vmmgr.home / "state" / "duo" / "snapshots").mkdir()
    return vmmgr


@pytest.mark.parametrize(
    "command",
    [
        ["console", "duo"],
        ["send", "duo", "x"],
        ["restart", "duo"],
        ["screen", "duo"],
        ["screenshot", "duo", "-o", "none/x.png"],
        ["cp", "duo:/x", "none"],
        ["disk", "ls", "duo"],
    ],
    ids=lambda command: command[0],
)
def test_what_is_done_to_a_machine_names_those_of_the_lab(
    stopped: Vmmgr, command: list[str]
) -> None:
    assert "duo/answers, duo/asks" in stopped(*command, status=2).stderr


def test_a_machine_of_a_lab_has_paths_to_copy(stopped: Vmmgr, tmp_path: Path) -> None:
    assert "no machine 'duo/asks'" in stopped("cp", "duo/asks:/x", tmp_path, status=3).stderr
    assert "both are paths" in stopped("cp", "other/asks:/x", tmp_path, status=2).stderr
