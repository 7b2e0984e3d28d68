# SPDX-License-Identifier: BSD-2-Clause
"""The verbs on real processes, locks, sockets and snapshots; only the CPU is a stand-in."""

from __future__ import annotations

import io
import json
import os
import re
import signal
from pathlib import Path

import pytest
from support.terminals import exit_code, foreground, read_until

from manager.cli.main import main
from manager.client.client import Client
from manager.errors import HostError, SnapshotMismatchError
from manager.state.paths import MachinePaths, machine_names
from manager.state.situation import look

pytestmark = pytest.mark.usefixtures("no_cpu")


def state() -> str:
    return look(MachinePaths.of("demo")).state


def status(capsys: pytest.CaptureFixture[str], name: str = "demo") -> dict:
    capsys.readouterr()
    assert main(["status", name, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == 1
    return found


def test_up_detached_streams_until_ready_and_goes_on(demo, machine_file, capfd) -> None:
    assert main(["up", str(machine_file), "-d"]) == 0

    shown = capfd.readouterr()
    assert "booting\r\n" in shown.out
    assert "demo is up and is ready: login:" in shown.err
    assert state() == "running"


def test_up_detached_prints_nothing_but_json_when_told_to(demo, machine_file, capfd) -> None:
    assert main(["up", str(machine_file), "-d", "--json"]) == 0

    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert {event["event"] for event in events} >= {"up", "output", "ready"}


def test_a_second_up_leaves_it_alone(demo, machine_file, capsys) -> None:
    main(["up", str(machine_file), "-d"])
    capsys.readouterr()

    assert main(["up", str(machine_file), "-d"]) == 0
    assert "demo is already running, pid" in capsys.readouterr().err
    assert main(["up", str(machine_file), "-d", "--fresh"]) == 4


def test_status_of_a_running_machine(demo, machine_file, capsys) -> None:
    main(["up", str(machine_file), "-d"])

    found = status(capsys, str(machine_file))

    assert found["state"] == found["activity"] == "running"
    assert found["virtual_time_ns"] > 5_000_000
    assert found["ports"][0]["id"] == "lpc.com1"
    assert found["ports"][0]["console"] is True
    assert Path(f"/proc/{found['pid']}").exists()
    assert main(["status", "demo"]) == 0
    assert "running" in capsys.readouterr().out


def test_status_of_a_stopped_machine_names_its_ports_only(demo, machine_file, capsys) -> None:
    main(["up", str(machine_file), "-d"])
    main(["down", "demo"])
    capsys.readouterr()

    assert main(["status", "demo"]) == 0
    assert re.search(r"^ports +lpc\.com1$", capsys.readouterr().out, re.MULTILINE)


def test_suspend_resume_suspend_down(demo, machine_file, capsys) -> None:
    main(["up", str(machine_file), "-d"])
    first = status(capsys)
    main(["send", "demo", "half a li"])
    while status(capsys)["ports"][0]["pending"]:
        pass

    assert main(["suspend", "demo"]) == 0
    assert state() == "suspended"
    saved = status(capsys)
    assert saved["virtual_time_ns"] >= first["virtual_time_ns"]
    assert saved["pid"] is None

    assert main(["resume", "demo", "-d"]) == 0
    again = status(capsys)
    assert again["state"] == "running"
    assert again["pid"] != first["pid"]
    assert again["snapshot"] == saved["snapshot"]
    assert again["virtual_time_ns"] >= saved["virtual_time_ns"]

    main(["send", "demo", r"ne\n"])
    assert main(["down", "demo"]) == 0
    assert state() == "stopped"
    capsys.readouterr()


def test_a_line_begun_before_a_suspend_is_ended_after_it(demo, machine_file, capfdbinary) -> None:
    main(["up", str(machine_file), "-d"])
    main(["send", "demo", "half a li"])
    main(["suspend", "demo"])
    main(["resume", "demo", "-d"])
    main(["send", "demo", r"ne\noff\n"])
    main(["wait", "demo", "stopped", "--timeout", "10s"])
    capfdbinary.readouterr()

    assert main(["logs", "demo"]) == 0

    assert b"got half a line\r\n" in capfdbinary.readouterr().out
    assert look(demo).saved is None


def test_up_resumes_what_is_suspended_and_says_so(demo, machine_file, capsys) -> None:
    main(["up", str(machine_file), "-d"])
    main(["suspend", "demo"])
    capsys.readouterr()

    assert main(["up", str(machine_file), "-d", "--wait-for", "resumed"]) == 0

    err = capsys.readouterr().err
    assert "resuming demo; `--fresh` would boot it afresh" in err
    assert "demo resumed and is ready" in err


def test_fresh_asks_unless_told(demo, machine_file, capsys, monkeypatch) -> None:
    main(["up", str(machine_file), "-d"])
    main(["suspend", "demo"])
    monkeypatch.setattr("sys.stdin", io.StringIO())

    assert main(["up", str(machine_file), "-d", "--fresh"]) == 2
    assert state() == "suspended"
    assert main(["up", str(machine_file), "-d", "--fresh", "-y"]) == 0
    assert look(demo).saved is None


def test_a_dry_run_changes_nothing(demo, machine_file, capsys) -> None:
    assert main(["up", str(machine_file), "--dry-run"]) == 0

    assert "would boot demo with 16 MiB of RAM" in capsys.readouterr().out
    assert not demo.exists()


def test_a_failed_suspend_is_reported_and_the_machine_runs_on(
    demo, machine_file, capsys, monkeypatch, fake
) -> None:
    monkeypatch.setattr(fake, "image_error", HostError("the disk is full", help="free some"))
    main(["up", str(machine_file), "-d"])
    capsys.readouterr()

    assert main(["suspend", "demo"]) == 1

    assert "the disk is full\n   = help: free some" in capsys.readouterr().err
    assert status(capsys)["activity"] == "running"


def test_a_machine_that_ends_while_it_is_told_to_is_no_fault(
    demo, machine_file, capsys, monkeypatch
) -> None:
    def ends_first(client, command, **arguments):
        os.kill(look(demo).last_run.pid, signal.SIGTERM)
        while True:
            client.next_message()

    main(["up", str(machine_file), "-d"])
    monkeypatch.setattr(Client, "execute", ends_first)

    assert main(["suspend", "demo"]) == 4
    assert "ended before it was saved; it is stopped" in capsys.readouterr().err

    main(["up", str(machine_file), "-d"])
    assert main(["down", "demo"]) == 0


def test_a_refused_restore_keeps_the_state(demo, machine_file, capsys, monkeypatch, fake) -> None:
    main(["up", str(machine_file), "-d"])
    main(["suspend", "demo"])
    monkeypatch.setattr(fake, "restore_error", SnapshotMismatchError("slot 4 is missing"))
    capsys.readouterr()

    assert main(["resume", "demo", "-d"]) == 5

    assert "error: slot 4 is missing" in capsys.readouterr().err
    assert state() == "suspended"


def test_a_damaged_state_is_exit_code_7_and_can_be_discarded(demo, machine_file, capsys) -> None:
    main(["up", str(machine_file), "-d"])
    main(["suspend", "demo"])
    for file in look(demo).saved.path.iterdir():
        file.chmod(0o600)
        file.write_bytes(b"rubbish")

    assert main(["resume", "demo", "-d"]) == 7
    assert main(["status", "demo"]) == 0
    assert main(["ls"]) == 0
    assert main(["discard", "demo"]) == 0
    assert state() == "stopped"


def test_a_killed_machine_is_crashed_and_resumes_from_its_last_state(
    demo, machine_file, capsys
) -> None:
    main(["up", str(machine_file), "-d"])
    main(["suspend", "demo"])
    main(["resume", "demo", "-d"])
    os.kill(status(capsys)["pid"], signal.SIGKILL)
    assert main(["wait", "demo", "crashed", "--timeout", "10s"]) == 0

    found = status(capsys)
    assert found["note"] == "its process is gone; last suspended state kept"

    assert main(["up", str(machine_file), "-d", "--wait-for", "resumed"]) == 0


def test_a_guest_fault_is_kept_as_the_reason(demo, machine_file, capsys) -> None:
    main(["up", str(machine_file), "-d"])
    main(["send", "demo", r"fault\n"])
    assert main(["wait", "demo", "crashed", "--timeout", "10s"]) == 0

    assert status(capsys)["note"] == "triple fault at 0:0"


def test_sigterm_ends_it_in_order(demo, machine_file, capsys) -> None:
    main(["up", str(machine_file), "-d"])

    os.kill(status(capsys)["pid"], signal.SIGTERM)

    assert main(["wait", "demo", "stopped", "--timeout", "10s"]) == 0


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--wait-for", "never", "--fail-on", "boot.ng"], 8, "--fail-on matched: booting"),
        (["--wait-for", "never", "--timeout", "50ms"], 124, "still waiting for 'never'"),
    ],
)
def test_a_machine_that_does_not_get_ready_still_runs(
    demo, machine_file, capsys, options, code, told
) -> None:
    assert main(["up", str(machine_file), "-d", *options]) == code

    assert told in capsys.readouterr().err
    assert state() == "running"


