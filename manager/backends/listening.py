# SPDX-License-Identifier: BSD-2-Clause
"""A listening socket: one client at a time."""

from __future__ import annotations

import select
import selectors
import socket
from contextlib import suppress

from manager.backends.address import CLIENT_LIMIT, PATIENCE, Address
from manager.backends.backend import Receive
from manager.backends.link import Link
from manager.backends.outbox import Outbox
from manager.backends.scrollback import Scrollback
from manager.backends.watch import READ, Watch

BUSY = b"vmmgr: this port has a client already\r\n"


class ListeningBackend:
    """Listens from the start, so that a wrong address is found before the guest runs.

    A client that comes late gets the last output first. A client that has shut down its sending
    side goes on getting output, until another client wants its place. Raises HostError.
    """

    fault = ""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._listener = address.listener()
        self._where = address.bound(self._listener)
        self._scrollback = Scrollback()
        self._outbox = Outbox(CLIENT_LIMIT)
        self._client: socket.socket | None = None
        self._link: Link | None = None
        self._selector: selectors.BaseSelector | None = None
        self._doorbell: Watch | None = None
        self._receive: Receive | None = None
        self._held = False

    @property
    def backlog(self) -> int:
        """Bytes that the client has not taken yet."""
        return len(self._outbox)

    @property
    def dropped(self) -> int:
        """Bytes that the client was too slow for."""
        return self._outbox.dropped

    @property
    def connected(self) -> bool:
        """Whether there is a client; one that only sends no more is still there."""
        if self._link is None or self._client is None:
            return False
        return self._link.reading or not _hung_up(self._client)

    def attach(self, selector: selectors.BaseSelector, receive: Receive) -> None:
        """Start to take clients."""
        self._selector = selector
        self._receive = receive
        self._doorbell = Watch(selector, self._listener.fileno(), self._accept)
        self._doorbell.want(READ)

    def write(self, data: bytes) -> None:
        """Send to the client, and keep for the next one."""
        self._scrollback.add(data)
        if self._link is not None:
            self._link.write(data)

    def hold(self, held: bool) -> None:
        """Leave input in the socket while `held`."""
        self._held = held
        if self._link is not None:
            self._link.hold(held)

    def poll(self) -> None:
        """Nothing is ever due."""

    def describe(self) -> str:
        """The address, with the port that was really taken."""
        return f"{self._address.kind} {self._where}"

    def close(self) -> None:
        """Give the client the rest, then close."""
        if self._doorbell is not None:
            self._doorbell.want(0)
            self._doorbell = None
        if self._listener.fileno() >= 0:
            self._listener.close()
            self._address.release()
        if self._client is not None:
            self._outbox.drain(self._client.fileno(), PATIENCE)
            self._drop()

    def _accept(self, _events: int) -> None:
        try:
            visitor, _ = self._listener.accept()
        except OSError:  # gone again
            return
        visitor.setblocking(False)
        if self._link is not None and not self._link.reading:
            self._drop()
        if self._client is not None:
            with suppress(OSError):
                visitor.send(BUSY)
                visitor.shutdown(socket.SHUT_WR)
            visitor.close()
            return
        self._serve(visitor)

    def _serve(self, client: socket.socket) -> None:
        assert self._selector is not None
        assert self._receive is not None
        if client.family != socket.AF_UNIX:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client = client
        self._outbox = Outbox(CLIENT_LIMIT)
        self._link = Link(client.fileno(), self._outbox, self._receive, self._drop)
        self._link.hold(self._held)
        self._link.attach(self._selector)
        self._link.write(bytes(self._scrollback))

    def _drop(self) -> None:
        link, client = self._link, self._client
        self._link = self._client = None
        self._outbox.take_all()
        if link is not None:
            link.detach()
        if client is not None:
            client.close()


def _hung_up(client: socket.socket) -> bool:
    """Whether the other side takes nothing any more, as far as its kernel tells."""
    poller = select.poll()
    poller.register(client, 0)
    return any(events & (select.POLLHUP | select.POLLERR) for _, events in poller.poll(0))
