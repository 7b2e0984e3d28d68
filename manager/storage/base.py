# SPDX-License-Identifier: BSD-2-Clause
"""What lies under a disk's layers: an image that is only read, or nothing but zeros."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Protocol

from manager import files
from manager.storage.absent import unopened

BLOCK = 4096
"""Bytes of a block: the unit in which layers keep what was written."""
SECTOR = 512
"""Bytes of a sector: a disk's size is a whole number of them."""


class Base(Protocol):
    """Content that never changes while a machine runs."""

    @property
    def size(self) -> int:
        """Bytes; a multiple of 512."""

    @property
    def digest(self) -> bytes:
        """A hash that stands for the content; empty for zeros, or when it is not known."""

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes at `offset`, all inside. Raises OSError."""

    def is_zero(self, offset: int, length: int) -> bool:
        """Whether the range is known to be zeros without reading it; False when in doubt."""

    def close(self) -> None:
        """Let go of the host's file."""


class Zeros:
    """The base of a disk that begins empty."""

    __slots__ = ("digest", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.digest = b""

    def read(self, offset: int, length: int) -> bytes:
        """Zeros."""
        return bytes(length)

    def is_zero(self, offset: int, length: int) -> bool:
        """It always is."""
        return True

    def close(self) -> None:
        """There is nothing to let go of."""


class RawImage:
    """A raw image file, opened for reading only."""

    __slots__ = ("_fd", "digest", "path", "size")

    def __init__(self, path: Path, digest: bytes = b"") -> None:
        """`digest` is the hash of its content, if known. Raises HostError."""
        self.path = path
        self.digest = digest
        try:
            self._fd = files.open_regular(path)
            self.size = os.lseek(self._fd, 0, os.SEEK_END)
        except OSError as error:
            raise unopened(path, error) from error

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes at `offset`. Raises OSError, EIO if the file has become shorter."""
        data = os.pread(self._fd, length, offset)
        while len(data) < length:
            part = os.pread(self._fd, length - len(data), offset + len(data))
            if not part:
                raise OSError(errno.EIO, "the image has become shorter", str(self.path))
            data += part
        return data

    def is_zero(self, offset: int, length: int) -> bool:
        """Whether the file has a hole there."""
        try:
            return os.lseek(self._fd, offset, os.SEEK_DATA) >= offset + length
        except OSError as error:
            return error.errno == errno.ENXIO

    def fileno(self) -> int:
        """Its descriptor."""
        return self._fd

    def close(self) -> None:
        """Close the file; once, however often it is asked for."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
