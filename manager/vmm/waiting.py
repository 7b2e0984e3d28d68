# SPDX-License-Identifier: BSD-2-Clause
"""What a running machine is waited for, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from manager.machine.expectation import Expectation
    from manager.vmm.events import Events


class Waiting:
    """All waiting for what a machine prints, and the verdict whether it is ready."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._expectations: list[Expectation] = []
        self._watch: Expectation | None = None
        self.ready: bool | None = None
        """The verdict; None when there is none."""
        self.awaited: str | None = None
        """The pattern by which it will be ready, until the verdict."""
        self._too_early: Callable[[], None] = lambda: None

    @property
    def is_on(self) -> bool:
        """Whether a user or a script waits. Then no way leads back: this machine's clock has it."""
        return any(expectation.is_waiting for expectation in self._expectations)

    def begin(self, expectation: Expectation) -> None:
        """Start one."""
        self._expectations.append(expectation)
        expectation.start()

    def watch(self, expectation: Expectation) -> None:
        """Start one that gives way to a rewind, for it is only for the status."""
        self._watch = expectation
        expectation.start()

    def rewound(self) -> None:
        """Another machine takes this one's place."""
        if self._watch is not None and self._watch.is_waiting:
            self._watch.cancel()
            self.awaited = None

    def for_ready(self, pattern: str, too_early: Callable[[], None] = lambda: None) -> None:
        """The machine counts as ready once it prints this; `too_early` if it is over before."""
        self.awaited = pattern
        self._too_early = too_early

    def over(self) -> None:
        """The machine is over, and others go on: nothing more will come."""
        for expectation in self._expectations:
            if expectation.is_waiting:
                expectation.look()
        if self.awaited is not None:
            self._too_early()

    def got_ready(self, detail: str) -> None:
        """It has come: the line `detail`."""
        self.ready, self.awaited = True, None
        self._events.publish("ready", detail=detail)

    def did_not_get_ready(self, status: int, detail: str) -> None:
        """It has not; `status` is the exit code that says why."""
        self.ready, self.awaited = False, None
        self._events.publish("unready", status=int(status), detail=detail)
