# SPDX-License-Identifier: BSD-2-Clause
"""What goes on beside a console, in the console's own event loop."""

from __future__ import annotations

import selectors
from collections.abc import Callable
from typing import Protocol


class Beside(Protocol):
    """Has descriptors and deadlines of its own, messages for the user, and may end the console."""

    def begin(self, selector: selectors.BaseSelector, say: Callable[[str], None]) -> None:
        """The console has begun: register descriptors, each with a callback that takes events."""

    def wait(self) -> float | None:
        """Seconds until `look` is wanted; None: not by the clock."""

    def look(self) -> bool:
        """Do what is due; whether the console is to end."""

    def end(self) -> None:
        """The console is over: take the descriptors off again."""
