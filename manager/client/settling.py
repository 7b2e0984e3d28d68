# SPDX-License-Identifier: BSD-2-Clause
"""When a console that was fed by a pipe is over: all is sent, taken and answered."""

from __future__ import annotations

import time

LOOK = 0.1
"""Seconds between looks whether the guest has taken everything."""
LONGEST_ANSWER = 5
"""Times the silence that a guest which is never silent gets for its answer."""


class Settling:
    """Told what happens once everything was sent; `silence` in seconds."""

    def __init__(self, silence: float) -> None:
        self._silence = silence
        self._look_at = 0.0
        self._taken: float | None = None
        """Since when the guest has taken all input."""
        self._heard = 0.0
        """When it last printed something."""

    def heard(self) -> None:
        """The guest printed something."""
        self._heard = time.monotonic()

    def pending(self, count: int) -> None:
        """`count` bytes wait for the guest."""
        self._taken = None if count else self._taken or time.monotonic()

    def wants_look(self) -> bool:
        """Whether to find out now how many bytes wait for the guest."""
        if time.monotonic() < self._look_at:
            return False
        self._look_at = time.monotonic() + LOOK
        return True

    def wait(self) -> float:
        """Seconds until the next look."""
        return max(0.0, self._look_at - time.monotonic())

    def is_over(self) -> bool:
        """Whether the guest was silent for long enough after it took the last, or had its time."""
        if self._taken is None:
            return False
        now = time.monotonic()
        silent = now - max(self._taken, self._heard) >= self._silence
        return silent or now - self._taken >= LONGEST_ANSWER * self._silence
