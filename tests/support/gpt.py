# SPDX-License-Identifier: BSD-2-Clause
"""A GUID partition table (UEFI specification 2.10, section 5), the first of its two copies."""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Sequence

SECTOR = 512
ENTRIES, ENTRY_LENGTH = 128, 128
HEADER_AT, ENTRIES_AT, FIRST_USABLE = 1, 2, 34
HEADER_LENGTH = 92
PROTECTIVE = 0xEE
BIOS_BOOT = uuid.UUID("21686148-6449-6e6f-744e-656564454649")
LINUX = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")


def table(sectors: int, partitions: Sequence[tuple[uuid.UUID, int, int]]) -> bytes:
    """Sectors 0 to 33 of a disk: protective MBR, header, entries.

    A partition is its type, and its first and last sector.
    """
    entries = b"".join(
        struct.pack("<16s16sQQQ72s", kind.bytes_le, uuid.UUID(int=n).bytes_le, first, last, 0, b"")
        for n, (kind, first, last) in enumerate(partitions, 1)
    ).ljust(ENTRIES * ENTRY_LENGTH, b"\0")
    header = _header(sectors, entries, 0)
    header = _header(sectors, entries, zlib.crc32(header))
    whole = struct.pack("<B3sB3sII", 0, b"\0\2\0", PROTECTIVE, b"\xff" * 3, 1, sectors - 1)
    record = bytes(0x1BE) + whole.ljust(64, b"\0") + b"\x55\xaa"
    return record + header.ljust(SECTOR, b"\0") + entries


def _header(sectors: int, entries: bytes, checksum: int) -> bytes:
    return struct.pack(
        "<8sIIIIQQQQ16sQIII",
        b"EFI PART",
        0x10000,
        HEADER_LENGTH,
        checksum,
        0,
        HEADER_AT,
        sectors - 1,
        FIRST_USABLE,
        sectors - FIRST_USABLE,
        uuid.UUID(int=0xD15C).bytes_le,
        ENTRIES_AT,
        ENTRIES,
        ENTRY_LENGTH,
        zlib.crc32(entries),
    )
