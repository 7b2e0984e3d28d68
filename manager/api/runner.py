# SPDX-License-Identifier: BSD-2-Clause
"""How guest time passes for a program: only while it waits, and within a bound of host time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from manager.api.durations import Duration, nanoseconds
from manager.api.errors import FailOnError, MachineEndedError, OutOfBudgetError
from manager.bus.record import NEVER
from manager.errors import UsageError

if TYPE_CHECKING:
    from manager.machine.ended import Ended
    from manager.machine.expectation import Expectation
    from manager.machine.machine import Machine as Core

SLICE = 10_000_000
"""Virtual ns between two looks at the host's clock; the guest cannot tell."""
WALL_GUARD = 60.0


class Guard(Protocol):
    """A port on which something may come that no wait survives: a Console with `fail_on`."""

    @property
    def is_guarded(self) -> bool:
        """Whether there is anything to look for."""

    def begin_watch(self) -> Expectation:
        """Look for it until `end_watch`."""

    def end_watch(self) -> None:
        """The wait is over, one way or another."""

    def failure(self) -> FailOnError:
        """The error for what has just come."""

    def mark(self) -> None:
        """Remember where it is."""

    def go_back(self) -> None:
        """Be there again."""

    def leave(self) -> None:
        """Hear nothing of it any more."""


def _never() -> bool:
    return False


class Runner:
    """Runs one machine for the methods that wait."""

    def __init__(self, core: Core) -> None:
        self.name = core.graph.name
        self._core: Core | None = core
        self.ended: Ended | None = None
        """How the machine ended, once it has."""
        self.wall_guard = WALL_GUARD
        """Seconds of the host's time that one wait may take, whatever its budget of guest time."""
        self.guards: list[Guard] = []
        self._failed: Callable[[], bool] = _never
        self.let_go: Callable[[Core], None] = lambda core: core.free()
        """What becomes of what runs when this is closed."""

    @property
    def core(self) -> Core:
        """What runs. Raises UsageError once it is closed."""
        if self._core is None:
            raise UsageError(f"the machine {self.name} is closed")
        return self._core

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._core is None

    def close(self) -> None:
        """Let go of the host's resources."""
        if self._core is None:
            return
        core, self._core = self._core, None
        for guard in self.guards:
            guard.leave()
        self.let_go(core)

    def mark(self) -> None:
        """The present point is the one to go `back` to."""
        self.core.mark()
        for guard in self.guards:
            guard.mark()

    def back(self) -> int:
        """The machine and what was heard of it are as at the mark; how many pages were not."""
        pages = self.core.back()
        self.ended = None
        for guard in self.guards:
            guard.go_back()
        return pages

    @property
    def time(self) -> int:
        """Virtual time since power-on in ns."""
        return self.core.now()

    def run_for(self, duration: Duration) -> None:
        """Let that much guest time pass, or less when the machine ends."""
        __tracebackhide__ = True
        end = self.time + nanoseconds(duration)
        self._watched(None, lambda: self._advance(lambda: False, end))

    def run_until(
        self, condition: Callable[[], object], timeout: Duration, every: Duration
    ) -> bool:
        """Run until `condition()`, asked each `every` of guest time, is true; whether it is."""
        __tracebackhide__ = True
        step, end = nanoseconds(every), self.time + nanoseconds(timeout)
        if step == 0:
            raise UsageError("a condition cannot be asked all the time: `every` is 0")
        met = bool(condition())
        limit = time.monotonic() + self.wall_guard

        def run() -> None:
            nonlocal met
            while not met and self.time < end and self.ended is None:
                self._advance(lambda: False, min(end, self.time + step), limit)
                met = bool(condition())

        self._watched(None, run)
        return met

    def require(
        self, condition: Callable[[], object], timeout: Duration, every: Duration = "1ms"
    ) -> None:
        """As `run_until`. Raises MachineEndedError, OutOfBudgetError when it stays false."""
        __tracebackhide__ = True
        if self.run_until(condition, timeout, every):
            return
        if self.ended is not None:
            raise MachineEndedError(
                f"the machine ended before the condition was met: {self.ended.detail}"
            )
        raise OutOfBudgetError(f"the condition was not met within {timeout} of guest time")

    def wait(self, guard: Guard, expectation: Expectation) -> Ended | None:
        """Run until the expectation on that port has its verdict."""
        __tracebackhide__ = True

        def run() -> None:
            try:
                self._advance(lambda: expectation.verdict is not None, NEVER, patient=True)
                if self.ended is not None:
                    expectation.look()
            finally:
                guard.end_watch()

        self._watched(guard, run)
        return self.ended

    def _watched(self, waiting: Guard | None, run: Callable[[], None]) -> None:
        """Run, with every guarded port on watch that is not waited for."""
        __tracebackhide__ = True
        guarded = [item for item in self.guards if item.is_guarded and item is not waiting]
        watches = [(item, item.begin_watch()) for item in guarded]
        self._failed = lambda: any(watch.verdict is not None for _, watch in watches)
        try:
            run()
            for _, watch in watches:
                watch.look()
        finally:
            self._failed = _never
            for item in guarded:
                item.end_watch()
        for item, watch in watches:
            if watch.verdict is not None:
                raise item.failure()

    def _advance(
        self,
        done: Callable[[], bool],
        end: int,
        limit: float | None = None,
        *,
        patient: bool = False,
    ) -> None:
        """Run until `done` or `end`. `patient`: the caller speaks up about the wall guard."""
        __tracebackhide__ = True
        if limit is None:
            limit = time.monotonic() + self.wall_guard
        while not done() and not self._failed() and self.time < end and self.ended is None:
            self.ended = self.core.run(min(end, self.time + SLICE))
            if time.monotonic() > limit and not done():
                if patient:
                    return
                raise OutOfBudgetError(
                    f"{self.name}: {self.wall_guard:g} s of the host's time are used up"
                )
