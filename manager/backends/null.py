# SPDX-License-Identifier: BSD-2-Clause
"""Nothing on the other side of the cable."""

from __future__ import annotations

import selectors

from manager.backends.backend import Receive


class NullBackend:
    """Output goes nowhere, no input comes."""

    backlog = 0
    dropped = 0
    fault = ""
    connected: bool | None = None

    def attach(self, selector: selectors.BaseSelector, receive: Receive) -> None:
        """Nothing to watch."""

    def write(self, data: bytes) -> None:
        """Drop it; the machine's log has it."""

    def hold(self, held: bool) -> None:
        """There is no input to hold."""

    def poll(self) -> None:
        """Nothing is ever due."""

    def describe(self) -> str:
        """What it is."""
        return "null"

    def close(self) -> None:
        """Nothing to let go of."""
