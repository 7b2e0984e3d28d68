# SPDX-License-Identifier: BSD-2-Clause
"""One line of progress of long work: on a terminal, and only when it takes a while."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from manager.text.shown import unfiltered

PATIENCE = 0.5
"""Seconds before the line appears."""
INTERVAL = 0.1
"""Seconds between two looks of it."""
_ERASE = "\r\x1b[K"


class Progress:
    """While entered, `update` shows the line on a terminal and does nothing in a pipe.

    >>> with Progress("verifying") as progress:
    ...     progress.update(10, 100)
    """

    def __init__(
        self,
        what: str,
        stream: TextIO | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = what
        self._stream = unfiltered(stream if stream is not None else sys.stderr)
        self._shows = self._stream.isatty()
        self._now = now
        self._next = now() + PATIENCE
        self._shown = False
        self._done = 0

    def add(self, count: int) -> None:
        """So many bytes more are done."""
        self._done += count
        self.update(self._done)

    def update(self, done: int, total: int | None = None) -> None:
        """So many bytes are done, of so many if that is known."""
        if not self._shows or (now := self._now()) < self._next:
            return
        self._next = now + INTERVAL
        share = f"{100 * done // total:3} %  " if total else ""
        self._stream.write(f"{_ERASE}{self._what}: {share}{done / (1 << 20):.1f} MiB")
        self._stream.flush()
        self._shown = True

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown:
            self._stream.write(_ERASE)
            self._stream.flush()
