# SPDX-License-Identifier: BSD-2-Clause
"""What the user of a console sees: the port's bytes on standard output, messages beside them."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import IO

from manager.backends.terminal import RawTerminal
from manager.text.shown import shown_lines, unfiltered


class Screen:
    """Messages go to standard error; standard output has the port's bytes and nothing else."""

    def __init__(self, terminal: RawTerminal) -> None:
        self._terminal = terminal
        self._log: IO[bytes] | None = None

    def print(self, data: bytes) -> bool:
        """Show what the port sent; false when standard output has no reader any more."""
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
            self._log = path.open("ab", buffering=0)
            self.say(f"logging to {path}; Enter ~l ends it")
        except OSError as error:
            self.say(f"{path}: cannot write: {error.strerror}")

    def leave(self, *, more_follows: bool) -> None:
        """The console is over; a message may follow."""
        if self._terminal.is_raw:
            self.tell("\x1b[0m")  # the guest may have left a colour
            if more_follows:
                self.tell("\r\n")

    def close(self) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close()
