# SPDX-License-Identifier: BSD-2-Clause
"""Ethernet as a network card sees it: frames, and the cable that they go out by."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Protocol

HEADER = 14
"""Bytes of the addresses and the type: no frame is shorter."""
MIN_FRAME = 60
"""Bytes that a frame has on a real wire, without its checksum; cards fill up shorter ones."""
MAX_FRAME = 1518
"""Bytes of the longest frame, with a VLAN tag and without its checksum. There are no jumbo frames
and no offloads: what is longer is lost, on its way in or out."""
ADDRESS = 6
"""Bytes of an address."""
EVERYONE = b"\xff" * ADDRESS
"""The address of all stations."""
CHECKSUM = 4
"""Bytes of the checksum that ends a frame on the wire."""


def is_group(address: bytes) -> bool:
    """Whether an address, or a frame by the one that it begins with, is for several stations."""
    return bool(address[0] & 1)


def checksum(frame: bytes) -> bytes:
    """The four bytes that end a frame on the wire (IEEE 802.3, 3.2.9)."""
    return zlib.crc32(frame).to_bytes(CHECKSUM, "little")


class Cable(Protocol):
    """What a card is plugged into. The other end may be far away, or not there."""

    def connect(self, arrive: Callable[[bytes], None], waiting: Callable[[], int]) -> None:
        """Tell the card of frames by `arrive`; `waiting` says how many it has no room for yet."""

    def send(self, frame: bytes) -> None:
        """Put a frame on the wire, now."""
