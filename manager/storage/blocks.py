# SPDX-License-Identifier: BSD-2-Clause
"""A disk behind a controller: manager.bus.blocks.Blocks, with the host's failures taken care of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from manager.storage.base import SECTOR
from manager.storage.disk import Disk

OnFull = Literal["pause", "error"]
"""What happens when the host has no room: the machine waits, or the guest gets an I/O error."""


class DiskBlocks:
    """`tell` is called with each failure of the host, once until it is over.

    Blocks that the host has no room for are kept in memory with "pause", and `tell` is to stop the
    machine: nothing is lost, and the guest sees no error.
    """

    def __init__(
        self, disk: Disk, serial: str, tell: Callable[[str], None], on_full: OnFull = "pause"
    ) -> None:
        self.disk = disk
        self.serial = serial
        self._tell = tell
        self.fault = ""
        """What the host last failed in, until it is over."""
        disk.log.holding = on_full == "pause"

    @property
    def sectors(self) -> int:
        """How many there are."""
        return self.disk.sectors

    @property
    def read_only(self) -> bool:
        """Whether writes are refused."""
        return self.disk.read_only

    def read(self, sector: int, count: int) -> bytes | None:
        """`count` sectors from `sector` on."""
        if not self._is_inside(sector, count):
            return None
        try:
            return self.disk.read(sector * SECTOR, count * SECTOR)
        except OSError as error:
            self._failed(f"cannot be read: {error.strerror}")
            return None

    def write(self, sector: int, data: bytes | memoryview) -> bool:
        """Write whole sectors."""
        if self.read_only or not self._is_inside(sector, len(data) // SECTOR):
            return False
        return self._kept(lambda: self.disk.write(sector * SECTOR, data))

    def zero(self, sector: int, count: int) -> bool:
        """Write zeros."""
        if self.read_only or not self._is_inside(sector, count):
            return False
        return self._kept(lambda: self.disk.zero(sector * SECTOR, count * SECTOR))

    def flush(self) -> bool:
        """What was written is in the host's files already."""
        return True

    def retry(self) -> str:
        """Try again what the host had no room for: what is wrong, or an empty string."""
        try:
            self.disk.log.retry()
        except OSError as error:
            return f"cannot be written: {error.strerror}"
        self.fault = ""
        return ""

    def _is_inside(self, sector: int, count: int) -> bool:
        return 0 < count <= self.sectors - sector

    def _kept(self, write: Callable[[], None]) -> bool:
        try:
            write()
        except OSError as error:
            self._failed(f"cannot be written: {error.strerror}")
            return False
        if self.disk.log.held:
            self._failed("cannot be written: the host has no room left")
        return True

    def _failed(self, fault: str) -> None:
        if fault != self.fault:
            self.fault = fault
            self._tell(fault)
