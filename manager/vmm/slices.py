# SPDX-License-Identifier: BSD-2-Clause
"""How virtual time passes: in slices, as far as pace and holds allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manager.vmm.pacing import Paced, Virtual

if TYPE_CHECKING:
    from manager.vmm.runs import Runs


class Slices:
    """The event loop asks it how long to sleep, and then lets the machine, or the lab, run."""

    def __init__(self, running: Runs, *, paced: bool) -> None:
        self._running = running
        pace = Paced if paced else Virtual
        self._pace = pace(running, step=running.step)
        self._rewinds = running.rewinds
        self._held = False

    def begin(self) -> None:
        """Virtual time passes from now on."""
        self._pace.resume()

    def wait(self) -> float | None:
        """Host seconds until there is something to run: 0 at once; None: after an event only."""
        if self._is_held():
            return None
        return 0.0 if self._pace.until() is not None else self._pace.sleep()

    def catch_up(self) -> None:
        """Something came from the host: a machine that slept is to be where the host is."""
        if not self._held and (present := self._pace.catch_up()) is not None:
            self._running.run_to(present)

    def advance(self) -> None:
        """Run for a slice, if that may be, and pass on what was sent in it."""
        if not self._is_held() and self._running.outcome is None:
            until = self._pace.until()
            if until is not None:
                self._running.run_to(until)
        self._running.rest()

    def _is_held(self) -> bool:
        held = self._running.is_held()
        if self._running.rewinds != self._rewinds or (self._held and not held):
            self._rewinds = self._running.rewinds
            self._pace.resume()
        self._held = held
        return held
