# SPDX-License-Identifier: BSD-2-Clause
"""A TCP proxy between a client and a real server that makes faults on the way.

Bytes are counted over all connections. A fault happens once, and then all passes as it should.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread

FAILURE = b"HTTP/1.1 503 Busy\r\nContent-Length: 5\r\nConnection: close\r\n\r\nbusy\n"


class FaultyProxy:
    """Give it faults, then have the client connect to `address`."""

    def __init__(self, server: str) -> None:
        host, _, port = server.rpartition(":")
        self._server = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.failures = 0
        """So many connections are answered with 503."""
        self.cut: dict[str, int] = {}
        """`up` or `down` -> bytes, after which the connection that has the next is cut."""
        self.flip: int | None = None
        """This byte to the client has a bit changed."""
        self.hold: dict[str, int] = {}
        """`up` or `down` -> bytes, after which nothing passes until `release` is set."""
        self.held, self.release = Event(), Event()
        self.passed = {"up": 0, "down": 0}
        self._lock = Lock()
        self._open: list[socket.socket] = []
        self._threads: list[Thread] = []
        self._begin(self._accept)

    def close(self) -> None:
        """End all connections."""
        self.release.set()
        _end(self._listener)
        self._threads[0].join()  # which accepts, and so begins the others
        for connection in self._open:
            _end(connection)
        for thread in self._threads:
            thread.join()
        for connection in (self._listener, *self._open):
            connection.close()

    def _begin(self, target: Callable[..., None], *args: object) -> None:
        self._threads.append(Thread(target=target, args=args))
        self._threads[-1].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.failures:
                    self.failures -= 1
                    self._begin(_fail, client)
                    continue
                self._open.append(client)
                server = socket.create_connection(self._server)
                self._open.append(server)
                self._begin(self._pass, "up", client, server)
                self._begin(self._pass, "down", server, client)

    def _pass(self, way: str, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                data, cut = self._faults(way, data)
                target.sendall(data)
                if cut:
                    break
        _end(source)
        _end(target)

    def _faults(self, way: str, data: bytes) -> tuple[bytes, bool]:
        with self._lock:
            start = self.passed[way]
            self.passed[way] = end = start + len(data)
            flip, cut, hold = self.flip, self.cut.get(way), self.hold.get(way)
            if way == "down" and flip is not None and start <= flip < end:
                self.flip = None
                at = flip - start
                data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            is_cut = cut is not None and cut < end
            if is_cut:
                assert cut is not None
                del self.cut[way]
                data = data[: max(0, cut - start)]
        if hold is not None and hold < end:
            self.held.set()
            self.release.wait()
        return data, is_cut


def _fail(client: socket.socket) -> None:
    with suppress(OSError), client:
        client.recv(1 << 16)
        client.sendall(FAILURE)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def faulty(server: str) -> Iterator[FaultyProxy]:
    """A proxy to HOST:PORT."""
    proxy = FaultyProxy(server)
    try:
        yield proxy
    finally:
        proxy.close()
