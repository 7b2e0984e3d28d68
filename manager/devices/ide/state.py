# SPDX-License-Identifier: BSD-2-Clause
"""The record of an IDE drive."""

from __future__ import annotations

from manager.bus.blocks import SECTOR
from manager.bus.record import NEVER, Record, flag, integer, moment, octets, uint
from manager.lazy import dataclass

MAX_BUFFER = 1 << 16
"""Bytes that pass through the data register between two interrupts, at most."""
MOST_SECTORS = 1 << 16
"""Sectors of one command, at most."""
MOST_MULTIPLE = 16
"""Sectors to a block of the MULTIPLE commands, at most."""


@dataclass(slots=True)
class DriveState(Record):
    """One drive. The registers below hold the last byte written, and above it the one before."""

    TYPE = "ide-drive"

    features: int = uint(16, "features register")
    count: int = uint(16, "sector count register")
    lba_low: int = uint(16, "LBA low register")
    lba_mid: int = uint(16, "LBA mid register")
    lba_high: int = uint(16, "LBA high register")
    device: int = uint(8, "device register")
    status: int = uint(8, "status register")
    error: int = uint(8, "error register")
    interrupt: bool = flag("the drive asks for an interrupt")
    command: int = uint(8, "command that is being carried out")
    phase: int = uint(3, "0 idle, 1 busy, 2 data to the guest, 3 data from it, 4 bus master")
    due: int = moment("when the step that it is busy with is done", NEVER)
    sector: int = uint(48, "next sector of the command")
    left: int = integer(0, MOST_SECTORS, "what is left of the command", unit="sectors")
    block: int = integer(
        0, MAX_BUFFER // SECTOR, "what passes between two interrupts", unit="sectors"
    )
    buffer: bytearray = octets(0, MAX_BUFFER, "data between drive and guest")
    position: int = uint(32, "how much of the buffer has passed", unit="bytes")
    multiple: int = integer(
        0, MOST_MULTIPLE, "sectors to a block of the MULTIPLE commands; 0 is not set"
    )
    heads: int = uint(8, "heads that the guest counts")
    track: int = uint(8, "sectors to a track that the guest counts")
    sense: int = uint(8, "ATAPI: sense key")
    code: int = uint(16, "ATAPI: additional sense code and its qualifier")
    packet: bytearray = octets(0, 12, "ATAPI: the command")
    attention: bool = flag("ATAPI: a reset or a new disc has not been told")
