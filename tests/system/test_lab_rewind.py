# SPDX-License-Identifier: BSD-2-Clause
"""A running lab goes back in time as one, and from there does what it did, or something else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support.small_lab import ANSWERER, ASLEEP, FAULTY, counter, lab, states, until
from support.talking_lab import FRAMES, talking
from support.vmmgr import COMMAND, Vmmgr

from manager.machine.inputs import Input
from manager.replay.log import Writer, read


def status(vmmgr: Vmmgr) -> dict[str, object]:
    found: dict[str, object] = json.loads(vmmgr("status", "duo", "--json").stdout)
    return found


def so_far(vmmgr: Vmmgr) -> bytes:
    """What the hearing machine has printed."""
    return (vmmgr.home / "state/duo/machines/hears/lpc.com1.log").read_bytes()


def heard(vmmgr: Vmmgr) -> bytes:
    """The same at the end."""
    until(vmmgr, "duo/talks", "!")
    vmmgr("down", "duo")
    return so_far(vmmgr)


def test_a_lossy_transfer_is_the_same_after_rewinds(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file = talking(tmp_path)
    vmmgr("up", file, "-d")
    undisturbed = heard(vmmgr)
    frames = (tmp_path / "there.pcap").read_bytes()
    vmmgr("rm", "duo", "--force")

    vmmgr("up", file, "-d")
    give_up = time.monotonic() + 60
    while len(so_far(vmmgr)) < FRAMES // 2:
        assert time.monotonic() < give_up
    told = json.loads(vmmgr("rewind", "duo", "20ms", "--json").stdout)
    assert told["virtual-time"] < told["from"]
    assert told["virtual-time"] % 100_000 == 0
    assert told["replayed"] < told["virtual-time"]  # from a checkpoint
    vmmgr("rewind", "duo", "@3ms")  # from the start

    assert heard(vmmgr) == undisturbed
    assert (tmp_path / "there.pcap").read_bytes() == frames
    assert "the same" in vmmgr("replay", "duo", "--capture", f"there={tmp_path}/again").stderr
    assert (tmp_path / "again").read_bytes() == frames


@pytest.fixture
def counting(vmmgr: Vmmgr, tmp_path: Path) -> Vmmgr:
    """A lab that was suspended, goes on, and waits for what is typed."""
    vmmgr("up", lab(tmp_path, asks=counter(300), answers=ANSWERER, idle=ASLEEP), "-d")
    vmmgr("suspend", "duo")
    vmmgr("resume", "duo", "-d")
    return vmmgr


def test_a_resumed_lab_goes_back_and_does_something_else(counting: Vmmgr) -> None:
    before = status(counting)["virtual_time_ns"]
    counting("send", "duo/asks", "x")
    until(counting, "duo/asks", "!")

    counting("rewind", "duo", f"@{before}ns")

    assert counting("logs", "duo/asks").stdout == ""
    counting("send", "duo/asks", "x")
    assert until(counting, "duo/asks", "!") == ".....!"
    assert "record begins" in counting("rewind", "duo", "@0s", status=2).stderr
    assert "is not before" in counting("rewind", "duo", "@1000s", status=2).stderr
    counting("down", "duo")
    assert "the same" in counting("replay", "duo").stderr


def test_no_machine_goes_back_alone(counting: Vmmgr) -> None:
    assert "`vmmgr rewind duo`" in counting("rewind", "duo/asks", "1ms", status=4).stderr
    assert "rewind LAB" in counting("step-back", "duo/asks", status=4).stderr
    assert "`vmmgr rewind duo TIME`" in counting("step-back", "duo", status=4).stderr


def test_a_rewind_that_fails_leaves_the_lab_running(counting: Vmmgr) -> None:
    counting("send", "duo/asks", "x")
    until(counting, "duo/asks", "!")
    folder = counting.home / "state/duo/machines/answers/recordings"
    path = sorted(folder.iterdir())[-1]
    log = read(path)
    other = Writer(folder / "other", log.header)
    for entry in log.entries:
        wrong = isinstance(entry, Input) and entry.data == b"\x20"
        other.add(replace(entry, data=b"?") if wrong else entry)  # type: ignore[type-var]
    other.close()
    path.write_bytes(other.path.read_bytes())
    other.path.unlink()
    logs = sorted(folder.iterdir())

    told = counting("rewind", "duo", "0s", status=5).stderr

    assert "cannot be reproduced" in told
    assert "answers: the replay differs" in told
    assert sorted(folder.iterdir()) == logs
    counting("suspend", "duo")
    counting("resume", "duo", "-d")
    assert states(counting)["duo"] == "running"


def test_a_machine_that_is_over_is_not_brought_back(vmmgr: Vmmgr, tmp_path: Path) -> None:
    vmmgr("up", lab(tmp_path, asks=counter(300), answers=ANSWERER, bad=FAULTY), "-d")
    vmmgr("send", "duo/bad", "x")
    vmmgr("wait", "duo/bad", "crashed", "--timeout", "30s")
    vmmgr("send", "duo/asks", "x")
    until(vmmgr, "duo/asks", "!")

    assert "was over at" in vmmgr("rewind", "duo", "@0s", status=4).stderr
    vmmgr("rewind", "duo", "1ms")
    assert states(vmmgr)["duo/bad"] == "crashed"
    assert "the same" in vmmgr("replay", "duo").stderr


def test_a_lab_that_is_killed_in_a_rewind_goes_on_from_what_was_saved(counting: Vmmgr) -> None:
    counting("send", "duo/asks", "x")
    until(counting, "duo/asks", "!")
    pid = int(str(status(counting)["pid"]))
    folders = [
        counting.home / "state/duo/machines" / name / "recordings" for name in ("asks", "idle")
    ]

    rewind = subprocess.Popen(
        [*COMMAND, "rewind", "duo", "0s"],
        env=counting.env,
        cwd=counting.tree,
        stderr=subprocess.DEVNULL,
    )
    give_up = time.monotonic() + 60
    while len(list(folders[0].iterdir())) < 3 and rewind.poll() is None:
        assert time.monotonic() < give_up
    os.kill(pid, signal.SIGKILL)
    rewind.wait()
    counting("wait", "duo", "crashed", "--timeout", "30s")

    counting("resume", "duo", "-d")
    counting("send", "duo/asks", "x")
    until(counting, "duo/asks", "!", times=2)
