# SPDX-License-Identifier: BSD-2-Clause
"""The last output of a port, for a client that comes late."""

from __future__ import annotations

SIZE = 65536
"""Bytes that are kept."""


class Scrollback:
    """A ring of the last SIZE bytes."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept = bytearray()

    def __bytes__(self) -> bytes:
        return bytes(self._kept[-SIZE:])

    def add(self, data: bytes) -> None:
        """Append bytes."""
        self._kept += data
        if len(self._kept) > 2 * SIZE:  # moving bytes now and then, not each time
            del self._kept[:-SIZE]

    def drop(self, count: int) -> None:
        """Take back the newest `count` bytes."""
        if count:
            del self._kept[-count:]

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
