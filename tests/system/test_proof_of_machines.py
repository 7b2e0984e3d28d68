# SPDX-License-Identifier: BSD-2-Clause
"""Record, replay, verify, rewind and the ready cache, as a user meets them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.vmmgr import ROOT, Vmmgr

HELLO = "machines/hello.toml"
LINUX = "machines/linux.toml"


def edited(folder: Path, source: str, ready: str = "", record: str = "") -> Path:
    """A copy of a machine file with more in it, its paths still leading to the images."""
    machines = (ROOT / source).parent
    text = (ROOT / source).read_text()
    for images in ("hello/", "linux/"):
        text = text.replace(f'"{images}', f'"{machines}/{images}')
    text = text.replace("[ready]\n", f"[ready]\n{ready}\n")
    copy = folder / Path(source).name
    copy.write_text(f"{text}\n[record]\n{record}\n")
    return copy


def in_json(vmmgr: Vmmgr, *arguments: str | Path, status: int = 0) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(vmmgr(*arguments, "--json", status=status).stdout)
    return parsed


def test_session_over_a_suspend_is_replayed_whole(vmmgr: Vmmgr) -> None:
    vmmgr("up", HELLO, "-d", "--wait-for", "> $")
    vmmgr("send", "hello", r"u\r")
    vmmgr("suspend", "hello")
    vmmgr("resume", "hello", "-d")
    vmmgr("send", "hello", r"q\r")
    vmmgr("wait", "hello", "stopped")

    replayed = vmmgr("replay", "hello")
    told = in_json(vmmgr, "replay", "hello")

    assert told["same"]
    assert told["from"] == 0
    assert told["checks"] >= 2
    assert replayed.stdout == vmmgr("logs", "hello").stdout
    assert "Halted." in replayed.stdout


def test_replay_of_a_log_up_to_a_time(vmmgr: Vmmgr) -> None:
    vmmgr("up", HELLO, "-d", "--wait-for", "> $")
    vmmgr("send", "hello", r"q\r")
    vmmgr("wait", "hello", "stopped")
    (log,) = (vmmgr.home / "state" / "hello" / "recordings").iterdir()

    part = vmmgr("replay", log, "--until", "50ms")

    assert "Hello" in part.stdout
    assert "Halted." not in part.stdout
    assert log.stat().st_mode & 0o777 == 0o600


def test_changed_machine_is_told_apart_by_a_replay(vmmgr: Vmmgr) -> None:
    vmmgr("up", HELLO, "-d", "--wait-for", "> $")
    vmmgr("send", "hello", r"q\r")
    vmmgr("wait", "hello", "stopped")
    (log,) = (vmmgr.home / "state" / "hello" / "recordings").iterdir()
    data = bytearray(log.read_bytes())
    data[-30] ^= 1
    log.write_bytes(data)

    damaged = vmmgr("replay", log, status=0)

    assert "incomplete" in damaged.stderr


def test_verify_of_hello_holds(vmmgr: Vmmgr) -> None:
    told = in_json(
        vmmgr, "verify", HELLO, "--points", "6", "--seed", "3", "--until", "1s",
        "--send", r"300ms:u\r",
    )  # fmt: skip

    assert told["same"]
    assert told["points"] == 6


def test_rewind_and_another_branch(vmmgr: Vmmgr, tmp_path: Path) -> None:
    machine = edited(tmp_path, HELLO, record='rewind = "60s"')
    vmmgr("up", machine, "-d", "--wait-for", "> $")
    vmmgr("send", "hello", "first")
    vmmgr("snapshot", "save", "hello", "one")

    went = in_json(vmmgr, "step-back", "hello")
    vmmgr("send", "hello", "other")
    vmmgr("snapshot", "save", "hello", "two")
    again = in_json(vmmgr, "rewind", "hello", "@100ms")
    vmmgr("send", "hello", r"q\r")
    vmmgr("wait", "hello", "stopped")
    log = vmmgr("logs", "hello").stdout

    assert went["virtual-time"] < went["from"]
    assert 100_000_000 <= again["virtual-time"] < 101_000_000
    assert "first" not in log
    assert "other" not in log
    assert "Halted." in log
    assert in_json(vmmgr, "replay", "hello")["same"]
    assert vmmgr("replay", "hello").stdout == log
    assert len(list((vmmgr.home / "state" / "hello" / "recordings").iterdir())) == 3


def test_time_that_has_not_come_cannot_be_rewound_to(vmmgr: Vmmgr) -> None:
    vmmgr("up", HELLO, "-d", "--wait-for", "> $")

    assert "not before" in vmmgr("rewind", "hello", "@1h", status=2).stderr


def test_machine_that_is_not_recorded_cannot_be_rewound(vmmgr: Vmmgr, tmp_path: Path) -> None:
    machine = edited(tmp_path, HELLO, record="enabled = false")
    vmmgr("up", machine, "-d", "--wait-for", "> $")

    assert "not recorded" in vmmgr("rewind", "hello", "1s", status=4).stderr
    assert not (vmmgr.home / "state" / "hello" / "recordings").exists()


def test_second_up_takes_the_kept_machine_which_behaves_as_a_booted_one(
    vmmgr: Vmmgr, tmp_path: Path
) -> None:
    machine = edited(tmp_path, HELLO, ready="cache = true")

    def session(*options: str) -> tuple[str, str]:
        up = vmmgr("up", machine, "-d", *options).stderr
        vmmgr("send", "hello", r"q\r")
        vmmgr("wait", "hello", "stopped")
        assert in_json(vmmgr, "replay", "hello")["same"]
        # When the command came, and so the ticks before it, is the host's choice.
        return up, re.sub(r"tick \d+\s+", "", vmmgr("logs", "hello").stdout)

    booted, first = session()
    cached, second = session()
    forced, third = session("--no-cache")

    assert "ready cache" not in booted
    assert "taken from the ready cache, not booted" in cached
    assert "ready cache" not in forced
    assert first == second == third
    assert "hello" in vmmgr("cache", "ls").stdout
    assert "1 machine dropped" in vmmgr("cache", "clear").stdout
    assert vmmgr("cache", "ls").stdout == ""


def test_kept_machine_is_not_taken_for_a_changed_one(vmmgr: Vmmgr, tmp_path: Path) -> None:
    machine = edited(tmp_path, HELLO, ready="cache = true")
    vmmgr("up", machine, "-d")
    vmmgr("down", "hello")

    changed = vmmgr("up", machine, "-d", "--set", "memory.size=32M").stderr

    assert "ready cache" not in changed


def test_bisect_finds_when_the_prompt_comes(vmmgr: Vmmgr) -> None:
    found = in_json(vmmgr, "bisect", HELLO, "--bad", "1s", "--pattern", "^> $")

    before = vmmgr(
        "run", HELLO, "--until", "never", "--max-time", f"{found['at'] - 5000}ns", status=124
    )
    after = vmmgr(
        "run", HELLO, "--until", "never", "--max-time", f"{found['at'] + 5000}ns", status=124
    )
    assert not before.stdout.endswith("> ")
    assert after.stdout.endswith("> ")


@pytest.mark.usefixtures("linux")
def test_linux_with_a_shell_at_work_suspended_at_random_points_is_the_same(vmmgr: Vmmgr) -> None:
    told = in_json(
        vmmgr, "verify", LINUX, "--points", "4", "--seed", "11", "--until", "1600ms",
        "--send", r"1300ms:ls -l /proc | head; sha256sum /bin/busybox\n",
    )  # fmt: skip

    assert told["same"]
    assert told["points"] == 4


@pytest.mark.usefixtures("linux")
def test_kept_linux_answers_as_a_booted_one(vmmgr: Vmmgr, tmp_path: Path) -> None:
    machine = edited(tmp_path, LINUX, ready="cache = true")
    answers = []
    for _ in range(2):
        vmmgr("up", machine, "-d")
        vmmgr("send", "linux", r"cat /proc/interrupts | wc -l; echo $((6*7)); poweroff -f\n")
        vmmgr("wait", "linux", "stopped")
        answers.append(re.findall(r"^(\d+)\r?$", vmmgr("logs", "linux").stdout, re.MULTILINE))
        assert in_json(vmmgr, "replay", "linux")["same"]

    assert answers[0] == answers[1]
    assert answers[0][-1] == "42"
