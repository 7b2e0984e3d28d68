# SPDX-License-Identifier: BSD-2-Clause
"""The memory map of a BIOS, and its ACPI root pointer.

Sources: ACPI specification 6.5, chapter 15 (INT 15h, E820h) and 5.2.5 (finding the RSDP);
IBM PS/2 and PC BIOS Interface Technical Reference, section 3 (BIOS data area).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from manager.bus.memory import ABOVE_VGA, AddressError, Memory

EBDA = 0x9FC00
BIOS = 0xF0000
ONE_MIB = 0x100000
RAM, RESERVED = 1, 2
EBDA_SEGMENT, BASE_MEMORY = 0x40E, 0x413
"""In the BIOS data area: a real-mode segment, and a number of KiB."""

RSDP_SIGNATURE = b"RSD PTR "
RSDP_ALIGNMENT = 16


class Range(NamedTuple):
    """`length` bytes at physical address `base`; `type` is RAM or RESERVED."""

    base: int
    length: int
    type: int


def memory_map(memory: Memory) -> list[Range]:
    """Every range of the memory map, ascending."""
    entries = []
    for region in memory.regions:
        if region.base == 0:
            entries.append(Range(0, min(EBDA, region.length), RAM))
            if region.length > EBDA:
                entries.append(Range(EBDA, region.length - EBDA, RESERVED))
        elif region.base == ABOVE_VGA:
            entries.append(Range(BIOS, ONE_MIB - BIOS, RESERVED))
            if region.end > ONE_MIB:
                entries.append(Range(ONE_MIB, region.end - ONE_MIB, RAM))
        else:
            entries.append(Range(region.base, region.length, RAM))
    return entries


def basic_sizes(memory: Memory) -> tuple[int, int]:
    """KiB of RAM from 0, at most 640, and KiB from 1 MiB up to the first hole."""
    lower, upper = 0, 0
    for entry in memory_map(memory):
        if entry.type == RAM and entry.base == 0:
            lower = entry.length >> 10
        elif entry.type == RAM and entry.base == ONE_MIB:
            upper = entry.length >> 10
    return lower, upper


def write_bios_data(memory: Memory) -> None:
    """Where the EBDA is, and how much RAM lies below it: some kernels put things there."""
    lower, _ = basic_sizes(memory)
    memory.write(BASE_MEMORY, struct.pack("<H", lower))
    if lower << 10 == EBDA:
        memory.write(EBDA_SEGMENT, struct.pack("<H", EBDA >> 4))
        memory.write(EBDA, b"\x01")  # its own length in KiB


def find_rsdp(memory: Memory) -> int:
    """The address of the ACPI root pointer where guests look for it, or 0."""
    try:
        bios = memory.read(BIOS, ONE_MIB - BIOS)
    except AddressError:
        return 0
    at = bios.find(RSDP_SIGNATURE)
    while at >= 0:
        if at % RSDP_ALIGNMENT == 0:
            return BIOS + at
        at = bios.find(RSDP_SIGNATURE, at + 1)
    return 0
