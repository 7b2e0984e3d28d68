# SPDX-License-Identifier: BSD-2-Clause
"""What the event loop lets run: a machine, or a lab of machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from manager.vmm.pacing import Timed

if TYPE_CHECKING:
    from manager.vmm.events import Events
    from manager.vmm.outcome import Outcome


class Runs(Timed, Protocol):
    """What the event loop asks of it."""

    events: Events
    called: str
    """What messages call it: "the machine"."""
    step: int
    """Its time passes in whole steps of so many virtual ns."""
    rewinds: int
    """How often it went back in time."""

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, or will at the next chance; None while it goes on."""

    def is_held(self) -> bool:
        """Whether time is to stand still."""

    def run_to(self, until: int) -> None:
        """Run until then, or until the event loop is due."""

    def rest(self) -> None:
        """Between two slices."""

    def poll(self) -> None:
        """What is due by the host's time; once a second is enough."""

    def wind_up(self) -> None:
        """It ran to its end."""

    def finish(self, outcome: Outcome) -> None:
        """End at the next chance; the first reason given counts."""

    def quit(self) -> None:
        """End the process and leave the last suspended state as it is."""

    def stop_as_told(self) -> None:
        """What SIGTERM does. Raises VmmgrError when it cannot be saved."""
