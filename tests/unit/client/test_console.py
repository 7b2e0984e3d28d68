# SPDX-License-Identifier: BSD-2-Clause
"""Consoles on real terminals and pipes, with real owners; only the CPU is a stand-in."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from support.terminals import (
    await_cooked,
    exit_code,
    foreground,
    is_cooked,
    read_some,
    read_until,
    under_a_shell,
)

from manager.cli.main import main
from manager.state.paths import MachinePaths
from manager.state.situation import look

pytestmark = pytest.mark.usefixtures("no_cpu")


@pytest.fixture
def running(demo, machine_file) -> MachinePaths:
    """The machine `demo`, up in the background."""
    assert main(["up", str(machine_file), "-d"]) == 0
    return demo


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, *argv: str) -> None:
        self.child, self.terminal = foreground(*argv)
        self._unread = b""

    def type(self, data: bytes) -> None:
        os.write(self.terminal, data)

    def see(self, wanted: bytes) -> bytes:
        while wanted not in self._unread:
            try:
                self._unread += read_some(self.terminal)
            except TimeoutError:
                raise AssertionError(f"no {wanted!r} in {self._unread!r}") from None
        before, _, self._unread = self._unread.partition(wanted)
        return before + wanted

    def end(self) -> int:
        code = exit_code(self.child)
        os.close(self.terminal)
        return code


def owner_of(paths: MachinePaths) -> int:
    record = look(paths).last_run
    assert record is not None
    return record.pid


@pytest.mark.parametrize("keys", [b"\x1d", b"\r~."])
def test_a_console_replays_and_detaches(running, keys) -> None:
    console = Terminal("console", "demo")
    shown = console.see(b"login:")
    assert b"Ctrl-] detaches, Enter ~? lists more" in shown
    assert not is_cooked(console.terminal)

    console.type(keys)

    console.see(b"detached; demo runs on")
    await_cooked(console.terminal)
    assert console.end() == 0
    assert look(running).state == "running"


def test_another_escape_key(running) -> None:
    console = Terminal("console", "demo", "--escape", "ctrl-a")
    console.see(b"Ctrl-A detaches")
    console.type(b"\x1d\n")
    console.see(b"got \x1d\r\n")

    console.type(b"\x01")

    assert console.end() == 0


def test_without_an_escape_key_every_byte_is_the_guests(running) -> None:
    console = Terminal("console", "demo", "--escape", "none")
    console.see(b"login:")

    console.type(b"\x1d\r~.\n")

    console.see(b"got \x1d\r~.\r\n")
    os.kill(console.child, signal.SIGTERM)
    assert console.end() == 0


def test_the_keys_are_listed(running) -> None:
    console = Terminal("console", "demo")
    console.see(b"login:")

    console.type(b"~?")

    console.see(b"~b      send a break")
    console.type(b"\x1d")
    assert console.end() == 0


def test_two_tildes_send_one_and_ctrl_c_goes_to_the_guest(running) -> None:
    console = Terminal("console", "demo")
    console.see(b"login:")

    console.type(b"~~\x03x\n")

    console.see(b"got ~\x03x\r\n")
    console.type(b"\x1d")
    assert console.end() == 0


def test_a_break_reaches_the_guest(running) -> None:
    console = Terminal("console", "demo")
    console.see(b"login:")

    console.type(b"~b")

    console.see(b"break lpc.com1")
    console.type(b"\x1d")
    assert console.end() == 0


def test_one_types_all_see_and_another_takes_over(running) -> None:
    first = Terminal("console", "demo")
    first.see(b"login:")
    second = Terminal("console", "demo")
    second.see(b"read-only: process ")
    second.see(b"login:")

    second.type(b"x")
    second.see(b"read-only; Enter ~w")
    first.type(b"one\n")
    first.see(b"got one")
    second.see(b"got one")
    second.type(b"\x1d")  # the x above left the line's start
    assert second.end() == 0
    second = Terminal("console", "demo", "--take")
    first.see(b"types now; Enter ~w takes it back")
    second.type(b"two\n")
    first.see(b"got two")

    for console in (first, second):
        console.type(b"\x1d")
        assert console.end() == 0


def test_a_reader_never_takes_the_keyboard(running) -> None:
    reader = Terminal("console", "demo", "--read-only")
    reader.see(b"login:")
    writer = Terminal("console", "demo")
    writer.see(b"login:")

    writer.type(b"hi\n")

    reader.see(b"got hi")
    for console in (reader, writer):
        console.type(b"\x1d")
        assert console.end() == 0


def test_suspended_by_a_key_the_console_says_so_and_ends(running) -> None:
    console = Terminal("console", "demo")
    console.see(b"login:")

    console.type(b"~s")

    console.see(b"resume it with `vmmgr resume demo`")
    await_cooked(console.terminal)
    assert console.end() == 0
    assert look(running).state == "suspended"


def test_a_console_that_follows_comes_back_after_a_resume(running) -> None:
    console = Terminal("console", "demo", "--follow")
    console.see(b"login:")
    main(["suspend", "demo"])
    console.see(b"waiting for demo")

    main(["resume", "demo", "-d"])

    console.see(b"resumed\r\n")
    console.type(b"again\n")
    console.see(b"got again")
    console.type(b"\x1d")
    assert console.end() == 0


def test_a_killed_owner_leaves_a_usable_terminal(running) -> None:
    console = Terminal("console", "demo")
    console.see(b"login:")

    os.kill(owner_of(running), signal.SIGKILL)

    console.see(b"demo crashed: its process is gone")
    await_cooked(console.terminal)
    assert console.end() == 1


def test_a_killed_console_leaves_a_usable_terminal_and_the_machine(running) -> None:
    shell, terminal, command = under_a_shell("console", "demo")
    read_until(terminal, b"login:")
    assert not is_cooked(terminal)

    os.kill(command, signal.SIGKILL)

    await_cooked(terminal)
    os.kill(shell, signal.SIGKILL)
    exit_code(shell)
    os.close(terminal)
    assert look(running).state == "running"


def test_a_file_is_sent(running, tmp_path) -> None:
    (tmp_path / "text").write_bytes(b"".join(b"line %d\n" % n for n in range(2000)))
    console = Terminal("console", "demo")
    console.see(b"login:")

    console.type(b"~f")
    console.see(b"send which file? ")
    console.type(os.fsencode(tmp_path / "texx") + b"\x7ft\r")

    console.see(b"got line 1999")
    console.type(b"\x1d")
    assert console.end() == 0


def test_giving_up_the_file_name_sends_nothing(running) -> None:
    console = Terminal("console", "demo")
    console.see(b"login:")

    console.type(b"~fxyz\x03")

    console.see(b"nothing sent")
    console.type(b"\x1d")
    assert console.end() == 0


def test_a_session_is_logged(running, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    console = Terminal("console", "demo")
    console.see(b"login:")

    console.type(b"~l")
    console.see(b"logging to demo-lpc.com1-")
    console.type(b"kept\n")
    console.see(b"got kept\r\n# ")
    console.type(b"\r~l")
    console.see(b"log ended")
    console.type(b"\x1d")

    assert console.end() == 0
    (log,) = tmp_path.glob("demo-lpc.com1-*.log")
    assert b"got kept\r\n# " in log.read_bytes()


def test_pause_stops_the_guest_and_lets_it_go_on(running) -> None:
    console = Terminal("console", "demo")
    console.see(b"login:")

    console.type(b"~p")
    console.see(b"vmmgr: paused")
    console.type(b"~p")
    console.see(b"vmmgr: continued")
    console.type(b"\x1d")
    assert console.end() == 0


def piped(data: bytes, *argv: str) -> subprocess.Popen[bytes]:
    """`vmmgr console` between two pipes, in a process that knows no fake machine: a client."""
    process = subprocess.Popen(
        [sys.executable, "-m", "manager", *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(data)
    process.stdin.close()
    return process


def test_pipes_are_binary_clean(running) -> None:
    every_byte = bytes(byte for byte in range(256) if byte != 0x0A)
    console = piped(every_byte + b"\n", "console", "demo", "--replay", "0")
    assert console.stdout is not None

    answer = read_until(console.stdout.fileno(), every_byte)

    assert answer.startswith(b"got " + every_byte)
    console.terminate()
    assert console.wait(10) == 0
    for pipe in (console.stdout, console.stderr):
        pipe.close()  # type: ignore[union-attr]


def test_a_guest_that_powers_off_ends_its_consoles(running) -> None:
    console = Terminal("console", "demo")
    console.see(b"login:")

    console.type(b"off\n")

    console.see(b"demo ended: the guest powered off")
    assert console.end() == 0


def test_a_fault_is_the_consoles_exit_code(running) -> None:
    console = Terminal("console", "demo")
    console.see(b"login:")

    console.type(b"fault\n")

    console.see(b"triple fault at 0:0")
    assert console.end() == 6


def test_a_port_that_is_not_there_is_a_usage_error(running, capsys) -> None:
    assert main(["console", "demo", "com3"]) == 2
    assert "its ports: lpc.com1" in capsys.readouterr().err


def test_events_are_told_to_others_than_the_cause(running) -> None:
    events = Terminal("events", "demo", "--json", "--until", "continued")
    while not has_listeners(running):
        time.sleep(0.005)
    main(["ctl", "demo", "pause"])
    main(["ctl", "demo", "continue"])

    shown = events.see(b'"continued"') + events.see(b"\n")
    lines = [json.loads(line) for line in shown.splitlines() if line]

    assert [line["event"] for line in lines if line["event"] != "attached"] == [
        "paused",
        "continued",
    ]
    assert lines[-1]["schema"] == 1
    assert events.end() == 0


def has_listeners(paths: MachinePaths) -> bool:
    """Whether a client listens to events by now."""
    from manager.cli.clients import connect

    with connect(look(paths)) as client:
        return bool(client.execute("query-status")["listeners"])


def test_logs_are_followed_over_the_begin_of_a_new_piece(
    demo, machine_file, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("VMMGR_LOG_SIZE", "4096")
    main(["up", str(machine_file), "-d"])
    logs = Terminal("logs", "demo", "-f")
    logs.see(b"login:")

    for number in range(300):
        main(["send", "demo", rf"line {number:04}: {'x' * 30}\n"])
    shown = logs.see(b"got line 0299")

    main(["down", "demo"])
    assert logs.end() == 0
    numbers = [int(found) for found in re.findall(rb"got line (\d+)", shown)]
    assert numbers == list(range(300))
    assert demo.port_log("lpc.com1").with_name("lpc.com1.log.1").exists()


def test_a_machine_whose_file_was_moved_is_resumed_as_it_was_saved(running, machine_file) -> None:
    main(["suspend", "demo"])
    moved = machine_file.rename(machine_file.with_name("moved.toml"))
    moved.write_text('name = "demo"\n' + moved.read_text())

    assert main(["resume", "demo", "-d"]) == 0
    main(["suspend", "demo"])
    assert main(["resume", str(moved), "-d"]) == 0


def test_an_interrupted_wait_leaves_the_machine_running(demo, machine_file) -> None:
    waiting = Terminal("up", str(machine_file), "-d", "--wait-for", "never")
    waiting.see(b"login:")

    waiting.type(b"\x03")

    waiting.see(b"demo goes on in the background")
    assert waiting.end() == 130
    assert look(demo).state == "running"
