# SPDX-License-Identifier: BSD-2-Clause
"""UNIX socket addresses: a path in the file system."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from manager.errors import HostError, UsageError
from manager.lazy import dataclass

PATH_LIMIT = 104
"""Bytes that a socket's path may have everywhere (BSD: 104 with the zero, Linux: 108)."""


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """The path of a socket. Only its owner can connect to it (mode 0600)."""

    path: Path

    @property
    def kind(self) -> str:
        """The backend's type."""
        return "unix"

    @classmethod
    def parse(cls, text: str) -> UnixAddress:
        """Read a path. Raises UsageError."""
        if not text:
            raise UsageError("a unix backend needs a path")
        if len(os.fsencode(text)) >= PATH_LIMIT:
            raise UsageError(
                f"{text!r} is too long for a socket",
                help=f"a socket's path has at most {PATH_LIMIT - 1} bytes",
            )
        return cls(Path(text))

    def __str__(self) -> str:
        return str(self.path)

    def listener(self) -> socket.socket:
        """Listen, in place of a socket without a listener. Raises HostError."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        mask = os.umask(0o177)
        try:
            self._remove_dead()
            listener.bind(str(self.path))
            listener.listen()
        except OSError as error:
            listener.close()
            raise HostError(f"cannot listen on {self}: {error.strerror}") from None
        except HostError:
            listener.close()
            raise
        finally:
            os.umask(mask)
        return listener

    def dial(self) -> socket.socket:
        """Begin to connect; for a UNIX socket that is all there is to it."""
        dialling = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            dialling.connect(str(self.path))
        except OSError:
            dialling.close()
            raise
        return dialling

    def bound(self, listener: socket.socket) -> str:
        """The path."""
        return str(self)

    def release(self) -> None:
        """Remove the socket."""
        self.path.unlink(missing_ok=True)

    def _remove_dead(self) -> None:
        if not self.path.is_socket():
            if self.path.exists() or self.path.is_symlink():
                raise HostError(f"{self} is in the way: it is not a socket")
            return
        try:
            self.dial().close()
        except ConnectionRefusedError:
            self.path.unlink(missing_ok=True)
        else:
            raise HostError(
                f"{self} is in use: a program listens on it",
                help="end that program, or give the backend another path",
            )
