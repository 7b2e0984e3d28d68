# SPDX-License-Identifier: BSD-2-Clause
"""What a port has sent, byte for byte and as text, and a point in it to go back to."""

from __future__ import annotations

from typing import NamedTuple

from manager.text.console_text import WINDOW, ConsoleText, TextState

RAW_LIMIT = 16 << 20
"""Bytes of output that are kept as they came; older ones go."""


class Kept(NamedTuple):
    """A point in what a port has sent."""

    raw: bytes
    dropped: int
    text: TextState


class Transcript:
    """Grows by what is heard."""

    __slots__ = ("_dropped", "raw", "text")

    def __init__(self) -> None:
        self.raw = bytearray()
        self.text = ConsoleText()
        self._dropped = 0

    def add(self, data: bytes) -> None:
        """The port has sent that."""
        self.raw += data
        if (surplus := len(self.raw) - RAW_LIMIT) > 0:
            del self.raw[:surplus]
            self._dropped += surplus
        self.text.add(data)
        if len(self.text.text) > 2 * WINDOW:
            self.text.forget()

    def kept(self) -> Kept:
        """The present point."""
        return Kept(bytes(self.raw), self._dropped, self.text.state)

    def go_back(self, kept: Kept) -> None:
        """What was sent since has not been."""
        if self._dropped == kept.dropped:
            del self.raw[len(kept.raw) :]
        else:
            self.raw[:] = kept.raw
            self._dropped = kept.dropped
        self.text.state = kept.text
