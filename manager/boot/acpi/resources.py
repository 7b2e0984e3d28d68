# SPDX-License-Identifier: BSD-2-Clause
"""Resource descriptors: what _CRS and _PRS say a device uses. Source: ACPI 6.4, section 6.4."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from manager.boot.acpi import aml

# Small descriptors: the low three bits are the length
IRQ_NO_FLAGS, IRQ, IO, END_TAG = 0x22, 0x23, 0x47, 0x79
# Large descriptors: a 16-bit length follows
MEMORY32_FIXED, DWORD_SPACE, WORD_SPACE, EXTENDED_INTERRUPT = 0x86, 0x87, 0x88, 0x89
QWORD_SPACE = 0x8A

DECODE_16 = 0x01
IRQ_EDGE, IRQ_SHARED = 0x01, 0x10
INTERRUPT_CONSUMER, INTERRUPT_SHARED = 0x01, 0x08
"""Neither edge-triggered nor active-low, whose bits stay 0."""
READ_WRITE = 0x01
SPACE_MEMORY, SPACE_IO, SPACE_BUS = 0, 1, 2
PRODUCER_FIXED = 0x0C
"""Handed on to the devices behind; both ends are where they are."""
IO_ENTIRE_RANGE = 0x03

INTERRUPT_NUMBER = 5
"""Where the first interrupt number of an extended interrupt descriptor is, in bytes."""


def template(*descriptors: bytes) -> bytes:
    """The buffer that _CRS is: descriptors and the end tag."""
    return aml.buffer(b"".join(descriptors) + bytes([END_TAG, 0]))


def io(base: int, length: int) -> bytes:
    """`length` (1-255) I/O ports at `base`, all 16 address bits decoded."""
    return struct.pack("<BBHHBB", IO, DECODE_16, base, base, 1, length)


def irq(number: int, *, shared: bool = False) -> bytes:
    """An ISA interrupt 0-15: edge-triggered, active-high."""
    if not shared:
        return struct.pack("<BH", IRQ_NO_FLAGS, 1 << number)
    return struct.pack("<BHB", IRQ, 1 << number, IRQ_EDGE | IRQ_SHARED)


def interrupts(numbers: Iterable[int]) -> bytes:
    """Global system interrupts (1-255 of them): level-triggered, active-high, shared."""
    listed = tuple(numbers)
    flags = INTERRUPT_CONSUMER | INTERRUPT_SHARED
    body = struct.pack(f"<BB{len(listed)}I", flags, len(listed), *listed)
    return struct.pack("<BH", EXTENDED_INTERRUPT, len(body)) + body


def memory32_fixed(base: int, length: int) -> bytes:
    """`length` bytes of memory space at `base`, below 4 GiB, readable and writable."""
    return struct.pack("<BHBII", MEMORY32_FIXED, 9, READ_WRITE, base, length)


def word_bus_number(first: int, last: int) -> bytes:
    """The PCI buses behind a bridge."""
    return _word_space(SPACE_BUS, 0, first, last)


def word_io(first: int, last: int) -> bytes:
    """The I/O ports that a bridge hands on, `first` to `last`."""
    return _word_space(SPACE_IO, IO_ENTIRE_RANGE, first, last)


def _word_space(kind: int, flags: int, first: int, last: int) -> bytes:
    length = last - first + 1
    body = struct.pack("<BBB5H", kind, PRODUCER_FIXED, flags, 0, first, last, 0, length)
    return struct.pack("<BH", WORD_SPACE, len(body)) + body


def qword_memory(first: int, last: int) -> bytes:
    """The same as dword_memory, for addresses of 64 bits."""
    length = last - first + 1
    kind = struct.pack("<BBB", SPACE_MEMORY, PRODUCER_FIXED, READ_WRITE)
    body = kind + struct.pack("<5Q", 0, first, last, 0, length)
    return struct.pack("<BH", QWORD_SPACE, len(body)) + body


def dword_memory(first: int, last: int) -> bytes:
    """The addresses that a bridge hands on, `first` to `last`: not cacheable, read and write."""
    length = last - first + 1
    kind = struct.pack("<BBB", SPACE_MEMORY, PRODUCER_FIXED, READ_WRITE)
    body = kind + struct.pack("<5I", 0, first, last, 0, length)
    return struct.pack("<BH", DWORD_SPACE, len(body)) + body
