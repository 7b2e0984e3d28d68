# SPDX-License-Identifier: BSD-2-Clause
"""What a disk controller sees of the disk behind it."""

from __future__ import annotations

from typing import Protocol

SECTOR = 512
"""Bytes of a sector."""


class Blocks(Protocol):
    """A disk: `sectors` of 512 bytes. No call raises; places are inside, the device checks that."""

    @property
    def sectors(self) -> int:
        """How many there are."""

    @property
    def read_only(self) -> bool:
        """Whether writes are refused."""

    @property
    def serial(self) -> str:
        """What the guest may tell the disk by: 1 to 20 printable ASCII characters."""

    def read(self, sector: int, count: int) -> bytes | None:
        """`count` sectors from `sector` on; None when the host cannot read them."""

    def write(self, sector: int, data: bytes | memoryview) -> bool:
        """Write whole sectors; False when the host cannot keep them."""

    def zero(self, sector: int, count: int) -> bool:
        """Write zeros; False when the host cannot keep them."""

    def flush(self) -> bool:
        """All that was written survives a power cut."""
