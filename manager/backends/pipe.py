# SPDX-License-Identifier: BSD-2-Clause
"""A null-modem cable between two machines: a UNIX socket that both name.

The first to come listens, the other one connects. When either goes away the one that is left
listens again, so machines can be started, suspended and resumed in any order.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from manager.backends.address import CLIENT_LIMIT, PATIENCE
from manager.backends.backend import HIGH_WATER, Receive
from manager.backends.connecting import RETRY
from manager.backends.link import Link
from manager.backends.outbox import Outbox
from manager.backends.single_link import SingleLink
from manager.backends.unix import UnixAddress
from manager.backends.watch import READ, Watch
from manager.errors import HostError


class PipeBackend(SingleLink):
    """One end of the cable at `path`.

    While the other end is not there the last HIGH_WATER bytes are kept for it. Bytes dropped by a
    peer that does not read leave no note: it would be noise to a guest. Raises HostError when
    neither end can be had.
    """

    def __init__(self, path: Path, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(Outbox(HIGH_WATER, noted=False))
        self._address = UnixAddress.parse(str(path))
        self._now = now
        self._next_attempt = 0.0
        self._peer: socket.socket | None = None
        self._listener: socket.socket | None = None
        self._doorbell: Watch | None = None
        if not path.parent.is_dir():
            raise HostError(f"{path}: there is no directory {path.parent}")

    def attach(self, selector: selectors.BaseSelector, receive: Receive) -> None:
        """Look for the other end, or wait for it."""
        self._selector = selector
        self._receive = receive
        self._seek()

    def poll(self) -> None:
        """Look for the other end again when it is time."""
        if self._link is not None and not self._link.reading:
            self._lost()
        alone = self._link is None and self._listener is None
        if alone and self._now() >= self._next_attempt:
            with suppress(HostError):  # a file is in the way; it may be removed
                self._seek()

    def describe(self) -> str:
        """The path, and whether the other end is there."""
        state = "connected" if self._link is not None else "waiting"
        return f"pipe {self._address} ({state})"

    def close(self) -> None:
        """Send the other end the rest, then close."""
        if self._link is not None and self._peer is not None:
            self._link.outbox.drain(self._peer.fileno(), PATIENCE)
        self._selector = None
        self._lost()

    def _seek(self) -> None:
        if self._selector is None:
            return
        self._next_attempt = self._now() + RETRY
        with suppress(OSError), _alone_at(self._address.path.parent):
            try:
                self._join(self._address.dial())
            except OSError:
                self._listen()

    def _listen(self) -> None:
        assert self._selector is not None
        self._listener = self._address.listener()
        self._doorbell = Watch(self._selector, self._listener.fileno(), self._accept)
        self._doorbell.want(READ)

    def _accept(self, _events: int) -> None:
        assert self._listener is not None
        try:
            visitor, _ = self._listener.accept()
        except OSError:  # gone again
            return
        visitor.setblocking(False)
        if self._link is not None and not self._link.reading:
            self._drop_link()
        if self._link is not None:
            visitor.close()  # a cable has two ends
        else:
            self._join(visitor)

    def _join(self, peer: socket.socket) -> None:
        assert self._selector is not None
        assert self._receive is not None
        self._peer = peer
        self._link = Link(
            peer.fileno(), Outbox(CLIENT_LIMIT, noted=False), self._receive, self._lost
        )
        self._link.hold(self._held)
        self._link.attach(self._selector)
        self._link.write(self._waiting.take_all())

    def _lost(self) -> None:
        self._drop_link()
        if self._listener is None:
            return
        if self._doorbell is not None and self._selector is None:
            self._doorbell.want(0)
            self._listener.close()
            self._address.release()
            self._listener = self._doorbell = None

    def _drop_link(self) -> None:
        if self._link is not None:
            self._link.detach()
            self._waiting.put(self._link.outbox.take_all())
            self._link = None
        if self._peer is not None:
            self._peer.close()
            self._peer = None


@contextmanager
def _alone_at(directory: Path) -> Iterator[None]:
    """Lock out the other end. Raises BlockingIOError when it does."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
