# SPDX-License-Identifier: BSD-2-Clause
"""The place where a network card meets the host, or the link of a lab."""

from __future__ import annotations

from collections.abc import Callable

from manager.machine.listeners import Listeners

FRAME = "frame"
"""The kind of input that a frame is."""


class NetworkPort:
    """manager.bus.ethernet.Cable for the card; feed() and `listeners` for what is at its other end.

    What comes in is input like any other: it is stamped and recorded, and arrives at its time. A
    frame that has its time already is scheduled: `machine.inputs.schedule(Input(at, FRAME, id,
    frame))`.
    """

    __slots__ = ("_arrive", "_post", "_waiting", "arrivals", "id", "listeners")

    def __init__(self, id: str, post: Callable[[bytes], None] | None = None) -> None:
        self.id = id
        self._post = post if post is not None else self.arrive
        self._arrive: Callable[[bytes], None] | None = None
        self._waiting: Callable[[], int] = lambda: 0
        self.listeners = Listeners()
        """Called inside the machine's run with each frame, at the time that it is sent."""
        self.arrivals = Listeners()
        """Called with each frame that reaches the card, at that time."""

    # -- the card's side --------------------------------------------------------------------

    def connect(self, arrive: Callable[[bytes], None], waiting: Callable[[], int]) -> None:
        """Tell a card of frames through `arrive`; `waiting` counts those it has no room for."""
        self._arrive = arrive
        self._waiting = waiting

    def send(self, frame: bytes) -> None:
        """Take a frame from the guest."""
        self.listeners.heard(frame)

    # -- the other side ---------------------------------------------------------------------

    def tap(self, heard: Callable[[bytes], None]) -> None:
        """Have all frames heard that leave or reach the card, each at its time."""
        self.listeners.add(heard)
        self.arrivals.add(heard)

    @property
    def waiting(self) -> int:
        """Frames that have reached the card and are not in the guest's memory."""
        return self._waiting()

    def feed(self, frame: bytes) -> None:
        """Send a frame to the guest. It is stamped with a time and arrives at that time."""
        self._post(frame)

    def arrive(self, frame: bytes) -> None:
        """The time of a frame has come."""
        self.arrivals.heard(frame)
        if self._arrive is not None:
            self._arrive(frame)
