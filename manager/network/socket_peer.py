# SPDX-License-Identifier: BSD-2-Clause
"""A UNIX socket that another program has the other end of: QEMU, a switch, another machine."""

from __future__ import annotations

import selectors
import socket
from pathlib import Path

from manager.backends.unix import UnixAddress
from manager.backends.watch import READ, Watch
from manager.network.peer import Side
from manager.network.stream import FrameStream


class SocketPeer:
    """Listens on a path for one peer at a time, or connects there, again once a second.

    While there is no peer, frames go nowhere. Raises HostError when it cannot listen.
    """

    def __init__(self, path: Path, *, listens: bool) -> None:
        self._address = UnixAddress(path)
        self._listener = self._address.listener() if listens else None
        self._selector: selectors.BaseSelector | None = None
        self._doorbell: Watch | None = None
        self._side: Side | None = None
        self._stream: FrameStream | None = None
        self._held = False
        self._before = 0

    @property
    def dropped(self) -> int:
        """Frames that peers were too slow for."""
        return self._before + (self._stream.dropped if self._stream is not None else 0)

    def attach(self, selector: selectors.BaseSelector, side: Side) -> None:
        """Wait for the peer, or look for it."""
        self._selector = selector
        self._side = side
        if self._listener is not None:
            self._doorbell = Watch(selector, self._listener.fileno(), self._accept)
            self._doorbell.want(READ)
        self.poll()

    def send(self, frame: bytes) -> None:
        """Send a frame to the peer, if there is one."""
        if self._stream is not None:
            self._stream.send(frame)

    def hold(self, held: bool) -> None:
        """Leave frames in the socket while `held`."""
        self._held = held
        if self._stream is not None:
            self._stream.hold(held)

    def poll(self) -> None:
        """Look for the peer."""
        if self._listener is None and self._stream is None and self._selector is not None:
            try:
                self._serve(self._address.dial())
            except OSError:
                return

    def describe(self) -> str:
        """The path, and whether there is a peer."""
        role = "connects to" if self._listener is None else "listens on"
        return f"{role} {self._address}" + ("" if self._stream is not None else ", no peer")

    def close(self) -> None:
        """Close everything, for good."""
        self._selector = None
        if self._doorbell is not None:
            self._doorbell.want(0)
            self._doorbell = None
        if self._listener is not None and self._listener.fileno() >= 0:
            self._listener.close()
            self._address.release()
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _accept(self, _events: int) -> None:
        assert self._listener is not None
        try:
            visitor, _ = self._listener.accept()
        except OSError:  # gone again
            return
        if self._stream is not None:
            visitor.close()
        else:
            self._serve(visitor)

    def _serve(self, connected: socket.socket) -> None:
        assert self._selector is not None
        assert self._side is not None
        self._stream = FrameStream(
            connected, self._selector, Side(self._side.receive, lambda _: self._gone())
        )
        self._stream.hold(self._held)

    def _gone(self) -> None:
        self._before = self.dropped
        self._stream = None
