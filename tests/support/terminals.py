# SPDX-License-Identifier: BSD-2-Clause
"""Commands on terminals of their own, in forked processes of the test."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import termios
import time

from manager.cli.main import main

ICANON_AND_ECHO = termios.ICANON | termios.ECHO


def foreground(*argv: str) -> tuple[int, int]:
    """Start a command on a terminal of its own: its pid and the terminal."""
    child, terminal = pty.fork()
    if not child:
        status = 99
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
        try:
            status = main(argv)
        finally:
            os._exit(status)
    return child, terminal


def under_a_shell(*argv: str) -> tuple[int, int, int]:
    """As `foreground`, below a process that stands for the user's shell and outlives the command.

    Returns the shell's pid, the terminal, and the command's pid.
    """
    reader, writer = os.pipe()
    shell, terminal = pty.fork()
    if not shell:
        command = os.fork()
        if command:
            os.write(writer, b"%d\n" % command)
            os.waitpid(command, 0)
            signal.pause()
        status = 99
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
        try:
            status = main(argv)
        finally:
            os._exit(status)
    command = int(os.read(reader, 20))
    os.close(reader)
    os.close(writer)
    return shell, terminal, command


def read_until(terminal: int, wanted: bytes, patience: float = 10.0) -> bytes:
    """What the terminal shows, up to and with `wanted`; fails after `patience` seconds."""
    seen = read_some(terminal, patience)
    give_up = time.monotonic() + patience
    while wanted not in seen:
        try:
            seen += read_some(terminal, give_up - time.monotonic())
        except TimeoutError:
            raise AssertionError(f"{wanted!r} did not come; this did: {seen[-2000:]!r}") from None
    return seen


def read_some(terminal: int, patience: float = 10.0) -> bytes:
    """What the terminal shows next. Raises TimeoutError when that is nothing."""
    if not select.select([terminal], [], [], max(0.0, patience))[0]:
        raise TimeoutError
    return os.read(terminal, 4096)


def exit_code(child: int, patience: float = 10.0) -> int:
    """The exit code of a child that is about to end; one that is not is killed and fails."""
    give_up = time.monotonic() + patience
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > give_up:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise AssertionError("the command does not end")
        time.sleep(0.005)


def is_cooked(terminal: int) -> bool:
    """Whether a shell could go on at the terminal: lines and echo, as it was."""
    flags = termios.tcgetattr(terminal)[3]
    return flags & ICANON_AND_ECHO == ICANON_AND_ECHO


def await_cooked(terminal: int, patience: float = 5.0) -> None:
    """Wait until the terminal is as it was; fails after `patience` seconds."""
    give_up = time.monotonic() + patience
    while not is_cooked(terminal):
        assert time.monotonic() < give_up, "the terminal stays in raw mode"
        time.sleep(0.01)
