# SPDX-License-Identifier: BSD-2-Clause
"""`up --watch`: the machine is built and booted anew when its files change; the console stays."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.terminals import await_cooked, exit_code, foreground, read_until

from manager.cli.main import main
from manager.state.last_run import read_last_run
from manager.state.paths import MachinePaths
from manager.state.situation import look

pytestmark = pytest.mark.usefixtures("no_cpu")


@dataclass
class Session:
    """`up --watch` on a terminal."""

    paths: MachinePaths
    file: Path
    child: int = 0
    terminal: int = -1

    def start(self, *options: str) -> None:
        self.child, self.terminal = foreground("up", str(self.file), "--watch", *options)

    def booted(self) -> int:
        """Wait for a boot; the process that owns the machine."""
        self.sees(b"login:")
        record = read_last_run(self.paths.last_run)
        assert record is not None
        return record.pid

    def sees(self, text: bytes) -> bytes:
        return read_until(self.terminal, text)

    def types(self, data: bytes) -> None:
        os.write(self.terminal, data)

    def image(self, content: bytes) -> None:
        """Put another image in place, as a linker or an editor would."""
        made = self.file.with_name("x.new")
        made.write_bytes(content)
        made.replace(self.file.with_name("x.bin"))

    def leave(self) -> int:
        self.types(b"\x1d")
        return exit_code(self.child)

    @property
    def pid(self) -> int:
        record = read_last_run(self.paths.last_run)
        assert record is not None
        return record.pid


@pytest.fixture
def session(demo: MachinePaths, machine_file: Path) -> Iterator[Session]:
    made = Session(demo, machine_file)
    yield made
    if made.terminal >= 0:
        os.close(made.terminal)


def sources(session: Session, rule: str) -> Path:
    """A folder with a source, and `./make` in it, which does `rule` and notes that it ran."""
    folder = session.file.with_name("source")
    folder.mkdir()
    (folder / "guest.c").write_text("one")
    make = folder / "make"
    make.write_text(f'#!/bin/sh\ncd "{folder}" && echo run >>"{folder.parent}/runs" && {rule}\n')
    make.chmod(0o755)
    return folder


def runs(session: Session) -> int:
    return len(session.file.with_name("runs").read_text().split())


@pytest.mark.parametrize("in_place", [False, True])
def test_another_image_is_booted_and_the_console_stays(session, in_place) -> None:
    session.start()
    before = session.booted()

    if in_place:
        session.file.with_name("x.bin").write_bytes(b"\xeb\xfe")
    else:
        session.image(b"\xeb\xfe")

    assert b"booting it anew" in session.sees(b"anew")
    assert session.booted() != before
    session.types(b"hi\r\n")
    session.sees(b"got hi")
    assert session.leave() == 0
    await_cooked(session.terminal)
    assert look(session.paths).state == "running"


def test_a_change_of_the_machine_file_boots_it_anew(session) -> None:
    session.start()
    before = session.booted()

    session.file.write_text(session.file.read_text().replace("16M", "8M"))

    session.sees(b"anew")
    assert session.booted() != before
    session.leave()


def test_the_same_content_written_again_changes_nothing(session) -> None:
    session.start()
    before = session.booted()

    session.image(b"\xf4")
    session.file.write_text("# a remark\n" + session.file.read_text())
    session.image(b"\xf4")
    session.types(b"hi\n")
    session.sees(b"got hi")
    assert session.leave() == 0

    assert session.pid == before


def test_a_broken_machine_file_is_told_of_and_the_machine_stays(session) -> None:
    session.start()
    before = session.booted()
    good = session.file.read_text()

    session.file.write_text(good.replace('"16M"', '"lots"'))
    assert b"VM015" in session.sees(b"demo is left as it is")
    assert session.pid == before

    session.file.write_text(good.replace("16M", "8M"))
    session.sees(b"anew")
    assert session.booted() != before
    session.leave()


def test_a_missing_image_is_waited_for(session) -> None:
    session.start()
    before = session.booted()

    session.file.with_name("x.bin").unlink()
    session.sees(b"demo is left as it is")
    session.image(b"\xeb\xfe")

    session.sees(b"anew")
    assert session.booted() != before
    session.leave()


def test_a_machine_that_ended_waits_for_the_next_change(session) -> None:
    session.start()
    before = session.booted()
    session.types(b"fault\n")
    assert b"triple fault" in session.sees(b"waiting for a change")

    session.image(b"\xeb\xfe")

    session.sees(b"anew")
    assert session.booted() != before
    session.leave()


def test_an_interrupt_ends_the_wait(session) -> None:
    session.start()
    session.booted()
    session.types(b"off\n")
    session.sees(b"waiting for a change")

    os.kill(session.child, signal.SIGINT)

    assert exit_code(session.child) == 130


def test_a_change_of_a_source_rebuilds_and_boots_what_was_made(session) -> None:
    folder = sources(session, "cp guest.c ../x.bin")
    session.start("--rebuild", str(folder / "make"), "--sources", str(folder))
    before = session.booted()
    assert session.file.with_name("x.bin").read_text() == "one"

    (folder / "guest.c").write_text("two")

    assert b"rebuilding: " in session.sees(b"rebuilt in")
    session.booted()
    assert session.pid != before
    assert session.file.with_name("x.bin").read_text() == "two"
    session.leave()


def test_a_rebuild_that_fails_says_so_and_keeps_the_machine(session) -> None:
    folder = sources(session, "grep -v wrong guest.c >../x.new && mv ../x.new ../x.bin")
    session.start("--rebuild", str(folder / "make"), "--sources", str(folder))
    before = session.booted()

    (folder / "guest.c").write_text("wrong")
    assert b"failed with exit code 1" in session.sees(b"demo is left as it is")
    assert session.pid == before
    session.types(b"hi\n")
    session.sees(b"got hi")

    (folder / "guest.c").write_text("right")
    session.sees(b"anew")
    assert session.booted() != before
    session.leave()


def test_what_a_failed_rebuild_printed_last_is_shown(session) -> None:
    folder = sources(session, "{ grep one guest.c || { echo 'guest.c:1: oops'; exit 3; }; }")
    session.start("--rebuild", str(folder / "make"), "--sources", str(folder))
    session.booted()

    (folder / "guest.c").write_text("two")

    told = session.sees(b"demo is left as it is")
    assert b"failed with exit code 3" in told
    assert b"| guest.c:1: oops" in told
    session.leave()


def test_a_rebuild_that_fails_before_the_first_boot_starts_nothing(session) -> None:
    session.start("--rebuild", "false")

    assert b"nothing was started" in session.sees(b"started")
    assert exit_code(session.child) == 1
    assert not session.paths.last_run.exists()


def test_what_a_rebuild_writes_among_its_sources_does_not_rebuild_for_ever(session) -> None:
    folder = sources(session, "cp guest.c made.o && cp made.o ../x.bin")
    session.start("--rebuild", str(folder / "make"), "--sources", str(folder))
    session.booted()

    for number, text in enumerate(("two", "three"), 1):
        (folder / "guest.c").write_text(text)
        session.sees(b"anew")
        session.booted()
        assert runs(session) == 1 + number
    session.leave()


def test_sources_in_new_folders_count_and_hidden_ones_do_not(session) -> None:
    folder = sources(session, "cat guest.c */*.c >../x.new; mv ../x.new ../x.bin")
    session.start("--rebuild", str(folder / "make"), "--sources", str(folder))
    session.booted()

    (folder / ".git").mkdir()
    (folder / ".git" / "index").write_text("x")
    (folder / "guest.c~").write_text("x")
    (folder / "drivers").mkdir()
    (folder / "drivers" / "uart.c").write_text("more")

    session.sees(b"anew")
    session.booted()
    assert session.file.with_name("x.bin").read_text() == "onemore"
    session.leave()


@pytest.mark.parametrize(
    "options",
    [["--watch", "-d"], ["--rebuild", "make"], ["--watch", "--sources", "."]],
)
def test_options_that_do_not_go_together_are_refused(machine_file, state_home, options) -> None:
    assert main(["up", str(machine_file), *options]) == 2


def test_a_suspended_state_is_not_dropped_without_being_asked(demo, machine_file, capsys) -> None:
    main(["up", str(machine_file), "-d"])
    main(["suspend", "demo"])

    assert main(["up", str(machine_file), "--watch"]) == 4

    assert "--fresh drops" in capsys.readouterr().err
    assert look(demo).state == "suspended"
