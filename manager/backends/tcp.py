# SPDX-License-Identifier: BSD-2-Clause
"""TCP addresses: `127.0.0.1:4555`, `[::1]:4555`, `localhost:4555`."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Callable

from manager.errors import HostError, UsageError
from manager.lazy import dataclass

Found = tuple[int, tuple[str, int]]
"""An address family and what it wants to connect to."""
IMMEDIATELY = 0.05
"""Seconds that a lookup gets at once: /etc/hosts and caches answer in less."""


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
        """Begin to connect. Raises BlockingIOError while a host name is still looked up."""
        family, address = self._numeric() or self._lookup.result()
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

    def _resolve(self) -> Found:
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except ValueError:  # IDNA refuses it, or it has a NUL character
            raise socket.gaierror(socket.EAI_NONAME, "not a host's name") from None
        family, _, _, _, address = found[0]
        return family, (str(address[0]), self.port)

    def _numeric(self) -> Found | None:
        """The address when the host is given as numbers, which needs no lookup."""
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                socket.inet_pton(family, self.host)
            except OSError:
                continue
            return family, (self.host, self.port)
        return None

    @property
    def _lookup(self) -> Lookup:
        return _LOOKUPS.setdefault(self, Lookup(self._resolve))


class Lookup:
    """A name server's answer, waited for in a thread: the guest must not wait for it."""

    def __init__(self, resolve: Callable[[], Found]) -> None:
        self._resolve = resolve
        self._thread: threading.Thread | None = None
        self._found: Found | None = None

    def result(self) -> Found:
        """The answer. Raises BlockingIOError while there is none; ask again later."""
        if self._found is not None:
            found, self._found = self._found, None
            return found
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._look, daemon=True)
            self._thread.start()
            self._thread.join(IMMEDIATELY)
            if self._found is not None:
                return self.result()
        raise BlockingIOError(errno.EAGAIN, "the host's name is being looked up")

    def _look(self) -> None:
        try:
            self._found = self._resolve()
        except OSError:
            self._found = None  # the next attempt looks again


_LOOKUPS: dict[TcpAddress, Lookup] = {}
"""Lookups under way, by address."""
