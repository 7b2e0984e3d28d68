# SPDX-License-Identifier: BSD-2-Clause
"""Virtual time and deadlines. Nothing that a guest can see reads the host's clock.

Virtual time is in nanoseconds since power-on. It passes by what the CPU executes
(cpu/unicorn/native/engine.h has the rate), so the machine's speed does not depend on the host.
"""

from __future__ import annotations

from collections.abc import Callable

from manager.bus.record import NEVER

SECOND = 1_000_000_000
"""Nanoseconds in a second."""


class Timer:
    """One deadline of one device. Fires once; a periodic device arms it again.

    The device's record holds the deadline; a restore arms the timer from it.
    """

    __slots__ = ("_clock", "callback", "deadline")

    def __init__(self, clock: Clock, callback: Callable[[], None]) -> None:
        self._clock = clock
        self.callback = callback
        self.deadline = NEVER

    def arm(self, deadline: int) -> None:
        """Fire at the first chance at or after `deadline` (ns of virtual time)."""
        self.deadline = deadline
        self._clock.deadline_changed()

    def disarm(self) -> None:
        """Do not fire."""
        self.deadline = NEVER


class Clock:
    """Hands out the time and fires timers, earliest first, ties in order of creation.

    `now` is called for the present time; `on_change` is called when a deadline was set, so that a
    running engine can be made to stop in time.
    """

    __slots__ = ("_on_change", "_timers", "now")

    def __init__(self, now: Callable[[], int], on_change: Callable[[], None] | None = None) -> None:
        self.now = now
        self._on_change = on_change
        self._timers: list[Timer] = []

    def timer(self, callback: Callable[[], None]) -> Timer:
        """A new disarmed timer."""
        timer = Timer(self, callback)
        self._timers.append(timer)
        return timer

    def remove(self, timer: Timer) -> None:
        """Forget a timer that is not needed any more; it does not fire."""
        timer.deadline = NEVER
        if timer in self._timers:
            self._timers.remove(timer)

    def deadline_changed(self) -> None:
        """Told by a timer that it was armed."""
        if self._on_change is not None:
            self._on_change()

    def next_deadline(self) -> int:
        """The earliest armed deadline, or NEVER."""
        earliest = NEVER
        for timer in self._timers:
            if timer.deadline < earliest:  # noqa: PLR1730 - asked at every stop: no call to min
                earliest = timer.deadline
        return earliest

    def run_due(self) -> None:
        """Fire every timer whose deadline has come, including those armed meanwhile."""
        while (deadline := self.next_deadline()) <= self.now():
            due = next(timer for timer in self._timers if timer.deadline == deadline)
            due.deadline = NEVER
            due.callback()


class ManualTime:
    """A hand-set time for driving devices without an engine.

    >>> time = ManualTime()
    >>> clock = Clock(time)
    >>> clock.timer(lambda: print("ding")).arm(5)
    >>> time.advance(clock, 10)
    ding
    """

    __slots__ = ("value",)

    def __init__(self, value: int = 0) -> None:
        self.value = value

    def __call__(self) -> int:
        """The present time, as a Clock asks for it."""
        return self.value

    def advance(self, clock: Clock, delta: int) -> None:
        """Go forward by `delta` ns, stopping at each deadline on the way to fire it."""
        end = self.value + delta
        while (deadline := clock.next_deadline()) <= end:
            self.value = max(self.value, deadline)
            clock.run_due()
        self.value = end
