# SPDX-License-Identifier: BSD-2-Clause
"""The break- and watchpoints that gdb has set, in its order."""

from __future__ import annotations

from manager.cpu.engine import Hit, Watchpoint
from manager.debug.packets import FAILED, OK, UNKNOWN

BREAKPOINTS_MAX, WATCHPOINTS_MAX = 256, 64
"""What the engine has room for."""
_SOFTWARE, _HARDWARE, _WRITE, _READ, _ACCESS = "01234"
"""Kinds of a Z packet."""
_WORDS = {_WRITE: b"watch", _READ: b"rwatch", _ACCESS: b"awatch"}


class Points:
    """Set and removed by Z and z packets."""

    def __init__(self) -> None:
        self._points: dict[tuple[str, int, int], None] = {}
        """(kind, address, length)."""

    def change(self, rest: str, *, insert: bool) -> bytes:
        """Carry out what follows the Z or z. Raises ValueError for what is no such packet."""
        kind, address, length = rest.partition(";")[0].split(",")[:3]
        if kind not in (_SOFTWARE, _HARDWARE, *_WORDS):
            return UNKNOWN
        start, size = int(address, 16), int(length, 16)
        point = (kind, start, size if kind in _WORDS else 0)
        if not insert:
            self._points.pop(point, None)
            return OK
        alike = sum((known[0] in _WORDS) == (kind in _WORDS) for known in self._points)
        room = WATCHPOINTS_MAX if kind in _WORDS else BREAKPOINTS_MAX
        if alike >= room or start >= 1 << 64 or (kind in _WORDS and not 0 < size <= 1 << 32):
            return FAILED
        self._points[point] = None
        return OK

    def wanted(self) -> tuple[set[int], list[Watchpoint]]:
        """What the engine is to stop for: addresses of code, and watchpoints."""
        breakpoints = {address for kind, address, _ in self._points if kind not in _WORDS}
        watchpoints = [
            Watchpoint(address, length, kind != _WRITE, kind != _READ)
            for kind, address, length in self._points
            if kind in _WORDS
        ]
        return breakpoints, watchpoints

    def reason(self, hit: Hit, address: int) -> bytes:
        """The part of a stop's answer that says which point it was; empty after a step."""
        if hit is Hit.BREAKPOINT:
            hard = any(point[:2] == (_HARDWARE, address) for point in self._points)
            return b"hwbreak:;" if hard else b"swbreak:;"
        if hit is Hit.WATCHPOINT:
            for kind, start, _ in self._points:
                if kind in _WORDS and start == address:
                    return b"%s:%x;" % (_WORDS[kind], address)
        return b""
