# SPDX-License-Identifier: BSD-2-Clause
"""Ethernet as a network card sees it: frames, and the cable that they go out by."""

from __future__ import annotations

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


class Cable(Protocol):
    """What a card is plugged into. The other end may be far away, or not there."""

    def connect(self, arrive: Callable[[bytes], None], waiting: Callable[[], int]) -> None:
        """Tell the card of frames by `arrive`; `waiting` says how many it has no room for yet."""

    def send(self, frame: bytes) -> None:
        """Put a frame on the wire, now."""
