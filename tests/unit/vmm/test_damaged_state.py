# SPDX-License-Identifier: BSD-2-Clause
"""A machine that was resumed from a damaged state stands still, and nothing replaces that state."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.terminals import exit_code, foreground, read_until

from manager.cli.main import main
from manager.client.client import Client, HungUpError
from manager.state.paths import MachinePaths
from manager.state.situation import look
from manager.vmm import restored

pytestmark = pytest.mark.usefixtures("no_cpu")

WHERE = "expected zeros, got 0x40 in page 0x1 of guest RAM"


@pytest.fixture
def suspended(demo: MachinePaths, machine_file: Path) -> MachinePaths:
    main(["up", str(machine_file), "-d"])
    main(["suspend", "demo"])
    return demo


@pytest.fixture
def damaged(suspended: MachinePaths) -> MachinePaths:
    """A suspended state whose RAM, two pages of zeros, has another byte in the second one."""
    (file,) = (suspended.snapshots / "current").resolve().glob("*.ram")
    file.chmod(0o600)
    with file.open("r+b") as stream:
        os.pwrite(stream.fileno(), b"@", 4096 + 77)
    return suspended


def until_damaged() -> str:
    """Wait until the check has found it; returns what it says."""
    with Client.connect(MachinePaths.of("demo").socket()) as client:
        status = client.execute("subscribe")
        while status["damage"] is None:
            assert client.next_message(timeout=30) is not None
            status = client.execute("query-status")
        assert status["state"] == "paused"
        return str(status["damage"])


def end_of(client: Client) -> dict[str, Any]:
    """The event of the machine's end, once its process has let go of it."""
    last: dict[str, Any] = {}
    with suppress(HungUpError):
        while (message := client.next_message(timeout=30)) is not None:
            last = message
    assert last["event"] == "ended"
    with MachinePaths.of("demo").lock.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
    return dict(last["data"])


def content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_status_says_which_page(damaged, capsys) -> None:
    assert main(["resume", "demo", "-d"]) == 0

    message = until_damaged()

    assert message.startswith("the state that demo was resumed from is damaged: ")
    assert WHERE in message
    capsys.readouterr()
    assert main(["status", "demo"]) == 0
    shown = capsys.readouterr().out
    assert WHERE in shown
    assert "paused" in shown


def test_the_machine_stands_still_for_good(damaged, capsys) -> None:
    main(["resume", "demo", "-d"])
    until_damaged()
    capsys.readouterr()

    assert main(["ctl", "demo", "continue"]) == 7

    shown = capsys.readouterr().err
    assert WHERE in shown
    assert "`vmmgr ctl demo quit` ends it" in shown


def test_subscribers_hear_of_it(damaged) -> None:
    """By an event, or from the answer when it was found before they came."""
    main(["resume", "demo", "-d", "--paused"])
    with Client.connect(damaged.socket()) as client:
        told = client.execute("subscribe")["damage"]
        while told is None:
            message = client.next_message(timeout=30)
            assert message is not None
            if message["event"] == "damaged":
                told = message["data"]["message"]
        assert WHERE in told


@pytest.mark.parametrize("verb", [["suspend", "demo"], ["snapshot", "save", "demo"]])
@pytest.mark.parametrize("when", ["at once", "later"])
def test_nothing_is_saved_over_the_state_of_before(damaged, capsys, verb, when: str) -> None:
    before = content((damaged.snapshots / "current").resolve())
    main(["resume", "demo", "-d"])
    if when == "later":
        until_damaged()
    capsys.readouterr()

    assert main(verb) == 7

    assert WHERE in capsys.readouterr().err
    assert look(damaged).state == "running"
    assert len(list(damaged.snapshots.glob("0*"))) == 1
    assert content((damaged.snapshots / "current").resolve()) == before


def test_it_does_not_go_back_in_time_either(damaged, capsys) -> None:
    main(["resume", "demo", "-d"])

    assert main(["rewind", "demo", "1ms"]) == 7

    assert WHERE in capsys.readouterr().err


def test_quit_leaves_the_state_and_says_why(damaged, capfd) -> None:
    before = content((damaged.snapshots / "current").resolve())
    main(["resume", "demo", "-d"])
    until_damaged()
    with Client.connect(damaged.socket()) as client:
        client.execute("subscribe")
        client.execute("quit")
        ended = end_of(client)
    assert (ended["kind"], ended["status"]) == ("quit", 7)
    assert WHERE in ended["detail"]

    assert look(damaged).state == "suspended"
    assert content((damaged.snapshots / "current").resolve()) == before
    assert main(["resume", "demo", "-d", "--verify"]) == 7


def test_a_signal_that_means_suspend_ends_it_and_leaves_the_state(damaged) -> None:
    before = content((damaged.snapshots / "current").resolve())
    child, terminal = foreground("resume", "demo", "--on-term", "suspend")
    read_until(terminal, WHERE.encode())

    main(["ctl", "demo", "stop"])

    read_until(terminal, b"demo was stopped; its last suspended state is kept: the state that demo")
    assert exit_code(child) == 7
    assert content((damaged.snapshots / "current").resolve()) == before


def test_a_machine_that_faults_first_is_told_of_the_damage_too(damaged, capfd, monkeypatch) -> None:
    monkeypatch.setattr(restored, "HEAD_START", 3600.0)
    main(["resume", "demo", "-d"])
    with Client.connect(damaged.socket()) as client:
        client.execute("subscribe")
        client.execute("send", text="fault\n")
        ended = end_of(client)
    assert WHERE in ended["story"][0]
    capfd.readouterr()
    main(["status", "demo"])
    assert WHERE in capfd.readouterr().out


def test_a_sound_state_changes_nothing(suspended, capsys) -> None:
    for _ in range(3):
        assert main(["resume", "demo", "-d"]) == 0
        assert main(["snapshot", "save", "demo"]) == 0
        assert main(["suspend", "demo"]) == 0
    main(["resume", "demo", "-d"])
    capsys.readouterr()
    main(["status", "demo", "--json"])
    assert json.loads(capsys.readouterr().out)["damage"] is None
