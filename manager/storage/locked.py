# SPDX-License-Identifier: BSD-2-Clause
"""Locks on image files: any number of machines read one, or a single one writes it.

They are those of flock(2) on the image itself: the kernel drops them when a process dies, and other
names of the same file are locked as well.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from manager.errors import HostError, WrongStateError
from manager.storage.absent import unopened

_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


class ImageLock:
    """Held until it is released, or the process ends."""

    __slots__ = ("_fd",)

    def __init__(self, path: Path, *, to_write: bool = False) -> None:
        """Take it at once, or not at all.

        Raises WrongStateError when another has the image, HostError when it cannot be opened, or
        when it is `to_write` and its file system has no locks.
        """
        flags = (os.O_RDWR if to_write else os.O_RDONLY) | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            self._fd = os.open(path, flags)
        except OSError as error:
            if not to_write or isinstance(error, FileNotFoundError):
                raise unopened(path, error) from error
            raise HostError(
                f"disk image {path}: it cannot be written: {error.strerror}",
                help='mode = "overlay" leaves it as it is',
            ) from error
        try:
            fcntl.flock(self._fd, (fcntl.LOCK_EX if to_write else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except OSError as error:
            self.release()
            if error.errno in _NO_LOCKS:
                if not to_write:
                    return
                raise HostError(
                    f"disk image {path} cannot be locked: {error.strerror}",
                    help='copy it to a local file system, or take mode = "overlay"',
                ) from error
            if error.errno != errno.EWOULDBLOCK:
                raise HostError(f"disk image {path}: {error.strerror}") from error
            raise WrongStateError(
                f"disk image {path} is in use by "
                + ("another machine" if to_write else 'a machine that writes it (mode = "direct")'),
                help="power that machine off first, or copy the image",
            ) from error

    def release(self) -> None:
        """Let go of the image."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
