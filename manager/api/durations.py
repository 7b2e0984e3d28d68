# SPDX-License-Identifier: BSD-2-Clause
"""Durations of guest time, as the API takes them."""

from __future__ import annotations

from manager.bus.clock import SECOND
from manager.config.units import parse_duration
from manager.errors import UsageError

Duration = str | float
"""Virtual time: text such as "1.5s" or "200ms", or a number of seconds."""


def nanoseconds(duration: Duration) -> int:
    """A duration in ns. Raises UsageError when it is none or negative.

    >>> nanoseconds("200ms") == nanoseconds(0.2) == 200_000_000
    True
    """
    if isinstance(duration, str):
        try:
            return parse_duration(duration)
        except ValueError as error:
            raise UsageError(str(error), help="such as 90s, 1.5s or 200ms") from None
    if duration < 0:
        raise UsageError(f"{duration} is not a duration: it is negative")
    return round(duration * SECOND)
