# SPDX-License-Identifier: BSD-2-Clause
"""A recorded lab is run again as one, with the input from outside alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.small_lab import ANSWERER, ASLEEP, counter, lab, until
from support.vmmgr import Vmmgr

from manager.machine.inputs import Input
from manager.replay.entries import Entry
from manager.replay.log import Writer, read

ENDS = "cli\n hlt"


def logs(vmmgr: Vmmgr, name: str) -> list[Path]:
    """The recordings of a machine of the lab."""
    return sorted((vmmgr.home / "state/duo/machines" / name / "recordings").iterdir())


def changed(path: Path, change: Callable[[Entry], Entry]) -> None:
    """Another log in the place of this one, every entry of which is whole."""
    log = read(path)
    path.unlink()
    writer = Writer(path, log.header)
    for entry in log.entries:
        writer.add(change(entry))
    writer.close()


@pytest.fixture
def recorded(vmmgr: Vmmgr, tmp_path: Path) -> Vmmgr:
    """A lab that was typed at and suspended in the middle, all of whose machines are over."""
    file = lab(tmp_path, asks=counter(300, ENDS), answers=ANSWERER, idle=ASLEEP)
    vmmgr("up", file, "-d")
    vmmgr("send", "duo/asks", "x")
    until(vmmgr, "duo/asks", ".")
    vmmgr("suspend", "duo")
    vmmgr("resume", "duo", "-d")
    vmmgr("wait", "duo/asks", "stopped", "--timeout", "60s")
    vmmgr("down", "duo")
    return vmmgr


def test_a_lab_is_run_again_over_a_suspend(recorded: Vmmgr) -> None:
    again = recorded("replay", "duo")

    assert "the same" in again.stderr
    assert "asks    | .....!" in again.stdout
    assert recorded("replay", "duo", "--port", "asks").stdout == ".....!"
    told = json.loads(recorded("replay", "duo", "--until", "1ms", "--json").stdout)
    assert told["same"] is True
    assert told["virtual_time"] < 2_000_000
    assert set(told["machines"]) == {"asks", "answers", "idle"}
    assert "which machine" in recorded("replay", "duo", "--port", "none", status=2).stderr
    assert "which link" in recorded("replay", "duo", "--capture", "x", status=2).stderr


def test_what_a_peer_did_not_send_is_told(recorded: Vmmgr) -> None:
    def other(entry: Entry) -> Entry:
        wired = isinstance(entry, Input) and entry.wired
        return replace(entry, data=b"?") if wired and entry.data == b"\x20" else entry  # type: ignore[type-var]

    for path in logs(recorded, "answers"):
        changed(path, other)

    told = json.loads(recorded("replay", "duo", "--json", status=1).stdout)["divergence"]
    assert told["machine"] == "answers"
    assert "has other bytes than the recorded one" in told["detail"][1]


def test_other_input_from_outside_is_told(recorded: Vmmgr) -> None:
    def later(entry: Entry) -> Entry:
        typed = isinstance(entry, Input) and not entry.wired
        return replace(entry, at=entry.at + 100_000) if typed else entry  # type: ignore[type-var]

    changed(logs(recorded, "asks")[0], later)

    told = recorded("replay", "duo", status=1).stderr
    assert "not the same" in told
    assert "answers: the replay differs at" in told


def test_logs_that_do_not_belong_together_are_told(recorded: Vmmgr) -> None:
    logs(recorded, "answers")[-1].unlink()

    told = recorded("replay", "duo", status=5).stderr
    assert "the log of duo/answers does not belong" in told
    for path in logs(recorded, "idle"):
        path.unlink()
    assert "nothing was recorded of duo/idle" in recorded("replay", "duo", status=4).stderr
