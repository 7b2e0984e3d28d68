# SPDX-License-Identifier: BSD-2-Clause
"""What the user of a console sees: the port's bytes on standard output, messages beside them."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from io import FileIO
from pathlib import Path
from typing import IO

from manager import files
from manager.backends.terminal import RawTerminal
from manager.text.shown import shown_lines, unfiltered
from manager.text.terminal import TerminalText, without_questions


class Screen:
    """Messages go to standard error; standard output has the port's bytes and nothing else."""

    def __init__(self, terminal: RawTerminal, *, raw: bool = False) -> None:
        """With `raw`, a terminal gets every byte, even when its answers would be the shell's."""
        self._terminal = terminal
        self._raw = raw
        looks_only = os.isatty(1) and not os.isatty(0)
        self._text = TerminalText() if looks_only and not raw else None
        self._log: IO[bytes] | None = None

    def print_again(self, data: bytes) -> bool:
        """Show what the port sent before: what it asked is answered, or too old to be."""
        asks = os.isatty(1) and not self._raw
        return self.print(without_questions().add(data) if asks else data)

    def print(self, data: bytes) -> bool:
        """Show what the port sent; false when standard output has no reader any more."""
        if self._text is not None:
            data = self._text.add(data)
        try:
            while data:
                written = os.write(1, data)
                if self._log is not None:
                    self._log.write(data[:written])
                data = data[written:]
        except OSError:
            return False
        return True

    def say(self, text: str) -> None:
        """A message, on lines of its own."""
        text = shown_lines(text)
        end = "\r\n" if self._terminal.is_raw else "\n"
        start = end if self._terminal.is_raw else ""
        self.tell(start + "".join(f"vmmgr: {line}{end}" for line in text.split("\n")))

    def tell(self, text: str) -> None:
        """The same, as it is."""
        with contextlib.suppress(OSError):  # the terminal may be gone
            unfiltered(sys.stderr).write(text)
            sys.stderr.flush()

    def toggle_log(self, name: str, port: str) -> None:
        """Begin to log what the port sends to a file in the working directory, or end that."""
        if self._log is not None:
            self._log.close()
            self.say(f"log ended: {self._log.name}")
            self._log = None
            return
        path = Path(time.strftime(f"{name}-{port}-%Y%m%d-%H%M%S.log"))
        try:
            self._log = FileIO(path, "ab", opener=_private)
            self.say(f"logging to {path}; Enter ~l ends it")
        except OSError as error:
            self.say(f"{path}: cannot write: {error.strerror}")

    def leave(self, *, more_follows: bool) -> None:
        """The console is over; a message may follow."""
        if self._text is not None:
            with contextlib.suppress(OSError):
                os.write(1, self._text.end())
        if self._terminal.is_raw:
            self.tell("\x1b[0m")  # the guest may have left a colour
            if more_follows:
                self.tell("\r\n")

    def close(self) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close()


def _private(path: str, _flags: int) -> int:
    return files.open_output(Path(path), os.O_APPEND, files.PRIVATE)
