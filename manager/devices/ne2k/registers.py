# SPDX-License-Identifier: BSD-2-Clause
"""Registers of an NE2000 and their bits.

Sources: National Semiconductor DP8390D/NS32490D datasheet (July 1995), section 10; Realtek
RTL8029AS datasheet for page 3 and what PCI adds.
"""

from __future__ import annotations

PORTS_BAR, PORTS = 0, 32
DATA, RESET = 0x10, 0x18
"""Ports of the board, from here on: remote DMA, and a reset by any access. Before: the DP8390."""

COMMAND = 0x00
STOP, START, TRANSMIT = 0x01, 0x02, 0x04
REMOTE_READ, REMOTE_WRITE, SEND_PACKET, REMOTE_ABORT = 0x08, 0x10, 0x18, 0x20
REMOTE = REMOTE_READ | REMOTE_WRITE
PAGE_SHIFT = 6

# Page 0.
BOUNDARY = 0x03
FIFO = 0x06
INTERRUPT_STATUS = 0x07
COUNTERS = 0x0D
INTERRUPT_MASK = 0x0F
# Page 1.
PHYSICAL, CURRENT, MULTICAST = 0x01, 0x07, 0x08
# Page 3, of the RTL8029AS.
EEPROM_COMMAND, CONFIG2, CONFIG3 = 0x01, 0x05, 0x06
CONFIG_WRITABLE = 0xC0
CONFIG2_BITS, CONFIG3_BITS = 0xE0, 0x46

RECEIVED, SENT, RECEIVE_ERROR, SEND_ERROR = 0x01, 0x02, 0x04, 0x08
OVERWRITE, COUNTER_HALF, REMOTE_DONE, IN_RESET = 0x10, 0x20, 0x40, 0x80
INTERRUPTING = 0x7F

WORD_WIDE, NO_LOOPBACK = 0x01, 0x08
"""Data configuration."""
LOOPBACK, NO_CRC = 0x06, 0x01
"""Transmit configuration."""
RUNTS, BROADCAST, GROUPS, PROMISCUOUS, MONITOR = 0x02, 0x04, 0x08, 0x10, 0x20
"""Receive configuration."""
SENT_WHOLE, NO_CARRIER = 0x01, 0x10
"""Transmit status."""
RECEIVED_WHOLE, MISSED, OF_GROUP, DISABLED = 0x01, 0x10, 0x20, 0x40
"""Receive status."""

COUNTER_MOST = 192
COUNTER_HALF_AT = 128

READ: tuple[dict[int, tuple[str, int]], ...] = (
    {
        0x02: ("current", 0),
        0x03: ("boundary", 0),
        0x04: ("transmit_status", 0),
        0x07: ("interrupts", 0),
        0x08: ("remote_address", 0),
        0x09: ("remote_address", 8),
        0x0C: ("receive_status", 0),
    },
    {0x07: ("current", 0)},
    {
        0x01: ("page_start", 0),
        0x02: ("page_stop", 0),
        0x04: ("transmit_page", 0),
        0x0C: ("receive_configuration", 0),
        0x0D: ("transmit_configuration", 0),
        0x0E: ("data_configuration", 0),
        0x0F: ("mask", 0),
    },
    {0x01: ("eeprom_command", 0), 0x05: ("config2", 0), 0x06: ("config3", 0)},
)
"""By page and offset: the field of the record that is read, and from which bit on."""
CONSTANT = {(0, 0x0A): 0x50, (0, 0x0B): 0x43, (3, 0x0E): 0x29, (3, 0x0F): 0x80}
"""By page and offset: how drivers know an RTL8029AS."""
WRITE: tuple[dict[int, tuple[str, int]], ...] = (
    {
        0x01: ("page_start", 0),
        0x02: ("page_stop", 0),
        0x03: ("boundary", 0),
        0x04: ("transmit_page", 0),
        0x05: ("transmit_count", 0),
        0x06: ("transmit_count", 8),
        0x08: ("remote_address", 0),
        0x09: ("remote_address", 8),
        0x0A: ("remote_count", 0),
        0x0B: ("remote_count", 8),
        0x0C: ("receive_configuration", 0),
        0x0D: ("transmit_configuration", 0),
        0x0E: ("data_configuration", 0),
        0x0F: ("mask", 0),
    },
    {0x07: ("current", 0)},
    {},
    {},
)
"""By page and offset: the field that a byte is written to, and from which bit on."""
WRITABLE = {
    "receive_configuration": 0x3F,
    "transmit_configuration": 0x1F,
    "data_configuration": 0x7F,
    "mask": INTERRUPTING,
}
"""The bits of a field that exist, where not all do."""
