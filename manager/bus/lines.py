# SPDX-License-Identifier: BSD-2-Clause
"""Interrupt lines: a level with one driver and one listener.

Lines have no state of their own: after a restore every device drives its line again from its
record, and since the controller's record holds its pins, that makes no edge.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Line(Protocol):
    """One input of an interrupt controller, or a share of one."""

    def set(self, level: bool) -> None:
        """Drive the line high (asserted) or low."""


class Wire:
    """A line that calls a function when its level changes."""

    __slots__ = ("_on_change", "level")

    def __init__(self, on_change: Callable[[bool], None]) -> None:
        self._on_change = on_change
        self.level = False

    def set(self, level: bool) -> None:
        """Drive the wire; only changes are passed on."""
        if level != self.level:
            self.level = level
            self._on_change(level)


class WiredOr:
    """A line with several drivers: high while any of them drives it high."""

    __slots__ = ("_asserted", "_target")

    def __init__(self, target: Line) -> None:
        self._target = target
        self._asserted = 0

    def join(self) -> Line:
        """A new driver of the line."""
        return Wire(self._changed)

    def _changed(self, level: bool) -> None:
        self._asserted += 1 if level else -1
        if self._asserted == (1 if level else 0):
            self._target.set(level)


class Fork:
    """One line that drives two."""

    __slots__ = ("_first", "_second")

    def __init__(self, first: Line, second: Line) -> None:
        self._first = first
        self._second = second

    def set(self, level: bool) -> None:
        """Drive both."""
        self._first.set(level)
        self._second.set(level)


class Unconnected:
    """A line that leads nowhere."""

    __slots__ = ()

    def set(self, level: bool) -> None:
        """There is nothing at the other end."""
