# SPDX-License-Identifier: BSD-2-Clause
"""What comes from outside, each piece at its own point in virtual time.

Input arrives from the host at any moment, and reaches the guest at a deadline: it is stamped with
a time a nanosecond ahead and delivered like a timer. The same pieces, delivered at the same times,
give the same run, which is what a replay does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from manager.bus.clock import Clock
from manager.lazy import dataclass

DATA, BREAK, POWER_BUTTON = "data", "break", "power-button"
"""Kinds of input that clients know; a device kind may have others."""


@dataclass(frozen=True, slots=True)
class Input:
    """One piece of input."""

    at: int
    """When the guest gets it: ns of virtual time."""
    kind: str
    port: str = ""
    """The id of the device that it is for; empty for every device that takes it."""
    data: bytes = b""
    wired: bool = False
    """Whether another machine of the lab sent it: what that one does decides it, not the host."""


class Inputs:
    """The pieces on their way, in order. `deliver` is called when the time of one has come."""

    __slots__ = ("_clock", "_deliver", "_queue", "_timer", "on_input")

    def __init__(self, clock: Clock, deliver: Callable[[Input], None]) -> None:
        self._clock = clock
        self._deliver = deliver
        self._queue: deque[Input] = deque()
        self._timer = clock.timer(self._due)
        self.on_input: Callable[[Input], None] | None = None
        """Called with each piece as it is stamped, by the recorder."""

    def post(self, kind: str, port: str = "", data: bytes = b"") -> None:
        """Stamp a piece of input and send it on its way."""
        earliest = self._queue[-1].at if self._queue else self._clock.now() + 1
        self.schedule(Input(max(earliest, self._clock.now() + 1), kind, port, data))

    def schedule(self, input: Input) -> None:
        """Send a piece that has its stamp; not before those already on their way."""
        self._queue.append(input)
        if self.on_input is not None:
            self.on_input(input)
        if len(self._queue) == 1:
            self._timer.arm(input.at)

    def recall(self) -> list[Input]:
        """Take back what has not arrived: the caller will schedule it again, here or elsewhere."""
        recalled = list(self._queue)
        self._queue.clear()
        self._timer.disarm()
        return recalled

    @property
    def last_at(self) -> int | None:
        """When the last piece on its way arrives; None when there is none."""
        return self._queue[-1].at if self._queue else None

    def _due(self) -> None:
        while self._queue and self._queue[0].at <= self._clock.now():
            self._deliver(self._queue.popleft())
        if self._queue:
            self._timer.arm(self._queue[0].at)
