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


def read_until(terminal: int, wanted: bytes, patience: float = 10.0) -> bytes:
    """What the terminal shows, up to and with `wanted`; fails after `patience` seconds."""
    seen = b""
    give_up = time.monotonic() + patience
    while wanted not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0, give_up - time.monotonic()))
        assert ready, f"{wanted!r} did not come; this did: {seen[-2000:]!r}"
        seen += os.read(terminal, 4096)
    return seen


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
