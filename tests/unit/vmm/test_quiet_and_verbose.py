# SPDX-License-Identifier: BSD-2-Clause
"""`-q` leaves out messages and no errors; `-v` adds what is done underneath."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.terminals import exit_code, foreground, read_until

from manager.cli.main import main

pytestmark = pytest.mark.usefixtures("no_cpu")


@pytest.mark.parametrize(
    "place", [lambda verb, *rest: ["-q", verb, *rest], lambda verb, *rest: [verb, *rest, "-q"]]
)
def test_quiet_says_nothing_of_what_works(demo, machine_file, capfd, place) -> None:
    assert main(place("up", str(machine_file), "-d")) == 0
    assert main(place("up", str(machine_file), "-d")) == 0
    assert main(place("down", "demo")) == 0

    assert capfd.readouterr().err == ""


def test_quiet_keeps_what_was_asked_for(demo, machine_file, capfd) -> None:
    main(["-q", "up", str(machine_file), "-d"])
    assert "booting" in capfd.readouterr().out

    main(["ls", "-q"])
    assert "demo" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("argv", "status", "told"),
    [
        (["status", "nosuch"], 3, "there is no machine 'nosuch'"),
        (["up", "FILE", "-d", "--wait-for", "never", "--timeout", "50ms"], 124, "not ready after"),
        (["run", "FILE", "--fail-on", "boot"], 8, "--fail-on matched"),
        (["suspend", "nosuch", "FILE"], 3, "there is no machine"),
    ],
)
def test_quiet_keeps_errors(demo, machine_file, capfd, argv, status, told) -> None:
    argv = [str(machine_file) if word == "FILE" else word for word in argv]

    assert main(["-q", *argv]) == status

    assert told in capfd.readouterr().err


def test_quiet_keeps_questions(demo, machine_file) -> None:
    main(["up", str(machine_file), "-d"])
    main(["down", "demo"])

    child, terminal = foreground("-q", "rm", "demo")

    assert b"Remove demo" in read_until(terminal, b"[y/N]")
    os.write(terminal, b"y\r")
    assert exit_code(child) == 0
    os.close(terminal)


def test_quiet_does_not_silence_the_log_of_the_process(demo, machine_file, tmp_path: Path) -> None:
    text = machine_file.read_text()
    machine_file.write_text(text.replace('"stdio"', '{ type = "file", path = "nowhere/x" }'))

    child, terminal = foreground("-q", "up", str(machine_file), "-d")
    read_until(terminal, b"nowhere")

    assert exit_code(child) == 1
    os.close(terminal)
    assert "nowhere/x" in demo.owner_log.read_text()


def test_verbose_says_what_is_done(demo, machine_file, capfd) -> None:
    assert main(["-v", "up", str(machine_file), "-d"]) == 0
    told = capfd.readouterr().err
    assert f"vmmgr: read {machine_file}" in told
    assert str(demo.directory) in told
    assert str(demo.owner_log) in told

    assert main(["status", "demo", "--verbose"]) == 0
    assert "vmmgr: connected to process" in capfd.readouterr().err

    main(["down", "demo"])
    assert "connected" not in capfd.readouterr().err
