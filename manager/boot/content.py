# SPDX-License-Identifier: BSD-2-Clause
"""The content of files that a machine boots from."""

from __future__ import annotations

import os
from pathlib import Path

from manager import files
from manager.boot.errors import BootImageError
from manager.bus.memory import Memory


def read(path: Path, limit: int) -> bytes:
    """A regular file of at most `limit` bytes. Raises BootImageError."""
    try:
        return files.read(path, limit)
    except OSError as error:
        raise BootImageError(f"{path}: {error.strerror}") from error


def start(path: Path, size: int) -> tuple[bytes, int]:
    """The first bytes of a regular file, at most `size` of them, and its size.

    Raises BootImageError.
    """
    try:
        with os.fdopen(files.open_regular(path), "rb") as file:
            return file.read(size), os.fstat(file.fileno()).st_size
    except OSError as error:
        raise BootImageError(f"{path}: {error.strerror}") from error


def size_of(path: Path, key: str) -> int:
    """The size of a regular file, which `key` of `[boot]` names. Raises BootImageError."""
    try:
        return files.look(path).st_size
    except OSError as error:
        raise BootImageError(f"{path}: {error.strerror}", key=key) from error


def most(memory: Memory) -> int:
    """Bytes of a file for RAM that are read at most: more than fit, so that it can be told so."""
    return min(files.PAYLOAD, 2 * sum(region.length for region in memory.regions))
