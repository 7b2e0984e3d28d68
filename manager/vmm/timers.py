# SPDX-License-Identifier: BSD-2-Clause
"""What is to be done at a time of the host's monotonic clock."""

from __future__ import annotations

import time
from collections.abc import Callable

from manager.lazy import dataclass


@dataclass(slots=True)
class HostTimer:
    """One thing to be done."""

    at: float
    action: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        """It is not to be done any more."""
        self.cancelled = True


class HostTimers:
    """All that is to be done; the event loop sees to it."""

    def __init__(self) -> None:
        self._timers: list[HostTimer] = []

    def after(self, seconds: float, action: Callable[[], None]) -> HostTimer:
        """Call `action` once, `seconds` from now, unless it is cancelled."""
        timer = HostTimer(time.monotonic() + seconds, action)
        self._timers.append(timer)
        return timer

    def wait(self, longest: float) -> float:
        """Seconds until the next is due, `longest` at most."""
        now = time.monotonic()
        return min([longest, *(max(timer.at - now, 0) for timer in self._timers)])

    def run_due(self) -> None:
        """Do what is due."""
        if not self._timers:
            return
        now = time.monotonic()
        due = [timer for timer in self._timers if timer.at <= now]
        self._timers = [timer for timer in self._timers if timer.at > now and not timer.cancelled]
        for timer in due:
            if not timer.cancelled:
                timer.action()