@pytest.mark.parametrize("verb", ["suspend", "resume", "down", "send"])
def test_a_stopped_machine_is_the_wrong_state(demo, machine_file, capsys, verb) -> None:
    main(["up", str(machine_file), "-d"])
    main(["down", "demo"])

    assert main([verb, "demo", *(["x"] if verb == "send" else [])]) == 4


@pytest.mark.parametrize("verb", ["suspend", "resume", "down", "status", "logs", "discard"])
def test_an_unknown_machine_is_exit_code_3(state_home, capsys, verb) -> None:
    assert main([verb, "nosuch"]) == 3
    assert "there is no machine 'nosuch'" in capsys.readouterr().err


def test_ls_shows_every_machine(demo, machine_file, capsys) -> None:
    main(["up", str(machine_file), "-d"])
    capsys.readouterr()

    assert main(["ls", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(item["name"], item["state"]) for item in listed["machines"]] == [("demo", "running")]
    assert main(["ls"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["demo", "running"]


def test_logs_of_the_boot_before_are_kept_aside(demo, machine_file, capsys) -> None:
    for _ in range(2):
        main(["up", str(machine_file), "-d"])
        main(["down", "demo"])

    log = demo.port_log("lpc.com1")
    assert log.read_bytes().count(b"booting") == 1
    assert log.with_name("lpc.com1.old.log").read_bytes().count(b"booting") == 1


def test_waiting_for_a_state_has_a_time_limit(demo, machine_file, capsys) -> None:
    main(["up", str(machine_file), "-d"])

    assert main(["wait", "demo", "suspended", "--timeout", "60ms"]) == 124


def test_in_the_foreground_the_terminal_is_the_console(demo, machine_file) -> None:
    child, terminal = foreground("up", str(machine_file))
    read_until(terminal, b"login:")
    os.write(terminal, b"\x03hi\n")
    read_until(terminal, b"got \x03hi")

    os.write(terminal, b"\x1d")

    read_until(terminal, b"demo runs on. `vmmgr console demo` comes back")
    assert exit_code(child) == 0
    assert state() == "running"
    os.close(terminal)


def test_a_foreground_machine_suspended_from_elsewhere_says_how_to_resume(
    demo, machine_file
) -> None:
    child, terminal = foreground("up", str(machine_file))
    read_until(terminal, b"login:")

    main(["suspend", "demo"])

    read_until(terminal, b"resume it with `vmmgr resume demo`")
    assert exit_code(child) == 0
    os.close(terminal)


def test_a_guest_that_powers_off_ends_the_command(demo, machine_file) -> None:
    child, terminal = foreground("up", str(machine_file))
    read_until(terminal, b"login:")

    os.write(terminal, b"off\n")

    read_until(terminal, b"demo ended: the guest powered off")
    assert exit_code(child) == 0
    os.close(terminal)


RUN = ["--until", "login: $", "--send", r"hi\n", "--until", "# $"]


@pytest.mark.parametrize("extra", [[], ["--paced"]])
def test_run_answers_and_prints(machine_file, capfdbinary, extra) -> None:
    assert main(["run", str(machine_file), *RUN, *extra]) == 0

    out = capfdbinary.readouterr().out
    assert out == b"booting\r\n\x1b[1mlogin:\x1b[0m got hi\r\n# "


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--until", "nothing", "--max-time", "10s"], 124),
        (["--until", "nothing", "--fail-on", "login"], 8),
        (["--send", r"off\n", "--until", "nothing"], 1),
        (["--send", r"off\n"], 0),
        (["--send", r"fault\n"], 6),
        (["--max-time", "1h"], 124),
        (["--until", "x", "--port", "com3"], 2),
    ],
)
def test_run_says_by_its_exit_code_how_it_ended(machine_file, capfd, options, code) -> None:
    assert main(["run", str(machine_file), *options]) == code


def test_run_keeps_no_state(machine_file, state_home, capfd) -> None:
    main(["run", str(machine_file), "--until", "login"])

    assert machine_names() == []


def test_an_interrupt_ends_run_with_130(machine_file) -> None:
    child, terminal = foreground("run", str(machine_file), "--until", "nothing")
    read_until(terminal, b"login:")

    os.write(terminal, b"\x03")

    assert exit_code(child) == 130
    os.close(terminal)


def test_a_lost_terminal_leaves_the_machine_running(demo, machine_file) -> None:
    main(["up", str(machine_file), "-d"])
    main(["suspend", "demo"])
    child, terminal = foreground("resume", "demo")
    read_until(terminal, b"resumed")

    os.close(terminal)

    assert exit_code(child) == 0
    assert state() == "running"


def test_a_foreground_machine_that_does_not_get_ready_ends_and_keeps_its_state(
    demo, machine_file
) -> None:
    main(["up", str(machine_file), "-d"])
    main(["suspend", "demo"])

    child, terminal = foreground(
        "up", str(machine_file), "--wait-for", "never", "--fail-on", "resumed"
    )

    read_until(terminal, b"it did not get ready")
    assert exit_code(child) == 8
    assert state() == "suspended"
    os.close(terminal)


def test_a_resumed_machine_is_not_waited_for_as_if_it_booted(demo, machine_file, capsys) -> None:
    main(["up", str(machine_file), "-d"])
    main(["suspend", "demo"])
    capsys.readouterr()

    assert main(["up", str(machine_file), "-d"]) == 0

    assert capsys.readouterr().err.endswith("demo resumed\n")


def test_run_ends_when_its_output_has_no_reader(machine_file) -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(writer, 1)
        os.close(reader)
        os.close(writer)
        os._exit(main(["run", str(machine_file), "--paced"]))
    os.close(writer)
    os.read(reader, 3)

    os.close(reader)

    assert exit_code(child) == 1
