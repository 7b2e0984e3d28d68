# SPDX-License-Identifier: BSD-2-Clause
"""`rm` and `prune` remove what they say, ask first, and touch nothing that is needed."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest
from support.terminals import exit_code, foreground, read_until

from manager.cli.main import main
from manager.state.lock import MachineLock
from manager.state.paths import MachinePaths
from manager.state.situation import look

pytestmark = pytest.mark.usefixtures("no_cpu")


@pytest.fixture
def stopped(demo: MachinePaths, machine_file: Path) -> MachinePaths:
    main(["up", str(machine_file), "-d"])
    main(["down", "demo"])
    return demo


@pytest.fixture
def suspended(demo: MachinePaths, machine_file: Path) -> MachinePaths:
    main(["up", str(machine_file), "-d"])
    main(["suspend", "demo"])
    return demo


def test_rm_removes_a_stopped_machine(stopped, machine_file, capsys) -> None:
    assert main(["rm", "--force", str(machine_file)]) == 0

    assert not stopped.directory.exists()
    assert machine_file.exists()
    assert "demo removed" in capsys.readouterr().err
    assert main(["status", "demo"]) == 3


def test_rm_refuses_a_running_machine_and_names_the_way_out(demo, machine_file, capsys) -> None:
    main(["up", str(machine_file), "-d"])

    assert main(["rm", "--force", "demo"]) == 4

    assert "`vmmgr down demo`" in capsys.readouterr().err
    assert look(demo).state == "running"


def test_rm_refuses_a_suspended_machine_unless_forced(suspended, capsys) -> None:
    assert main(["rm", "demo"]) == 4
    told = capsys.readouterr().err
    assert "demo is suspended" in told
    assert "`vmmgr resume demo`" in told
    assert "`vmmgr discard demo`" in told
    assert look(suspended).state == "suspended"

    assert main(["rm", "--force", "demo"]) == 0
    assert not suspended.directory.exists()


def test_rm_without_a_terminal_wants_force(stopped, capsys, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", None)

    assert main(["rm", "demo"]) == 2

    assert "add --force" in capsys.readouterr().err
    assert stopped.directory.exists()


@pytest.mark.parametrize(("answer", "status"), [(b"y\r", 0), (b"\r", 2), (b"\x04", 2)])
def test_rm_asks_on_a_terminal_and_says_what_would_be_lost(stopped, answer, status) -> None:
    child, terminal = foreground("rm", "demo")
    asked = read_until(terminal, b"[y/N]")
    os.write(terminal, answer)

    assert exit_code(child) == status
    os.close(terminal)
    assert b"Remove demo, with its logs" in asked
    assert stopped.directory.exists() == bool(status)


def test_rm_asks_with_the_names_of_snapshots(demo, machine_file) -> None:
    main(["up", str(machine_file), "-d"])
    main(["snapshot", "save", "demo", "before"])
    main(["down", "demo"])

    child, terminal = foreground("rm", "demo")

    assert b"its snapshots before, its logs" in read_until(terminal, b"[y/N]")
    os.write(terminal, b"y\r")
    assert exit_code(child) == 0
    os.close(terminal)


def test_a_machine_that_was_removed_boots_anew(stopped, machine_file) -> None:
    main(["rm", "--force", "demo"])

    assert main(["up", str(machine_file), "-d"]) == 0
    assert look(stopped).state == "running"


def test_who_waited_for_the_lock_of_a_removed_machine_gets_that_of_the_next(tmp_path) -> None:
    lock = tmp_path / "machine.lock"
    lock.touch()
    held = lock.open()
    fcntl.flock(held, fcntl.LOCK_EX)
    opened = os.open

    def removed_after_opening(path, flags, mode=0o777):
        descriptor = opened(path, flags, mode)
        if not held.closed:
            lock.unlink()
            held.close()
            lock.touch()
        return descriptor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", removed_after_opening)
        taken = MachineLock.take(lock)

    assert taken is not None
    assert MachineLock.take(lock) is None
    taken.release()


def test_prune_says_what_it_would_remove_and_asks(stopped) -> None:
    child, terminal = foreground("prune")
    asked = read_until(terminal, b"[y/N]")
    os.write(terminal, b"y\r")

    assert exit_code(child) == 0
    os.close(terminal)
    assert b"demo" in asked
    assert b"Remove 1 machine, " in asked
    assert not stopped.directory.exists()


def test_prune_removes_nothing_when_it_is_a_dry_run(stopped, capsys) -> None:
    assert main(["prune", "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("demo  ")

    assert main(["prune", "--dry-run", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["machines"], answer["removed"]) == (["demo"], False)
    assert stopped.directory.exists()


def test_prune_without_a_terminal_wants_force(stopped, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", None)

    assert main(["prune"]) == 2
    assert stopped.directory.exists()
    assert main(["prune", "--force"]) == 0
    assert not stopped.directory.exists()


@pytest.mark.parametrize("kept", ["running", "suspended", "crashed", "with a snapshot"])
def test_prune_keeps_what_may_be_needed(demo, machine_file, capsys, kept) -> None:
    main(["up", str(machine_file), "-d"])
    if kept == "suspended":
        main(["suspend", "demo"])
    elif kept == "crashed":
        main(["send", "demo", r"fault\n"])
        main(["wait", "demo", "crashed"])
    elif kept == "with a snapshot":
        main(["snapshot", "save", "demo", "before"])
        main(["down", "demo"])

    assert main(["prune", "--force"]) == 0

    assert "nothing to remove" in capsys.readouterr().err
    assert demo.directory.exists()


def test_prune_finishes_a_removal_that_was_interrupted(state_home) -> None:
    left = state_home / ".going-demo-1"
    (left / "snapshots").mkdir(parents=True)

    assert main(["prune", "--force"]) == 0

    assert not left.exists()
