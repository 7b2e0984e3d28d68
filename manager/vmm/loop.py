# SPDX-License-Identifier: BSD-2-Clause
"""The event loop of a process that owns a machine or a lab: descriptors, timers, signals."""

from __future__ import annotations

import contextlib
import selectors
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from manager.backends.signals import Signals
from manager.errors import ExitCode, HostError, VmmgrError
from manager.vmm.outcome import Outcome
from manager.vmm.slices import Slices
from manager.vmm.timers import HostTimers

if TYPE_CHECKING:
    from manager.vmm.runs import Runs

_LONGEST_SLEEP = 1.0
"""Seconds; backends want to be polled once in that time."""


class EventLoop:
    """Runs a machine, or a lab, until it ends, is suspended or is told to stop.

    Each turn waits for the host as long as the pace allows, handles what came, and lets it run for
    a slice. `paced` keeps virtual time from overtaking the host's; `interrupts`
    is how many SIGINTs end the machine.
    """

    def __init__(
        self,
        running: Runs,
        selector: selectors.BaseSelector,
        *,
        paced: bool,
        interrupts: int = 1,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.timers = HostTimers()
        self._running = running
        self._slices = Slices(running, paced=paced)
        self._selector = selector
        self._interrupts = interrupts
        self._say = say
        self._hurried = False
        self._signals = Signals(selector, self._signalled)

    def run(self, backlog: Callable[[], int] = lambda: 0) -> Outcome:
        """Run to the end; then until there is no more `backlog`, in bytes, or a signal comes."""
        running = self._running
        with self._signals:
            self._slices.begin()
            while (outcome := running.outcome) is None:
                self._turn()
            running.wind_up()
            while backlog() and not self._hurried:
                for key, mask in self._selector.select(_LONGEST_SLEEP):
                    self._dispatch(key, mask)
        return outcome

    def _turn(self) -> None:
        wait = self._slices.wait()
        longest = _LONGEST_SLEEP if wait is None else min(wait, _LONGEST_SLEEP)
        events = self._selector.select(self.timers.wait(longest))
        if events:
            self._slices.catch_up()
        for key, mask in events:
            self._dispatch(key, mask)
        self._running.poll()
        self.timers.run_due()
        self._slices.advance()

    def _dispatch(self, key: selectors.SelectorKey, events: int) -> None:
        """Handle what came from the host. A descriptor that fails is given up, not the machine."""
        try:
            key.data(events)
        except (OSError, HostError) as error:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(key.fileobj)
            self._say(f"a connection failed: {error}")
            self._running.events.publish("warning", message=f"a connection failed: {error}")

    def _signalled(self, number: int) -> None:
        if number == signal.SIGINT:
            self._interrupted()
        else:
            self._told_to_stop(number)

    def _told_to_stop(self, number: int) -> None:
        self._hurried = self._running.outcome is not None
        if self._hurried:
            return
        self._say(f"stopping: {signal.Signals(number).name}")
        if number == signal.SIGHUP:
            # A lost terminal is no reason to drop the suspended state.
            self._running.quit()
            return
        try:
            self._running.stop_as_told()
        except VmmgrError as error:
            self._say(f"cannot suspend, so {self._running.called} runs on: {error.message}")

    def _interrupted(self) -> None:
        self._hurried = self._running.outcome is not None
        self._interrupts -= 1
        if self._interrupts > 0:
            self._say(f"interrupt once more to power {self._running.called} off")
        else:
            self._running.finish(Outcome("interrupted", ExitCode.INTERRUPTED))
