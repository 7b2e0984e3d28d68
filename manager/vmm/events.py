# SPDX-License-Identifier: BSD-2-Clause
"""Events of a running machine, sent to all subscribers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from manager.client.protocol import encode

Subscriber = Callable[[bytes], object]
"""Takes one line of the control protocol."""


class Events:
    """`now` tells the virtual time in ns. The events and their data: protocol.EVENTS."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._published = 0
        self._subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> None:
        """Add a subscriber; one that is there already is not added again."""
        if subscriber not in self._subscribers:
            self._subscribers.append(subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Remove a subscriber, if it is there."""
        if subscriber in self._subscribers:
            self._subscribers.remove(subscriber)

    def __len__(self) -> int:
        """How many are told."""
        return len(self._subscribers)

    def publish(self, event: str, **data: Any) -> None:
        """Send an event; by its `seq` a slow subscriber sees what it missed."""
        self._published += 1
        if not self._subscribers:
            return
        moment = {"time": round(time.time(), 3), "virtual-time": self._now()}
        line = encode({"event": event, "seq": self._published, **moment, "data": data})
        for subscriber in tuple(self._subscribers):
            subscriber(line)
