# SPDX-License-Identifier: BSD-2-Clause
"""How far a machine may run now, and how long its process may sleep.

Pacing only ever sleeps. What the guest sees does not depend on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from manager.bus.record import NEVER

SLICE = 5_000_000
"""Virtual ns for which a busy machine runs before its process looks at the host again."""
GRAIN = 1_000_000
"""Virtual ns that a paced machine falls behind before it runs on, so as not to wake too often."""


class Timed(Protocol):
    """What pacing needs to know of a machine."""

    def now(self) -> int:
        """Virtual time, in ns."""

    def idle_until(self) -> int | None:
        """None: busy; else the deadline that the halted CPU waits for, or NEVER."""


class Pace(Protocol):
    """One way to relate virtual time to the host's."""

    def until(self) -> int | None:
        """The virtual time to run to now, or None when it is time to sleep."""

    def sleep(self) -> float | None:
        """Host seconds until `until` gives a time again; None: only an event can change that."""

    def catch_up(self) -> int | None:
        """Where virtual time should be when something comes from the host, if not where it is."""

    def resume(self) -> None:
        """The machine goes on after it was held."""


class Virtual:
    """As fast as it goes; idle time is skipped. Time passes in whole steps of `step` ns."""

    __slots__ = ("_machine", "_slice")

    def __init__(self, machine: Timed, *, step: int = 1) -> None:
        self._machine = machine
        self._slice = max(SLICE, step)

    def until(self) -> int | None:
        """A slice past now, or past the deadline of an idle machine."""
        deadline = self._machine.idle_until()
        if deadline == NEVER:
            return None
        now = self._machine.now()
        return (now if deadline is None else max(now, deadline)) + self._slice

    def sleep(self) -> float | None:
        """For ever when nothing but input can wake the guest."""
        return None

    def catch_up(self) -> int | None:
        """Idle time is not the host's, so input comes where virtual time stands."""
        return None

    def resume(self) -> None:
        """Nothing to do: virtual time follows no clock."""


class Paced:
    """Never ahead of the host's monotonic clock; behind it, as fast as it goes.

    Time passes in whole steps of `step` ns.
    """

    __slots__ = ("_grain", "_host", "_host_start", "_machine", "_slice", "_start")

    def __init__(
        self, machine: Timed, host: Callable[[], int] = time.monotonic_ns, *, step: int = 1
    ) -> None:
        self._machine = machine
        self._host = host
        self._slice = max(SLICE, step)
        self._grain = max(GRAIN, step)
        self.resume()

    def resume(self) -> None:
        """Let virtual time go on from where it is, at the host's present."""
        self._start = self._machine.now()
        self._host_start = self._host()

    def _allowed(self) -> int:
        return self._start + self._host() - self._host_start

    def until(self) -> int | None:
        """At most a slice; nothing while virtual time is where the host's is."""
        allowed = self._allowed()
        now = self._machine.now()
        deadline = self._machine.idle_until()
        if deadline is None:
            return min(now + self._slice, allowed) if allowed - now >= self._grain else None
        if max(deadline, now) > allowed:
            return None
        return min(max(deadline, now) + self._slice, allowed)

    def sleep(self) -> float | None:
        """Until the deadline of an idle machine; a grain for a busy one that is on time."""
        deadline = self._machine.idle_until()
        if deadline == NEVER:
            return None
        target = self._machine.now() + self._grain if deadline is None else deadline
        return max(target - self._allowed(), 0) / 1e9

    def catch_up(self) -> int | None:
        """The host's present, for a machine that slept until something came."""
        allowed = self._allowed()
        idle = self._machine.idle_until()
        return allowed if idle is not None and idle > allowed > self._machine.now() else None
