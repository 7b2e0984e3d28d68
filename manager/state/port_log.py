# SPDX-License-Identifier: BSD-2-Clause
"""The log of one serial port: every byte it sent, in files of a limited size.

`lpc.com1.log` is written to; full pieces become `lpc.com1.log.1` (the newest) and so on. The boot
before is kept as `lpc.com1.old.log`.
"""

from __future__ import annotations

import os
from io import FileIO
from pathlib import Path

from manager import files
from manager.errors import HostError

PIECE_SIZE = 16 << 20
"""Bytes after which a new piece is begun; $VMMGR_LOG_SIZE overrides it."""
PIECES = 4
"""Full pieces that are kept besides the one being written."""


class PortLog:
    """Appends to the newest piece. What the host cannot write is counted in `lost`, not raised."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fault: str | None = None
        """Why the log misses output, if it does."""
        self.lost = 0
        """Bytes that could not be written."""
        self._limit = _piece_size()
        try:
            self._file = _appending(path)
        except OSError as error:
            raise HostError(
                f"{path}: cannot open the log: {error.strerror}", help="remove what is there"
            ) from None
        self._size = self._file.tell()

    def write(self, data: bytes) -> None:
        """Append; a full disk must not stop the machine, so nothing is raised."""
        left = memoryview(data)
        try:
            if self._size >= self._limit:
                self._begin_piece()
            while left:
                written = self._file.write(left) or 0
                self._size += written
                left = left[written:]
        except OSError as error:
            self.fault = error.strerror
            self.lost += len(left)
        else:
            self.fault = None

    def drop(self, count: int) -> None:
        """Take back the newest `count` bytes, as far as this piece has them."""
        try:
            self._size = max(0, self._size - count)
            self._file.truncate(self._size)
        except OSError as error:
            self.fault = error.strerror

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _begin_piece(self) -> None:
        shift(self.path)
        self._file.close()
        self._file = _appending(self.path)
        self._size = self._file.tell()


def _appending(path: Path) -> FileIO:
    descriptor = files.open_own(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    file = FileIO(descriptor, "ab")
    file.seek(0, os.SEEK_END)
    return file


def shift(path: Path) -> None:
    """Make room for a new piece at `path`; the oldest one goes. Raises OSError."""
    for number in range(PIECES, 1, -1):
        older = piece(path, number - 1)
        if older.exists():
            older.replace(piece(path, number))
    path.replace(piece(path, 1))


def piece(path: Path, number: int) -> Path:
    """The file of a piece: 0 is the one being written, higher numbers are older."""
    return path.with_name(f"{path.name}.{number}") if number else path


def pieces(path: Path) -> list[Path]:
    """The pieces that exist, oldest first."""
    candidates = (piece(path, number) for number in range(PIECES, -1, -1))
    return [candidate for candidate in candidates if candidate.exists()]


def old(path: Path) -> Path:
    """Where the log of the boot before is."""
    return path.with_name(f"{path.stem}.old{path.suffix}")


def set_aside(path: Path) -> None:
    """Keep the log as that of the boot before. Raises HostError."""
    try:
        for number in range(PIECES + 1):
            source, target = piece(path, number), piece(old(path), number)
            if source.exists():
                source.replace(target)
            else:
                target.unlink(missing_ok=True)
    except OSError as error:
        raise HostError(f"{path}: cannot set the old log aside: {error.strerror}") from None


def tail(path: Path, size: int) -> bytes:
    """The last `size` bytes of the log at most; empty when it cannot be read."""
    kept = b""
    try:
        for source in reversed(pieces(path)):
            kept = files.tail(source, size - len(kept)) + kept
            if len(kept) >= size:
                break
    except OSError:
        pass
    return kept


def _piece_size() -> int:
    given = os.environ.get("VMMGR_LOG_SIZE", "")
    return max(int(given), 4096) if given.isdecimal() else PIECE_SIZE
