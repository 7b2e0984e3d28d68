# SPDX-License-Identifier: BSD-2-Clause
"""Both sides of a PS/2 plug: the keyboard controller's port, and the device in it."""

from __future__ import annotations

from typing import Protocol

from manager.bus.lines import Line


class Port(Protocol):
    """The controller's side of a plug."""

    @property
    def free(self) -> bool:
        """Whether the device may send."""

    def take(self, byte: int) -> None:
        """A byte has come from the device."""


class Plugged(Protocol):
    """The device's side of a plug."""

    def receive(self, byte: int) -> None:
        """A byte has come from the guest."""

    def released(self) -> None:
        """The device may send."""


class Socket(Port, Protocol):
    """A port that something can be plugged into."""

    def plug(self, device: Plugged, irq: Line) -> None:
        """Put a device there, before any guest runs; `irq` is the port's interrupt."""
