# SPDX-License-Identifier: BSD-2-Clause
"""What a machine is found to be doing, whatever its last process left behind."""

from __future__ import annotations

import os

import pytest

from manager.errors import HostError, NoSuchMachineError, WrongStateError
from manager.state.directory import MachineDirectory, discard
from manager.state.last_run import LastRun, process_start, read_last_run, write_last_run
from manager.state.lock import MachineLock, is_locked
from manager.state.paths import MachinePaths
from manager.state.situation import look, look_at_all, look_existing


@pytest.fixture
def paths(state_home) -> MachinePaths:
    found = MachinePaths.of("demo")
    found.make()
    return found


def begin(home: MachineDirectory, graph) -> None:
    home.begin(
        graph,
        settings=["a=b"],
        socket=home.paths.directory / "s",
        detached=False,
        ports={"lpc.com1": "null"},
        console="lpc.com1",
    )


def test_nothing_known_is_no_such_machine(state_home) -> None:
    with pytest.raises(NoSuchMachineError):
        look_existing("demo")


def test_a_machine_that_never_came_to_run_is_not_listed(paths) -> None:
    MachineDirectory.take(paths).close()

    assert look_at_all() == []
    with pytest.raises(NoSuchMachineError):
        look_existing("demo")


def test_the_owner_makes_it_running(paths, graph) -> None:
    home = MachineDirectory.take(paths)
    begin(home, graph())

    situation = look(paths)

    assert situation.state == "running"
    assert situation.last_run.alive()
    assert situation.last_run.settings == ["a=b"]
    home.close()


def test_a_second_owner_is_refused(paths) -> None:
    home = MachineDirectory.take(paths)

    with pytest.raises(WrongStateError, match="already running"):
        MachineDirectory.take(paths)
    home.close()


def test_a_process_that_dies_leaves_a_crashed_machine(paths, graph) -> None:
    child = os.fork()
    if not child:
        begin(MachineDirectory.take(paths), graph())
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)

    situation = look(paths)

    assert situation.state == "crashed"
    assert situation.note == "its process is gone"
    assert not situation.last_run.alive()


def test_a_crash_keeps_the_suspended_state(paths, graph, fake) -> None:
    home = MachineDirectory.take(paths)
    begin(home, graph())
    home.suspend(fake(graph()))
    begin(home, graph())
    home.close()

    situation = look(paths)

    assert situation.state == "crashed"
    assert situation.saved is not None
    assert "last suspended state kept" in situation.note


def test_suspended_then_stopped(paths, graph, fake) -> None:
    home = MachineDirectory.take(paths)
    begin(home, graph())
    home.suspend(fake(graph()))
    home.close()
    assert look(paths).state == "suspended"

    home = MachineDirectory.take(paths)
    begin(home, graph())
    home.stopped()
    home.close()

    assert look(paths).state == "stopped"
    assert look(paths).saved is None


def test_a_failed_suspend_leaves_it_running_with_the_state_before(
    paths, graph, fake, monkeypatch
) -> None:
    home = MachineDirectory.take(paths)
    begin(home, graph())
    before = home.suspend(fake(graph()))
    begin(home, graph())
    monkeypatch.setattr(fake, "image_error", HostError("disk full"))

    with pytest.raises(HostError, match="disk full"):
        home.suspend(fake(graph()))

    assert read_last_run(paths.last_run).phase == "running"
    assert look(paths).saved.path == before.path
    home.close()


def test_discard_makes_a_suspended_machine_stopped(paths, graph, fake) -> None:
    home = MachineDirectory.take(paths)
    begin(home, graph())
    home.suspend(fake(graph()))
    home.close()

    assert discard(paths) is True

    assert look(paths).state == "stopped"
    assert discard(paths) is False


def test_a_running_machine_is_not_discarded(paths) -> None:
    home = MachineDirectory.take(paths)

    with pytest.raises(WrongStateError):
        discard(paths)
    home.close()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"name": 3}',
        b"\xff",
        b"null",
        b'{"name": "demo", "file": "x", "ports": 3}',
        b'{"name": "demo", "file": "x", "ports": {"lpc.com1": 3}}',
        b'{"name": "demo", "file": "x", "settings": 4}',
        b'{"name": "demo", "file": "x", "phase": "asleep"}',
        b'{"name": "demo", "file": "x", "pid": "1"}',
        b'{"name": "demo", "file": "x", "console": []}',
    ],
)
def test_a_broken_record_is_no_record(paths, content) -> None:
    paths.last_run.write_bytes(content)

    assert read_last_run(paths.last_run) is None
    assert look(paths).state == "stopped"


def test_a_record_survives_and_ignores_fields_of_later_versions(paths) -> None:
    record = LastRun(name="demo", file="/x.toml", pid=1, fault="why")
    write_last_run(paths.last_run, record)
    text = paths.last_run.read_text().replace('"schema"', '"later": 1, "schema"')
    paths.last_run.write_text(text)

    assert read_last_run(paths.last_run) == record


def test_probing_a_free_lock_does_not_take_it(paths) -> None:
    assert not is_locked(paths.lock)
    lock = MachineLock.take(paths.lock)

    assert lock is not None
    assert is_locked(paths.lock)
    lock.release()
    assert not is_locked(paths.lock)


def test_a_reused_pid_does_not_count_as_alive() -> None:
    record = LastRun("demo", "x", pid=os.getpid(), process_start=process_start(os.getpid()))
    assert record.alive()

    record.process_start -= 1

    assert not record.alive()
