# SPDX-License-Identifier: BSD-2-Clause
"""A socket that connects to a server, and again when the connection ends."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from manager.backends.address import CLIENT_LIMIT, PATIENCE, Address
from manager.backends.backend import HIGH_WATER, Receive
from manager.backends.link import Link
from manager.backends.outbox import Outbox
from manager.backends.single_link import SingleLink
from manager.backends.watch import WRITE, Watch

RETRY = 1.0
"""Seconds between two attempts."""


class ConnectingBackend(SingleLink):
    """Connects when attached, and keeps trying: the server may start later or be restarted.

    Output is kept meanwhile, the last HIGH_WATER bytes of it. `now` is the host's monotonic time
    in seconds.
    """

    def __init__(self, address: Address, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(Outbox(HIGH_WATER))
        self._address = address
        self._now = now
        self._next_attempt = 0.0
        self._socket: socket.socket | None = None
        self._dialling: Watch | None = None

    def attach(self, selector: selectors.BaseSelector, receive: Receive) -> None:
        """Make the first attempt."""
        self._selector = selector
        self._receive = receive
        self._dial()

    def poll(self) -> None:
        """Connect again when it is time."""
        if self._link is not None and not self._link.reading:
            self._lost()  # a half-closed connection stays so
        if self._socket is None and self._now() >= self._next_attempt:
            self._dial()

    def describe(self) -> str:
        """The server, and whether it is there."""
        state = "connected" if self._link is not None else "not connected"
        return f"{self._address.kind} to {self._address} ({state})"

    def close(self) -> None:
        """Give the server the rest, then close."""
        if self._link is not None and self._socket is not None:
            self._link.outbox.drain(self._socket.fileno(), PATIENCE)
        self._lost()
        self._selector = None

    def _dial(self) -> None:
        if self._selector is None:
            return
        self._next_attempt = self._now() + RETRY
        with suppress(OSError):
            self._socket = self._address.dial()
            self._dialling = Watch(self._selector, self._socket.fileno(), self._answered)
            self._dialling.want(WRITE)

    def _answered(self, _events: int) -> None:
        assert self._socket is not None
        assert self._selector is not None
        assert self._receive is not None
        if self._dialling is not None:
            self._dialling.want(0)
            self._dialling = None
        if self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._lost()
            return
        outbox = Outbox(CLIENT_LIMIT)
        outbox.skipped = self._waiting.skipped
        self._waiting.skipped = 0
        self._link = Link(self._socket.fileno(), outbox, self._receive, self._lost)
        self._link.hold(self._held)
        self._link.attach(self._selector)
        self._link.write(self._waiting.take_all())

    def _lost(self) -> None:
        if self._dialling is not None:
            self._dialling.want(0)
            self._dialling = None
        if self._link is not None:
            self._link.detach()
            self._waiting.put(self._link.outbox.take_all())
            self._link = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
