# SPDX-License-Identifier: BSD-2-Clause
"""Frozen folders in the cache of images that can go.

Who reads an image holds a shared lock on it, who writes one an exclusive lock on its unfinished
file. So what can be locked is in nobody's hands, and what has an unfinished name then is what a
process left that was killed.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Container
from pathlib import Path

SUFFIX = ".share"


def hold(fd: int) -> bool:
    """Say that an image is being read; False when it has been removed meanwhile."""
    fcntl.flock(fd, fcntl.LOCK_SH)
    return os.fstat(fd).st_nlink > 0


def claim(fd: int) -> None:
    """Say that an unfinished image is being written."""
    fcntl.flock(fd, fcntl.LOCK_EX)


def unused(cache: Path, needed: Container[bytes]) -> dict[Path, int]:
    """Images that no digest in `needed` stands for and no process has open: bytes on disk of each.

    With them the unfinished ones. Raises OSError.
    """
    found = {}
    for path in sorted(cache.glob(f"*{SUFFIX}")) + sorted(cache.glob(f".*{SUFFIX}.*")):
        is_unfinished = path.name.startswith(".")
        if not is_unfinished and _digest(path) in needed:
            continue
        if _lock(path, remove=False):
            found[path] = path.stat().st_blocks * 512
    return found


def remove(path: Path) -> bool:
    """Remove an image unless it has come into use. Raises OSError."""
    return _lock(path, remove=True)


def _lock(path: Path, *, remove: bool) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if remove:
            path.unlink()
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def _digest(path: Path) -> bytes:
    try:
        return bytes.fromhex(path.name.removesuffix(SUFFIX))
    except ValueError:
        return b""
