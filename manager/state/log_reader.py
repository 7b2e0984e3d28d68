# SPDX-License-Identifier: BSD-2-Clause
"""Reading a port's log while it is being written, over the beginnings of new pieces too."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

from manager import files
from manager.errors import HostError
from manager.state.port_log import PIECES, piece, pieces

BLOCK = 65536
"""Bytes that are read at a time."""


class LogReader:
    """Begins with the oldest piece of a log. Raises HostError, here and in its methods."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open(next(iter(pieces(path)), path))

    def _open(self, path: Path) -> None:
        try:
            self._file = os.fdopen(files.open_own(path), "rb")
        except OSError as error:
            raise HostError(f"{path}: cannot read: {error.strerror}") from None

    def read(self) -> bytes:
        """Some of what comes next; nothing when there is no more yet."""
        try:
            while not (data := self._file.read(BLOCK)):
                number = self._number()
                if not number:
                    return b""
                if data := self._file.read(BLOCK):  # added between the look and the change of name
                    return data
                self._file.close()
                self._open(piece(self._path, number - 1))
        except OSError as error:
            raise HostError(f"{self._path}: cannot read: {error.strerror}") from None
        return data

    def last(self, count: int) -> bytes:
        """The last lines of all that is there."""
        lines: deque[bytes] = deque(maxlen=count)
        parts: list[bytes] = []
        while data := self.read():
            first, *others = data.split(b"\n")
            parts.append(first)
            for part in others:
                lines.append(b"".join(parts) + b"\n")
                parts = [part]
        lines.extend(filter(None, [b"".join(parts)]))
        return b"".join(lines)

    def close(self) -> None:
        """Read no more."""
        self._file.close()

    def _number(self) -> int:
        """Which piece the open file is by now; 0 is the one being written."""
        is_open = os.fstat(self._file.fileno())
        for number in range(PIECES + 1):
            candidate = piece(self._path, number)
            if candidate.exists() and os.path.samestat(candidate.stat(), is_open):
                return number
        # It is no piece any more: a boot put it aside, so the log is read from its beginning.
        return 1 if self._path.exists() else 0
