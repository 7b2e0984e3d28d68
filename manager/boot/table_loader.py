# SPDX-License-Identifier: BSD-2-Clause
"""The ACPI tables as firmware takes them from fw_cfg: two files, and what to do with them.

Firmware chooses where the tables go, then adds these addresses to the pointers in them and corrects
the checksums. In the file every pointer holds an offset into the tables, and a checksum to be
corrected is 0: some firmware adds to it, some replaces it. The commands are those of QEMU's
"etc/table-loader".
"""

from __future__ import annotations

import struct

from manager.boot.acpi import tables
from manager.boot.acpi.dsdt import dsdt
from manager.boot.acpi.fadt import fadt
from manager.graph.nodes import Graph

TABLES, RSDP, LOADER = "etc/acpi/tables", "etc/acpi/rsdp", "etc/table-loader"

ALLOCATE, ADD_POINTER, ADD_CHECKSUM = 1, 2, 3
HIGH_MEMORY, BIOS_AREA = 1, 2
COMMAND_LENGTH = 128
ALIGNMENT = 16
LENGTH_AT = 4
# Where addresses of other tables stand, and how long they are in bytes.
FADT_POINTERS = ((36, 4), (40, 4), (140, 8))
"""FACS, DSDT, and DSDT again."""
RSDP_POINTERS = ((16, 4), (24, 8))
RSDP_CHECKSUM_AT, RSDP_EXTENDED_CHECKSUM_AT = 8, 32


class _Tables:
    """The tables, one after the other, and the commands that finish them."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.commands = [
            _allocate(RSDP, tables.RSDP_ALIGNMENT, BIOS_AREA),
            _allocate(TABLES, tables.FACS_ALIGNMENT, HIGH_MEMORY),
        ]

    def put(self, table: bytes, alignment: int = ALIGNMENT) -> int:
        """Append a table; its offset."""
        self.content += bytes(-len(self.content) % alignment)
        offset = len(self.content)
        self.content += table
        return offset

    def point(self, table: int, pointers: tuple[tuple[int, int], ...]) -> None:
        """A table with addresses of others in it."""
        for at, size in pointers:
            self.commands.append(_add_pointer(TABLES, table + at, size))
        (length,) = struct.unpack_from("<I", self.content, table + LENGTH_AT)
        self.content[table + tables.CHECKSUM_AT] = 0
        self.commands.append(_add_checksum(TABLES, table + tables.CHECKSUM_AT, table, length))


def files(graph: Graph) -> dict[str, bytes]:
    """The files by name."""
    all_tables = _Tables()
    facs = all_tables.put(tables.facs(), tables.FACS_ALIGNMENT)
    fixed = all_tables.put(fadt(graph, facs, all_tables.put(dsdt(graph))))
    listed = (fixed, all_tables.put(tables.madt(graph)))
    rsdt, xsdt = all_tables.put(tables.rsdt(listed)), all_tables.put(tables.xsdt(listed))

    all_tables.point(fixed, FADT_POINTERS)
    body = tables.HEADER_LENGTH
    all_tables.point(rsdt, tuple((body + 4 * n, 4) for n in range(len(listed))))
    all_tables.point(xsdt, tuple((body + 8 * n, 8) for n in range(len(listed))))
    commands = all_tables.commands
    commands += [_add_pointer(RSDP, at, size) for at, size in RSDP_POINTERS]
    commands.append(_add_checksum(RSDP, RSDP_CHECKSUM_AT, 0, tables.RSDP_V1_LENGTH))
    commands.append(_add_checksum(RSDP, RSDP_EXTENDED_CHECKSUM_AT, 0, tables.RSDP_LENGTH))
    pointer = bytearray(tables.rsdp(rsdt, xsdt))
    pointer[RSDP_CHECKSUM_AT] = pointer[RSDP_EXTENDED_CHECKSUM_AT] = 0
    return {
        TABLES: bytes(all_tables.content),
        RSDP: bytes(pointer),
        LOADER: b"".join(commands),
    }


def _command(layout: str, *values: int | bytes) -> bytes:
    return struct.pack(layout, *values).ljust(COMMAND_LENGTH, b"\0")


def _allocate(file: str, alignment: int, zone: int) -> bytes:
    return _command("<I56sIB", ALLOCATE, file.encode(), alignment, zone)


def _add_pointer(file: str, at: int, size: int) -> bytes:
    """Add the address of the tables to the `size` bytes at `at`."""
    return _command("<I56s56sIB", ADD_POINTER, file.encode(), TABLES.encode(), at, size)


def _add_checksum(file: str, at: int, start: int, length: int) -> bytes:
    return _command("<I56sIII", ADD_CHECKSUM, file.encode(), at, start, length)
