# SPDX-License-Identifier: BSD-2-Clause
"""What is checked of a stored state of wires, so that it cannot ask for what is over."""

from __future__ import annotations

from typing import Any

from manager.bus.record import NEVER, RecordError


def require_asked(name: str, until: int, now: int) -> None:
    """Raise RecordError unless what is sent from `now` on is news to a wire asked till `until`."""
    if until > now:
        raise RecordError(f"{name}: it is ahead of the lab's time")


def piece(name: str, plain: Any, now: int) -> tuple[int, bytes]:
    """What a line has sent since `now`: when that began, the bytes. Raises RecordError."""
    begun_at, data = plain if isinstance(plain, list) and len(plain) == 2 else (None, None)
    if type(begun_at) is not int or not isinstance(data, bytes):
        raise RecordError(f"{name}: what it sends is no piece")
    if not (now if data else 0) <= begun_at < NEVER:
        raise RecordError(f"{name}: what it sends is of another time")
    return begun_at, data
