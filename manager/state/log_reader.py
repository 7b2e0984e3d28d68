# SPDX-License-Identifier: BSD-2-Clause
"""Reading a port's log while it is being written, over the beginnings of new pieces too."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path
from typing import TypeVar

from manager import files
from manager.errors import HostError
from manager.state.port_log import PIECES, piece, pieces

T = TypeVar("T")

BLOCK = 65536
"""Bytes that are read at a time."""
LARGEST = 4 << 30
"""Bytes; no piece of a log comes near it, whatever $VMMGR_LOG_SIZE was."""


class LogReader:
    """Begins with the oldest piece of a log. Raises HostError, here and in its methods."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = self._guarded(self._oldest)

    def read(self) -> bytes:
        """Some of what comes next; nothing when there is no more yet."""
        return self._guarded(self._read)

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

    def _guarded(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except OSError as error:
            raise HostError(f"{self._path}: cannot read: {error.strerror}") from None

    def _read(self) -> bytes:
        while not (data := self._file.read(BLOCK)):
            following = self._following()
            if following is None:
                return b""
            if data := self._file.read(BLOCK):  # added before the look at its name
                following.close()
                return data
            self._file.close()
            self._file = following
        return data

    def _following(self) -> BufferedReader | None:
        """The piece after the open one; None when there is none yet.

        Names change while this looks: a piece is the right one if the open one's did not.
        """
        while number := self._number():
            try:
                if number > PIECES:  # dropped, or put aside by a boot
                    return self._oldest()
                following = _opened(piece(self._path, number - 1))
            except FileNotFoundError:
                return None
            if self._number() == number:
                return following
            following.close()
        return None

    def _oldest(self) -> BufferedReader:
        while True:
            path = next(iter(pieces(self._path)), self._path)
            try:
                return _opened(path)
            except FileNotFoundError:
                if path == self._path:
                    raise

    def _number(self) -> int:
        """Which piece the open file is by now: 0 is being written, over PIECES it is none."""
        is_open = os.fstat(self._file.fileno())
        for number in range(PIECES + 1):
            try:
                candidate = piece(self._path, number).stat()
            except FileNotFoundError:
                continue
            if os.path.samestat(candidate, is_open):
                return number
        return PIECES + 1


def _opened(path: Path) -> BufferedReader:
    file = os.fdopen(files.open_own(path), "rb")
    size = os.fstat(file.fileno()).st_size
    if size > LARGEST:
        file.close()
        raise HostError(f"{path}: {size} bytes are no log of vmmgr's", help="remove the file")
    return file
