# SPDX-License-Identifier: BSD-2-Clause
"""What the host's side of a serial port can do.

Backends use no threads and never block. They watch their descriptors through the owner's selector:
each is registered with a callback as its data, and the owner's loop is

    for key, events in selector.select(timeout):
        key.data(events)
"""

from __future__ import annotations

import selectors
from collections.abc import Callable
from typing import Protocol

Receive = Callable[[bytes], None]
"""Takes what came from the host's side, for the guest."""


class Backend(Protocol):
    """The host's side of one serial port.

    When a backend drops output that is not read, a note with the number of bytes takes its
    place, and the machine's log has all of it.
    """

    @property
    def backlog(self) -> int:
        """Bytes that the connected reader has not taken yet.

        An owner that wants nothing skipped lets the guest wait while this is above HIGH_WATER.
        """

    @property
    def dropped(self) -> int:
        """Bytes that the present reader missed because it was too slow; the log has them."""

    @property
    def fault(self) -> str:
        """Why some of the output was lost for good, if it was: the host's words."""

    @property
    def connected(self) -> bool | None:
        """Whether there is a peer; None where there always is, or none is ever known of."""

    def attach(self, selector: selectors.BaseSelector, receive: Receive) -> None:
        """Start: watch descriptors in `selector`, give input to `receive`. Called once."""

    def write(self, data: bytes) -> None:
        """Send the guest's output: now what the host takes, the rest when it is ready."""

    def hold(self, held: bool) -> None:
        """Stop taking input while `held`: the guest has more than enough waiting."""

    def poll(self) -> None:
        """Do what is due by the host's time. Call it at least once a second."""

    def describe(self) -> str:
        """What it is and where, for people: `pty /dev/pts/3`."""

    def close(self) -> None:
        """Close all descriptors, and restore a terminal. May be called again."""


HIGH_WATER = 65536
"""Bytes of backlog above which a guest is ahead of its reader."""
