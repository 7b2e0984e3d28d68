# SPDX-License-Identifier: BSD-2-Clause
"""What happens to a running machine, told to all who subscribed."""

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
        """Tell this one, too, from now on; once, however often it subscribes."""
        if subscriber not in self._subscribers:
            self._subscribers.append(subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Tell that one no more; no matter if it was not told."""
        if subscriber in self._subscribers:
            self._subscribers.remove(subscriber)

    def __len__(self) -> int:
        """How many are told."""
        return len(self._subscribers)

    def publish(self, event: str, **data: Any) -> None:
        """Tell of an event; its `seq` shows a subscriber that is too slow what it missed."""
        self._published += 1
        if not self._subscribers:
            return
        moment = {"time": round(time.time(), 3), "virtual-time": self._now()}
        line = encode({"event": event, "seq": self._published, **moment, "data": data})
        for subscriber in tuple(self._subscribers):
            subscriber(line)
