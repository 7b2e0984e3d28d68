# SPDX-License-Identifier: BSD-2-Clause
"""Whether what a device grants holds: the access again changes what was said, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from manager.bus.grants import UNBOUNDED


class Noted:
    """Grants that a bench writes down instead of acting on them."""

    def __init__(self) -> None:
        self._steady = 0
        self._absorbs: list[tuple[bytearray | None, int, int]] = []

    def steady(self, size: int = 1, /) -> None:
        """Note it."""
        self._steady += size

    def absorb(self, buffer: bytearray | None, most: int = UNBOUNDED, size: int = 1) -> None:
        """Note it."""
        self._absorbs.append((buffer, most, size))

    def checked_read(self, size: int, read: Callable[[], int], state: Callable[[], Any]) -> int:
        """Read; if that is steady once more, which is to give the same and change no `state`."""
        self._steady = 0
        value = read()
        if self._steady == size:
            before = state()
            again = read()
            assert again == value, f"a steady read gives {value:#x} and then {again:#x}"
            assert state() == before, "a read that is called steady changes the device"
        return value

    def checked_write(
        self, size: int, value: int, write: Callable[[], None], state: Callable[[], Any]
    ) -> None:
        """Write; if that is absorbed once more, which is to add to the buffer and change no more.

        What the second one has added is taken away again.
        """
        self._absorbs.clear()
        write()
        granted = self._absorbs[:]
        if len(granted) != 1 or granted[0][2] != size:
            return
        buffer, most, _ = granted[0]
        before, expected = state(), bytes(buffer or b"")
        if buffer is not None and len(buffer) + size > most:
            return
        write()
        if buffer is not None:
            added = bytes(buffer[len(expected) :])
            assert added == value.to_bytes(size, "little"), f"{added.hex()} was added"
            del buffer[len(expected) :]
        assert state() == before, "a write that is called absorbed changes more than its buffer"
