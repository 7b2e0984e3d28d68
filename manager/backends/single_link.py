# SPDX-License-Identifier: BSD-2-Clause
"""What backends with one peer at a time have in common: output waits until the peer is there."""

from __future__ import annotations

import selectors

from manager.backends.backend import Receive
from manager.backends.link import Link
from manager.backends.outbox import Outbox


class SingleLink:
    """`_link` is the peer, if it is there; `_waiting` is what it will get first."""

    fault = ""

    @property
    def connected(self) -> bool | None:
        """Whether the peer is there."""
        return self._link is not None

    def __init__(self, waiting: Outbox) -> None:
        self._waiting = waiting
        self._link: Link | None = None
        self._selector: selectors.BaseSelector | None = None
        self._receive: Receive | None = None
        self._held = False

    @property
    def backlog(self) -> int:
        """Bytes that the peer has not taken yet; 0 while it is not there."""
        return len(self._link.outbox) if self._link is not None else 0

    @property
    def dropped(self) -> int:
        """Bytes that the peer missed."""
        return (self._link.outbox if self._link is not None else self._waiting).dropped

    def write(self, data: bytes) -> None:
        """Send, or keep until the peer is there."""
        if self._link is not None:
            self._link.write(data)
        else:
            self._waiting.put(data)

    def hold(self, held: bool) -> None:
        """Leave input in the socket while `held`."""
        self._held = held
        if self._link is not None:
            self._link.hold(held)
