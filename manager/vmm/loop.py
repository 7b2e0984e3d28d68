# SPDX-License-Identifier: BSD-2-Clause
"""The event loop of the process that owns a machine: descriptors, timers, signals, slices."""

from __future__ import annotations

import contextlib
import selectors
import signal
from collections.abc import Callable

from manager.backends.signals import Signals
from manager.errors import ExitCode, HostError, VmmgrError
from manager.vmm.outcome import Outcome
from manager.vmm.running import RunningMachine
from manager.vmm.slices import Slices
from manager.vmm.timers import HostTimers

_LONGEST_SLEEP = 1.0
"""Seconds; backends want to be polled once in that time."""


class EventLoop:
    """Runs one machine until it ends, is suspended or is told to stop.

    Each turn waits for the host as long as the machine's pace allows, handles what came, and lets
    the machine run for a slice. `paced` keeps virtual time from overtaking the host's; `interrupts`
    is how many SIGINTs end the machine.
    """

    def __init__(
        self,
        running: RunningMachine,
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

    def run(self, drain: str | None = None) -> Outcome:
        """Run the machine to its end.

        With `drain`, that port's backend then gets all the time it needs to pass on its backlog,
        or until a signal comes.
        """
        running = self._running
        with self._signals:
            self._slices.begin()
            while (outcome := running.outcome) is None:
                self._turn()
            running.wind_up()
            while drain is not None and running.connections.by_id[drain].backlog:
                if self._hurried:
                    break
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
        self._running.connections.poll()
        self._running.networks.poll()
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
            self._say(f"cannot suspend, so the machine runs on: {error.message}")

    def _interrupted(self) -> None:
        self._hurried = self._running.outcome is not None
        self._interrupts -= 1
        if self._interrupts > 0:
            self._say("interrupt once more to power the machine off")
        else:
            self._running.finish(Outcome("interrupted", ExitCode.INTERRUPTED))
