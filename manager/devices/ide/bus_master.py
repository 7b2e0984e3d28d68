# SPDX-License-Identifier: BSD-2-Clause
"""The bus master of one channel: moves a command's data between drive and RAM.

Source: Intel 82371SB (PIIX3) datasheet, BMIC, BMIS, BMIDTP; Programming Interface for Bus Master
IDE Controller 1.0. The guest gives a list of regions, each at most 64 KiB.
"""

from __future__ import annotations

from collections.abc import Callable

from manager.bus.dma import FAILED, Dma, Segment
from manager.bus.record import Record, uint
from manager.lazy import dataclass

COMMAND, STATUS, TABLE = 0, 2, 4
LENGTH = 8
"""I/O ports of one channel."""
COMMAND_START = 0x01
COMMAND_TO_RAM = 0x08
STATUS_ACTIVE = 0x01
STATUS_ERROR = 0x02
STATUS_INTERRUPT = 0x04
STATUS_CAPABLE = 0x60  # scratch bits: firmware says that the drives can do DMA
END_OF_TABLE = 1 << 31
_MOST_REGIONS = 8192
"""A table is at most 64 KiB."""


@dataclass(slots=True)
class BusMasterState(Record):
    """The bus master of one channel."""

    TYPE = "ide-bus-master"

    command: int = uint(8, "command register")
    status: int = uint(8, "status register")
    table: int = uint(32, "address of the list of regions")


class ChannelMaster:
    """One channel's registers. `started` of the drive is asked, `on_start` told of a start."""

    def __init__(self, dma: Dma, on_start: Callable[[], None]) -> None:
        self.state = BusMasterState()
        self._dma = dma
        self._on_start = on_start

    @property
    def started(self) -> bool:
        """Whether the guest has started it."""
        return bool(self.state.command & COMMAND_START)

    # -- the drive's side -----------------------------------------------------------------

    def store(self, data: bytes) -> bool:
        """Data for RAM."""
        segments = self._segments(len(data))
        if segments is None or not self.state.command & COMMAND_TO_RAM:
            return False
        return self._dma.scatter(segments, data) == len(data)

    def load(self, length: int) -> bytes | None:
        """`length` bytes from RAM."""
        segments = self._segments(length)
        if segments is None or self.state.command & COMMAND_TO_RAM:
            return None
        data = self._dma.gather(segments)
        return data if len(data) == length else None

    def finish(self, *, failed: bool = False) -> None:
        """The transfer is over."""
        self.state.status &= ~STATUS_ACTIVE
        if failed:
            self.state.status |= STATUS_ERROR

    def interrupted(self) -> None:
        """The channel has asked for an interrupt."""
        self.state.status |= STATUS_INTERRUPT

    def _segments(self, length: int) -> list[Segment] | None:
        """The regions for `length` bytes; None when the list is too short or not in RAM."""
        found: list[Segment] = []
        at = self.state.table
        for _ in range(_MOST_REGIONS):
            address, entry = self._dma.read_u32(at), self._dma.read_u32(at + 4)
            if FAILED in (address, entry):
                return None
            some = min(length, entry & 0xFFFE or 0x10000)
            found.append((address & ~1, some))
            length -= some
            if length == 0:
                return found
            if entry & END_OF_TABLE:
                return None
            at += 8
        return None

    # -- the guest's side -----------------------------------------------------------------

    def read_port(self, offset: int) -> int:
        """IN of one byte."""
        state = self.state
        if offset == COMMAND:
            return state.command
        if offset == STATUS:
            return state.status
        return state.table >> 8 * (offset - TABLE) & 0xFF if offset >= TABLE else 0

    def write_port(self, offset: int, value: int) -> None:
        """OUT of one byte."""
        state = self.state
        if offset == COMMAND:
            before, state.command = state.command, value & (COMMAND_START | COMMAND_TO_RAM)
            if not state.command & COMMAND_START:
                state.status &= ~STATUS_ACTIVE
            elif not before & COMMAND_START:
                state.status |= STATUS_ACTIVE
                self._on_start()
        elif offset == STATUS:
            kept = state.status & (STATUS_ACTIVE | STATUS_ERROR | STATUS_INTERRUPT)
            cleared = value & (STATUS_ERROR | STATUS_INTERRUPT)
            state.status = kept & ~cleared | value & STATUS_CAPABLE
        elif offset >= TABLE:
            shift = 8 * (offset - TABLE)
            state.table = (state.table & ~(0xFF << shift) | value << shift) & 0xFFFF_FFFC
