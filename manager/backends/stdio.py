# SPDX-License-Identifier: BSD-2-Clause
"""The terminal or the pipes that vmmgr was started with."""

from __future__ import annotations

import atexit
import os
import selectors
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from manager.backends.backend import Receive
from manager.backends.outbox import Outbox
from manager.backends.terminal import RawTerminal
from manager.backends.watch import READ, WRITE, Watch

if TYPE_CHECKING:
    from manager.text.terminal import TerminalText

ESCAPE = 0x1D
"""Ctrl-], which leaves the guest's console when stdin is a terminal."""

LIMIT = 16 << 20
"""Bytes of output kept for a reader that is slow."""

PATIENCE = 2.0
"""Seconds that the last output gets to leave when the machine ends."""


class StdioBackend:
    """Standard input and output. A terminal is in raw mode from `attach` to `close`.

    The end of standard input ends the input, not the machine; a reader that went away ends the
    output, not the machine. `on_escape` is called when Ctrl-] was typed at a terminal. A terminal
    that is looked at only, as its answers could not reach the guest, gets text and colours alone,
    unless it is to be `raw`.
    """

    connected: bool | None = None

    def __init__(
        self,
        stdin: int = 0,
        stdout: int = 1,
        on_escape: Callable[[], None] | None = None,
        *,
        raw: bool = False,
    ) -> None:
        self.on_escape = on_escape
        self._text: TerminalText | None = None
        if os.isatty(stdout) and not os.isatty(stdin) and not raw:
            from manager.text.terminal import TerminalText

            self._text = TerminalText()
        self._stdin = stdin
        self._stdout = stdout
        self._outbox = Outbox(LIMIT)
        self._terminal = RawTerminal(stdin)
        self._input: Watch | None = None
        self._output: Watch | None = None
        self._writer = -1
        self._blocking = True
        self._receive: Receive = _drop
        self._reading = True
        self._writing = True
        self._lost = 0
        self.fault = ""
        """Why standard output is incomplete."""

    @property
    def backlog(self) -> int:
        """Bytes that the terminal or pipe has not taken yet."""
        return len(self._outbox)

    @property
    def dropped(self) -> int:
        """Bytes that standard output was too slow for, or did not take."""
        return self._outbox.dropped + self._lost

    def attach(self, selector: selectors.BaseSelector, receive: Receive) -> None:
        """Take the terminal over."""
        self._receive = receive
        self._blocking = os.get_blocking(self._stdout)
        self._writer = _writer_for(self._stdout)
        self._output = Watch(selector, self._writer, self._write_ready)
        self._terminal.enter()
        if self._terminal.is_raw:
            atexit.register(self.close)  # the user gets a usable shell back in any case
        self._input = Watch(selector, self._stdin, self._read_ready)
        try:
            self._input.want(READ)
        except PermissionError:  # a file or /dev/null: it is all there already
            self._input = None
            while self._reading:
                self._read_ready(READ)
        self._flush()

    def write(self, data: bytes) -> None:
        """Print."""
        if self._text is not None:
            data = self._text.add(data)
        if self._writing:
            self._outbox.put(data)
            self._flush()
        else:
            self._lost += len(data)

    def hold(self, held: bool) -> None:
        """Leave what is typed in the terminal while `held`."""
        if self._input is not None and self._reading:
            self._input.want(0 if held else READ)

    def poll(self) -> None:
        """Nothing is ever due."""

    def describe(self) -> str:
        """What it is."""
        return "stdio"

    def close(self) -> None:
        """Print the rest, put the terminal back."""
        for watch in (self._input, self._output):
            if watch is not None:
                watch.want(0)
        self._input = self._output = None
        if self._writer >= 0:
            if self._text is not None and self._writing:
                self._outbox.put(self._text.end())
            self._give_up(self._outbox.drain(self._writer, PATIENCE))
            os.set_blocking(self._writer, self._blocking)
            os.close(self._writer)
            self._writer = -1
            self._writing = False
        if self._terminal.is_raw:
            self._terminal.leave()
            atexit.unregister(self.close)

    def _read_ready(self, _events: int) -> None:
        try:
            data = os.read(self._stdin, 4096)
        except BlockingIOError:
            return
        except OSError:  # the terminal was closed
            data = b""
        if not data:
            self._reading = False
            if self._input is not None:
                self._input.want(0)
            return
        if self._terminal.is_raw and self.on_escape is not None and ESCAPE in data:
            self.on_escape()
            data = data.replace(bytes([ESCAPE]), b"")
        if data:
            self._receive(data)

    def _write_ready(self, _events: int) -> None:
        self._flush()

    def _flush(self) -> None:
        if self._writer < 0:
            return
        try:
            self._outbox.flush(self._writer)
        except OSError as error:  # a closed pipe, a full disk; the log goes on
            self._writing = False
            self._give_up(str(error.strerror))
        if self._output is not None:
            self._output.want(WRITE if self._outbox else 0)

    def _give_up(self, reason: str) -> None:
        """Count what cannot be written any more."""
        self.fault = self.fault or reason
        self._lost += len(self._outbox.take_all())


def _drop(_data: bytes) -> None:
    """Input before `attach` does not exist."""


def _writer_for(stdout: int) -> int:
    """A descriptor of our own for standard output that does not block.

    Terminals and pipes are opened anew, so that the shell's descriptor, and our own stderr, which
    may share it, stay as they are. A file must keep its position, which `open` would not.
    """
    mode = os.fstat(stdout).st_mode
    if stat.S_ISCHR(mode) or stat.S_ISFIFO(mode):
        with suppress(OSError):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            return os.open(f"/dev/fd/{stdout}", flags)
    writer = os.dup(stdout)
    if not stat.S_ISREG(mode):
        os.set_blocking(writer, False)
    return writer
