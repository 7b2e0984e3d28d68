# SPDX-License-Identifier: BSD-2-Clause
"""What the other end of a card's cable can do.

Like backends, peers use no threads and never block: see manager.backends.backend.
"""

from __future__ import annotations

import selectors
from collections.abc import Callable
from typing import Protocol

from manager.lazy import dataclass


@dataclass(frozen=True, slots=True)
class Side:
    """The card's side, as a peer sees it."""

    receive: Callable[[bytes], None]
    """Takes a frame for the guest."""
    lost: Callable[[str], None]
    """The peer is gone for good; the text says why."""


class Peer(Protocol):
    """The other end of one cable."""

    @property
    def dropped(self) -> int:
        """Frames that the host did not take in time."""

    def attach(self, selector: selectors.BaseSelector, side: Side) -> None:
        """Start: watch descriptors in `selector`. Called once."""

    def send(self, frame: bytes) -> None:
        """Send a frame of the guest's, now or when the host takes it. Does not raise."""

    def hold(self, held: bool) -> None:
        """Take no frames from the host while `held`: the guest has more than enough waiting."""

    def poll(self) -> None:
        """Do what is due by the host's time. Call it at least once a second."""

    def describe(self) -> str:
        """What it is and where, for people: `passt, process 123`."""

    def close(self) -> None:
        """Let go of the host. May be called again."""
