# SPDX-License-Identifier: BSD-2-Clause
"""The lock that makes a process the owner of a machine."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

from manager import files
from manager.errors import HostError

_PATIENCE = 0.2
"""Seconds for which a taken lock is tried again: a probe holds it for an instant."""


class MachineLock:
    """Held by the owner for as long as it lives; the kernel drops it when the process dies."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> MachineLock | None:
        """Take the lock; None when another process has it."""
        give_up = time.monotonic() + _PATIENCE
        descriptor = _open(path)
        while True:
            if _try(descriptor, fcntl.LOCK_EX):
                if _is_at(descriptor, path):
                    return cls(descriptor)
                # The machine was removed while this process waited; its next self has a new lock.
                os.close(descriptor)
                descriptor = _open(path)
            elif time.monotonic() > give_up:
                os.close(descriptor)
                return None
            else:
                time.sleep(0.01)

    def release(self) -> None:
        """Let go of the machine."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def is_locked(path: Path) -> bool:
    """Whether some process owns the machine whose lock file is `path`."""
    try:
        descriptor = files.open_own(path)
    except OSError:
        return False
    try:
        return not _try(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        return files.open_own(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise HostError(
            f"{path}: cannot open the lock: {error.strerror}",
            help="remove what is there, unless the machine runs",
        ) from None


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise HostError(f"cannot lock the machine: {error.strerror}") from None
    return True
