# SPDX-License-Identifier: BSD-2-Clause
"""Configuration registers of a type 0 header, their offsets and bits.

Source: PCI Local Bus Specification 3.0, chapter 6.
"""

from __future__ import annotations

COMMAND = 0x04
STATUS = 0x06
CACHE_LINE_SIZE = 0x0C
LATENCY_TIMER = 0x0D
BAR0 = 0x10
BARS = 6
BARS_END = BAR0 + 4 * BARS
ROM_BAR = 0x30
ROM_BAR_END = ROM_BAR + 4
CAPABILITIES = 0x34
INTERRUPT_LINE = 0x3C
DEVICE_SPECIFIC = 0x40
CONFIG_SIZE = 0x100

COMMAND_IO = 0x0001  # the function answers at its I/O BARs
COMMAND_MEMORY = 0x0002  # and at its memory BARs
COMMAND_BUS_MASTER = 0x0004  # it may do DMA and send messages
COMMAND_PARITY = 0x0040
COMMAND_SERR = 0x0100
COMMAND_INTX_DISABLE = 0x0400
COMMAND_BITS = (
    COMMAND_IO
    | COMMAND_MEMORY
    | COMMAND_BUS_MASTER
    | COMMAND_PARITY
    | COMMAND_SERR
    | COMMAND_INTX_DISABLE
)

STATUS_INTX = 0x0008  # the function wants its pin asserted, even if INTx is disabled
STATUS_CAPABILITIES = 0x0010  # there is a capability list
STATUS_DEVSEL_MEDIUM = 0x0200

BAR_IO = 0x00000001
BAR_64 = 0x00000004
BAR_PREFETCHABLE = 0x00000008
ROM_ENABLE = 0x00000001
EXPANSION_ROM = 6
"""What the expansion ROM's BAR counts as, after the six others."""
ROM_GRANULE = 0x800
"""An expansion ROM takes a power of two of bytes, at least this many."""

HEADER_MULTIFUNCTION = 0x80


def with_byte(value: int, shift: int, byte: int) -> int:
    """`value` with the 8 bits at `shift` replaced."""
    return value & ~(0xFF << shift) | byte << shift
