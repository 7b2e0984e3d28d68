# SPDX-License-Identifier: BSD-2-Clause
"""Where a disk's blocks lie, and points of its content to come back to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field

from manager.lazy import dataclass
from manager.storage.layer import Layer


@dataclass(slots=True, eq=False)
class Mark:
    """A point to come back to."""

    layers: tuple[Layer, ...]
    end: int
    """Of the log."""
    before: dict[int, int | None] = field(default_factory=dict)
    """Each block written since, and the slot it had: None when it was not in the log."""


@dataclass(slots=True)
class Extent:
    """Consecutive blocks that lie together. `read` takes a slot and a count of blocks."""

    count: int
    slot: int
    read: Callable[[int, int], bytes] | None
    """None for blocks of the base, whose slot is their number."""
