# SPDX-License-Identifier: BSD-2-Clause
"""TCP addresses: `127.0.0.1:4555`, `[::1]:4555`, `localhost:4555`."""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass

from manager.errors import HostError, UsageError


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host and a port, 0-65535; listening on port 0 takes a free one."""

    host: str
    port: int

    @property
    def kind(self) -> str:
        """The backend's type."""
        return "tcp"

    @classmethod
    def parse(cls, text: str) -> TcpAddress:
        """Read `host:port`. Raises UsageError.

        >>> TcpAddress.parse("[::1]:4555")
        TcpAddress(host='::1', port=4555)
        """
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        number = int(port) if port.isascii() and port.isdigit() else -1
        if not colon or not host or not 0 <= number <= 65535:
            raise UsageError(
                f"{text!r} is not a TCP address",
                help='write it as "host:port", for example "127.0.0.1:4555"',
            )
        return cls(host, number)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def listener(self) -> socket.socket:
        """Listen. Raises HostError."""
        try:
            family, address = self._resolve()
            listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            raise HostError(f"cannot listen on {self}: {error.strerror}") from None
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()
        except OSError as error:
            listener.close()
            raise HostError(
                f"cannot listen on {self}: {error.strerror}",
                help="another program may have the port; choose another one",
            ) from None
        return listener

    def dial(self) -> socket.socket:
        """Begin to connect. A host name is looked up first, which may take a moment."""
        family, address = self._resolve()
        dialling = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        fault = dialling.connect_ex(address)
        if fault not in (0, errno.EINPROGRESS):
            dialling.close()
            raise OSError(fault, os.strerror(fault))
        return dialling

    def bound(self, listener: socket.socket) -> str:
        """The address with the port that was given."""
        return str(TcpAddress(self.host, listener.getsockname()[1]))

    def release(self) -> None:
        """A TCP port leaves nothing behind."""

    def _resolve(self) -> tuple[int, tuple[str, int]]:
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        family, _, _, _, address = found[0]
        return family, (str(address[0]), self.port)
