# SPDX-License-Identifier: BSD-2-Clause
"""A terminal in raw mode, restored even if this process is killed."""

from __future__ import annotations

import os
import signal
import termios
import tty
from contextlib import suppress
from types import TracebackType
from typing import Any, NoReturn

HIGHEST = 4096
"""Descriptors below this one are closed in the process that waits."""
STOPS = 16
"""How often a process in the background stops before it takes the terminal all the same; one
without a job-control shell cannot stop at all."""


class RawTerminal:
    """While entered, the terminal at `descriptor` passes every key on as it is typed.

    A small process waits beside this one and restores the terminal if this one is killed. What is
    no terminal is left alone.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._saved: list[Any] | None = None
        self._leash = -1

    @property
    def is_raw(self) -> bool:
        """Whether the terminal is in raw mode now."""
        return self._saved is not None

    def enter(self) -> None:
        """Go into raw mode, if this is a terminal."""
        if self._saved is None and os.isatty(self._descriptor):
            _await_foreground(self._descriptor)
            saved = termios.tcgetattr(self._descriptor)
            self._leash = _guard(self._descriptor, saved)
            self._saved = saved
            tty.setraw(self._descriptor, termios.TCSANOW)

    def leave(self) -> None:
        """Put the terminal back as it was; its answers to the guest are not the shell's to read."""
        if self._saved is None:
            return
        with suppress(termios.error):  # the terminal may be gone
            termios.tcsetattr(self._descriptor, termios.TCSAFLUSH, self._saved)
        self._saved = None
        with suppress(OSError):
            os.write(self._leash, b".")
        os.close(self._leash)

    def __enter__(self) -> RawTerminal:
        self.enter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.leave()


def _await_foreground(terminal: int) -> None:
    """Stop, as the terminal would have us do, until the shell's `fg`.

    A shell edits its command line in a raw mode of its own, which is not the one to go back to.
    """
    for _ in range(STOPS):
        try:
            if os.tcgetpgrp(terminal) == os.getpgrp():
                return
        except OSError:  # not the terminal that controls this process
            return
        os.kill(0, signal.SIGTTOU)


def _guard(terminal: int, saved: list[Any]) -> int:
    """Fork the process that waits; returns what it waits for: a byte says that all is well."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(reader)
        os.waitpid(child, 0)
        return writer
    try:
        # Forked twice: init waits for it. A session of its own keeps the terminal's
        # signals away and lets it set a terminal that is not its own.
        os.setsid()
        if os.fork() == 0:
            _wait_and_restore(reader, terminal, saved)
    finally:
        os._exit(0)


def _wait_and_restore(reader: int, terminal: int, saved: list[Any]) -> NoReturn:
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.dup2(terminal, 1)
        os.dup2(reader, 0)
        os.closerange(2, HIGHEST)
        if not os.read(0, 1):
            termios.tcsetattr(1, termios.TCSANOW, saved)
            os.write(1, b"\x1b[0m\r\n")
    finally:
        os._exit(0)
