# SPDX-License-Identifier: BSD-2-Clause
"""`up` of machines that are known, run or are just being started; `up` alone; `restart`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.terminals import await_cooked, exit_code, foreground, read_until

from manager.cli.clients import connect
from manager.cli.graphs import of_running
from manager.cli.main import main
from manager.state.last_run import read_last_run
from manager.state.paths import MachinePaths
from manager.state.situation import look

pytestmark = pytest.mark.usefixtures("no_cpu")


def state(name: str = "demo") -> str:
    return look(MachinePaths.of(name)).state


def pid(paths: MachinePaths) -> int:
    record = read_last_run(paths.last_run)
    assert record is not None
    return record.pid


# -- by name ------------------------------------------------------------------------------


def test_up_of_a_known_name_boots_its_file_with_the_settings_it_had(
    demo, machine_file, tmp_path, monkeypatch
) -> None:
    main(["up", str(machine_file), "-d", "--set", "memory.size=8M"])
    main(["down", "demo"])
    monkeypatch.chdir("/")

    assert main(["up", "demo", "-d"]) == 0

    record = read_last_run(demo.last_run)
    assert record is not None
    assert (record.file, record.settings) == (str(machine_file), ["memory.size=8M"])
    assert state() == "running"


def test_up_of_a_name_resumes_it_when_it_is_suspended(demo, machine_file, capsys) -> None:
    main(["up", str(machine_file), "-d"])
    main(["suspend", "demo"])
    capsys.readouterr()

    assert main(["up", "demo", "-d"]) == 0

    assert "demo resumed" in capsys.readouterr().err


def test_up_of_a_name_that_nothing_is_known_of_is_exit_code_3(
    state_home, capsys, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["up", "nosuch", "-d"]) == 3
    assert "`vmmgr ls` shows" in capsys.readouterr().err

    Path("nosuch.toml").touch()
    assert main(["up", "nosuch", "-d"]) == 3
    assert "did you mean `nosuch.toml`?" in capsys.readouterr().err


def test_up_of_a_name_whose_file_is_gone_says_what_can_be_done(demo, machine_file, capsys) -> None:
    main(["up", str(machine_file), "-d"])
    main(["suspend", "demo"])
    machine_file.unlink()
    capsys.readouterr()

    assert main(["up", "demo", "-d"]) == 2

    told = capsys.readouterr().err
    assert f"{machine_file} is gone" in told
    assert "`vmmgr resume demo`" in told


# -- alone --------------------------------------------------------------------------------


def test_up_alone_takes_the_one_machine_file_in_the_folder(
    demo, machine_file, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pyproject.toml").write_text('[project]\nname = "x"\n')
    Path("broken.txt").write_text("[boot]")

    assert main(["up", "-d"]) == 0

    assert state() == "running"


def test_up_alone_names_the_files_when_there_are_several(
    demo, machine_file, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other.toml").write_text('extends = "demo.toml"\n')

    assert main(["up", "-d"]) == 2

    assert "2 machine files in this folder: demo.toml, other.toml" in capsys.readouterr().err


def test_up_alone_hints_at_new_when_there_is_no_file(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(["up"]) == 2

    assert "`vmmgr new NAME`" in capsys.readouterr().err


def test_up_alone_points_at_the_fault_of_a_broken_file(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("demo.toml").write_text('schema = 1\n[boot]\nimage = "x\n')

    assert main(["up", "-d"]) == 2

    assert "--> demo.toml:3" in capsys.readouterr().err


# -- of a machine that runs ---------------------------------------------------------------


def test_up_of_a_machine_that_is_ready_returns_at_once(demo, machine_file, capsys) -> None:
    main(["up", str(machine_file), "-d"])
    capsys.readouterr()

    assert main(["up", "demo", "-d"]) == 0

    assert "demo is ready" in capsys.readouterr().err


def test_up_waits_for_a_machine_that_is_not_ready_yet(demo, machine_file, capfd) -> None:
    child, terminal = foreground("up", str(machine_file), "-d", "--wait-for", "got on")
    read_until(terminal, b"login:")
    second, other = foreground("up", str(machine_file), "-d", "--wait-for", "got on")
    read_until(other, b"already running")

    main(["send", "demo", r"on\n"])

    assert b"demo is ready: login: got on" in read_until(other, b"is ready")
    assert (exit_code(child), exit_code(second)) == (0, 0)
    os.close(terminal)
    os.close(other)


def test_what_was_printed_before_counts(demo, machine_file, capsys) -> None:
    main(["up", str(machine_file), "-d"])
    capsys.readouterr()

    assert main(["up", "demo", "-d", "--wait-for", "booting"]) == 0

    assert "demo is ready: booting" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (["--wait-for", "never", "--timeout", "100ms"], 124),
        (["--wait-for", "never", "--fail-on", "boot", "--timeout", "9s"], 8),
    ],
)
def test_one_that_does_not_get_ready_is_told_by_the_exit_code(
    demo, machine_file, options, status
) -> None:
    main(["up", str(machine_file), "-d"])

    assert main(["up", "demo", "-d", *options]) == status

    assert state() == "running"


def test_a_machine_that_ends_while_it_is_waited_for_fails(demo, machine_file) -> None:
    main(["up", str(machine_file), "-d"])
    child, terminal = foreground("up", "demo", "-d", "--wait-for", "never")
    read_until(terminal, b"already running")

    main(["send", "demo", r"off\n"])

    assert b"it ended before it was ready" in read_until(terminal, b"ready")
    assert exit_code(child) == 1
    os.close(terminal)


def test_up_of_a_resumed_machine_does_not_wait_for_its_boot(demo, machine_file) -> None:
    main(["up", str(machine_file), "-d"])
    main(["suspend", "demo"])
    main(["resume", "-d", "demo"])

    assert main(["up", "demo", "-d", "--json"]) == 0


def test_json_tells_of_the_wait(demo, machine_file, capfd) -> None:
    main(["up", str(machine_file), "-d"])
    capfd.readouterr()

    main(["up", "demo", "-d", "--json", "--wait-for", "booting"])

    event = json.loads(capfd.readouterr().out)
    assert (event["event"], event["name"], event["detail"]) == ("ready", "demo", "booting")


def test_up_on_a_terminal_attaches_to_a_machine_that_runs(demo, machine_file) -> None:
    main(["up", str(machine_file), "-d"])

    child, terminal = foreground("up", str(machine_file))
    shown = read_until(terminal, b"login:")
    os.write(terminal, b"\x1d")

    assert b"already running" in shown
    assert exit_code(child) == 0
    await_cooked(terminal)
    os.close(terminal)
    assert state() == "running"


def test_several_ups_at_once_all_succeed_and_one_starts_it(demo, machine_file) -> None:
    running = [foreground("up", str(machine_file), "-d") for _ in range(5)]

    shown = [read_until(terminal, b"ready:") for _, terminal in running]

    assert [exit_code(child) for child, _ in running] == [0] * 5
    assert sum(b"is up and is ready" in text for text in shown) == 1
    for _, terminal in running:
        os.close(terminal)


def test_several_ups_at_once_do_not_lose_what_the_owner_said(demo, machine_file) -> None:
    main(["up", str(machine_file), "-d"])
    demo.owner_log.write_text("said before\n")

    from manager.vmm.background import detach

    os.close(detach(lambda reporter: None, demo.owner_log))

    assert demo.owner_log.read_text() == "said before\n"


def test_a_foreground_machine_is_known_to_be_ready_too(demo, machine_file) -> None:
    child, terminal = foreground("up", str(machine_file))
    read_until(terminal, b"login:")

    assert main(["wait", "demo", "ready", "--timeout", "10s"]) == 0

    main(["down", "demo"])
    assert exit_code(child) == 0
    os.close(terminal)


# -- restart ------------------------------------------------------------------------------


def test_restart_boots_a_running_machine_afresh_as_its_file_is_now(demo, machine_file) -> None:
    main(["up", str(machine_file), "-d"])
    before = pid(demo)
    machine_file.write_text(machine_file.read_text().replace("16M", "8M"))

    assert main(["restart", "demo", "-d"]) == 0

    assert pid(demo) != before
    with connect(look(demo)) as client:
        assert of_running(client).memory_size == 8 << 20


def test_restart_of_a_broken_file_keeps_the_machine(demo, machine_file, capsys) -> None:
    main(["up", str(machine_file), "-d"])
    before = pid(demo)
    machine_file.write_text("[boot")

    assert main(["restart", "demo", "-d"]) == 2

    assert (state(), pid(demo)) == ("running", before)


def test_restart_without_its_kernel_keeps_the_machine(demo, machine_file, tmp_path) -> None:
    main(["up", str(machine_file), "-d"])
    (tmp_path / "x.bin").unlink()

    assert main(["restart", "demo", "-d"]) == 2

    assert state() == "running"


def test_restart_refuses_to_drop_a_suspended_state(demo, machine_file, capsys) -> None:
    main(["up", str(machine_file), "-d"])
    main(["suspend", "demo"])

    assert main(["restart", "demo", "-d"]) == 4

    assert "`vmmgr up --fresh demo`" in capsys.readouterr().err
    assert state() == "suspended"


def test_restart_boots_what_does_not_run(demo, machine_file) -> None:
    main(["up", str(machine_file), "-d"])
    main(["down", "demo"])

    assert main(["restart", str(machine_file), "-d"]) == 0

    assert state() == "running"


# -- ls and status ------------------------------------------------------------------------


def listed(capsys) -> dict[str, object]:
    capsys.readouterr()
    assert main(["ls", "--json"]) == 0
    (machine,) = json.loads(capsys.readouterr().out)["machines"]
    return machine


def test_ls_and_status_tell_whether_it_is_ready_and_since_when_it_runs(
    demo, machine_file, capsys
) -> None:
    main(["up", str(machine_file), "-d"])
    machine = listed(capsys)
    assert machine["ready"] is True
    assert 0 <= machine["uptime_s"] < 60

    main(["ls"])
    names, row = capsys.readouterr().out.splitlines()
    assert names.split() == ["NAME", "STATE", "READY", "UPTIME", "PID", "FILE"]
    assert row.split()[1:3] == ["running", "yes"]
    main(["status", "demo"])
    told = capsys.readouterr().out
    assert "ready         yes" in told
    assert "uptime        0." in told


def test_ls_and_status_tell_what_it_still_waits_for(demo, machine_file, capsys) -> None:
    child, terminal = foreground("up", str(machine_file), "-d", "--wait-for", "never")
    read_until(terminal, b"login:")

    assert listed(capsys)["ready"] is False
    main(["status", "demo"])
    assert "ready         not yet, waits for 'never'" in capsys.readouterr().out
    main(["status", "demo", "--json"])
    assert json.loads(capsys.readouterr().out)["waits_for"] == "never"

    main(["down", "demo"])
    exit_code(child)
    os.close(terminal)


def test_ls_of_a_machine_that_does_not_run_tells_of_neither(demo, machine_file, capsys) -> None:
    main(["up", str(machine_file), "-d"])
    main(["suspend", "demo"])

    machine = listed(capsys)

    assert (machine["ready"], machine["uptime_s"]) == (None, None)
