# SPDX-License-Identifier: BSD-2-Clause
"""Standard output for what a guest printed."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from manager.text.terminal import TerminalText


def add_raw(parser: argparse.ArgumentParser) -> None:
    """Add `--raw`."""
    parser.add_argument(
        "--raw",
        action="store_true",
        help="give a terminal all that the guest printed, byte by byte; without it only text and "
        "colours, so that a guest cannot change the terminal's modes or have it answer questions",
    )


class GuestOutput:
    """Byte by byte into files and pipes; text and colours alone onto a terminal, unless `raw`."""

    def __init__(self, *, raw: bool) -> None:
        self._text: TerminalText | None = None
        if sys.stdout.isatty() and not raw:
            from manager.text.terminal import TerminalText

            self._text = TerminalText()

    def write(self, data: bytes) -> None:
        """Print. Raises OSError."""
        sys.stdout.buffer.write(self._text.add(data) if self._text is not None else data)
        sys.stdout.buffer.flush()

    def close(self) -> None:
        """Put the terminal's colours back. Raises OSError."""
        if self._text is not None and (end := self._text.end()):
            sys.stdout.buffer.write(end)
            sys.stdout.buffer.flush()
