# SPDX-License-Identifier: BSD-2-Clause
"""Standard input and output: terminals, pipes, files."""

from __future__ import annotations

import os
import termios
from pathlib import Path

import pytest

from manager.backends.stdio import StdioBackend


@pytest.fixture
def terminal():
    """A terminal: (the user's end, the program's end)."""
    user, program = os.openpty()
    yield user, program
    os.close(user)
    os.close(program)


class Pipes:
    """Standard input and output as a shell's pipes."""

    def __init__(self) -> None:
        ends = [*os.pipe(), *os.pipe()]
        modes = ["rb", "wb", "rb", "wb"]
        self.stdin, self.feed, self.result, self.stdout = (
            os.fdopen(end, mode, buffering=0) for end, mode in zip(ends, modes, strict=True)
        )


@pytest.fixture
def pipes():
    pipes = Pipes()
    yield pipes
    for end in (pipes.stdin, pipes.feed, pipes.result, pipes.stdout):
        end.close()


def test_a_terminal_is_raw_until_close_and_then_as_before(terminal, owner):
    _, program = terminal
    before = termios.tcgetattr(program)
    backend = StdioBackend(program, program)

    owner.adopt(backend)
    during = termios.tcgetattr(program)
    backend.close()

    assert not during[3] & (termios.ECHO | termios.ICANON | termios.ISIG)
    assert not during[1] & termios.OPOST
    assert termios.tcgetattr(program) == before


def test_control_c_goes_to_the_guest(terminal, owner):
    user, program = terminal
    owner.adopt(StdioBackend(program, program))

    os.write(user, b"\x03")

    owner.until(lambda: owner.received == b"\x03")


def test_escape_is_the_users_and_not_the_guests(terminal, owner):
    user, program = terminal
    backend = StdioBackend(program, program)
    escapes = []
    backend.on_escape = lambda: escapes.append("Ctrl-]")
    owner.adopt(backend)

    os.write(user, b"a\x1db")

    owner.until(lambda: owner.received == b"ab")
    assert escapes == ["Ctrl-]"]


def test_the_escape_byte_of_a_pipe_is_data(pipes, owner):
    backend = StdioBackend(pipes.stdin.fileno(), pipes.stdout.fileno())
    backend.on_escape = lambda: pytest.fail("no terminal, no escape")
    owner.adopt(backend)

    pipes.feed.write(b"\x1d")

    owner.until(lambda: owner.received == b"\x1d")


def test_a_shared_descriptor_stays_blocking(terminal, owner):
    _, program = terminal
    owner.adopt(StdioBackend(program, program))

    assert os.get_blocking(program)


def test_end_of_input_ends_input_only(pipes, owner):
    backend = StdioBackend(pipes.stdin.fileno(), pipes.stdout.fileno())
    owner.adopt(backend)

    pipes.feed.write(b"last words")
    pipes.feed.close()
    owner.until(lambda: bool(owner.received))
    owner.settle()
    backend.write(b"still here")

    assert owner.received == b"last words"
    assert pipes.result.read(100) == b"still here"


def test_input_from_a_file_arrives_whole(pipes, owner, tmp_path: Path):
    script = tmp_path / "script"
    script.write_bytes(b"h\r" * 5000)
    stdin = os.open(script, os.O_RDONLY)

    owner.adopt(StdioBackend(stdin, pipes.stdout.fileno()))

    assert owner.received == b"h\r" * 5000
    os.close(stdin)


def test_output_to_a_file_keeps_its_position(pipes, owner, tmp_path: Path):
    with (tmp_path / "log").open("wb", buffering=0) as log:
        log.write(b"before ")
        backend = StdioBackend(pipes.stdin.fileno(), log.fileno())
        owner.adopt(backend)
        backend.write(b"guest ")
        log.write(b"after")

    assert (tmp_path / "log").read_bytes() == b"before guest after"


def test_a_slow_reader_gets_everything_in_order(pipes, owner):
    backend = StdioBackend(pipes.stdin.fileno(), pipes.stdout.fileno())
    owner.adopt(backend)
    sent = bytes(range(256)) * 1024
    backend.write(sent)
    assert backend.backlog > 0

    read = bytearray()

    def reader_has_it_all() -> bool:
        read.extend(pipes.result.read(65536))
        return len(read) == len(sent)

    owner.until(reader_has_it_all)
    assert read == sent
    assert backend.backlog == 0


def test_what_is_queued_at_close_is_still_printed(pipes, owner):
    backend = StdioBackend(pipes.stdin.fileno(), pipes.stdout.fileno())
    backend.write(b"Halted.\r\n")

    owner.adopt(backend)
    backend.close()

    assert pipes.result.read(100) == b"Halted.\r\n"


def test_a_reader_that_went_away_does_not_end_the_machine(pipes, owner):
    backend = StdioBackend(pipes.stdin.fileno(), pipes.stdout.fileno())
    owner.adopt(backend)
    pipes.result.close()

    backend.write(b"x" * 100)
    backend.write(b"y")
    pipes.feed.write(b"input")

    owner.until(lambda: owner.received == b"input")
    assert backend.backlog == 0


def test_held_input_stays_in_the_pipe(pipes, owner):
    backend = StdioBackend(pipes.stdin.fileno(), pipes.stdout.fileno())
    owner.adopt(backend)
    backend.hold(True)
    pipes.feed.write(b"later")
    owner.settle()
    assert owner.received == b""

    backend.hold(False)
    owner.until(lambda: owner.received == b"later")
