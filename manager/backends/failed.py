# SPDX-License-Identifier: BSD-2-Clause
"""What takes the place of a backend that failed."""

from __future__ import annotations

from manager.backends.null import NullBackend


class FailedBackend(NullBackend):
    """Output goes to the log alone; the status says what was here and why it ended."""

    def __init__(self, was: str, fault: str) -> None:
        self.fault = fault
        self._text = f"{was}, failed: {fault}"

    def describe(self) -> str:
        """What it was and why it failed."""
        return self._text
