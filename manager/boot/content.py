# SPDX-License-Identifier: BSD-2-Clause
"""The content of files that a machine boots from."""

from __future__ import annotations

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


def most(memory: Memory) -> int:
    """The bytes that a file can have at most that is loaded into RAM."""
    return min(files.PAYLOAD, sum(region.length for region in memory.regions))
