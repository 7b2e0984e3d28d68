# SPDX-License-Identifier: BSD-2-Clause
"""Where a PS/2 device is plugged into the keyboard controller."""

from __future__ import annotations

from collections.abc import Callable

from manager.bus.lines import Line, Unconnected
from manager.bus.ps2 import Plugged


class Ps2Socket:
    """manager.bus.ps2.Socket: `free` and `take` are the controller's; `plugged` tells it."""

    __slots__ = ("_free", "_plugged", "device", "irq", "take")

    def __init__(
        self, free: Callable[[], bool], take: Callable[[int], None], plugged: Callable[[], None]
    ) -> None:
        self._free = free
        self._plugged = plugged
        self.take = take
        """A byte has come from the device."""
        self.device: Plugged | None = None
        self.irq: Line = Unconnected()

    @property
    def free(self) -> bool:
        """Whether the device may send."""
        return self._free()

    def plug(self, device: Plugged, irq: Line) -> None:
        """Put a device there, before any guest runs."""
        self.device, self.irq = device, irq
        self._plugged()
