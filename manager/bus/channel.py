# SPDX-License-Identifier: BSD-2-Clause
"""The two wires of a serial port, as its uart sees them."""

from __future__ import annotations

from typing import Protocol


class Channel(Protocol):
    """What a uart talks to. Flow control is by pulling: a byte is taken only when there is room."""

    def transmit(self, byte: int) -> bytearray | None:
        """Take one byte from the guest. Never refuses; the channel keeps it.

        To what it returns, if anything, the next bytes may be added without a call, until
        anything else happens: see Grants.absorb.
        """

    def receive(self) -> int:
        """The next byte for the guest, 0-255, or -1 when none is waiting."""


class Loose:
    """A port with nothing plugged in: output goes nowhere, no input comes."""

    __slots__ = ()

    def transmit(self, byte: int) -> None:
        """Drop the byte."""

    def receive(self) -> int:
        """Never any input."""
        return -1
