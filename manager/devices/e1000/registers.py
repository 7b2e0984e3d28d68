# SPDX-License-Identifier: BSD-2-Clause
"""Registers of an 82540EM and their bits.

Source: Intel, PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual
(317453), chapter 13.
"""

from __future__ import annotations

REGISTERS_BAR, REGISTERS_LENGTH = 0, 1 << 17
PORTS_BAR, PORTS = 2, 64
IO_ADDRESS, IO_DATA = 0, 4
"""I/O ports: the offset of a register, and its value."""

CTRL, CTRL_COPY, STATUS, EECD, EERD, MDIC = 0x00, 0x04, 0x08, 0x10, 0x14, 0x20
ICR, ICS, IMS, IMC = 0xC0, 0xC8, 0xD0, 0xD8
RCTL, TCTL = 0x100, 0x400
RECEIVE_RING, TRANSMIT_RING = 0x2800, 0x3800
BASE_LOW, BASE_HIGH, LENGTH, HEAD, TAIL = 0x00, 0x04, 0x08, 0x10, 0x18
"""Within the registers of a ring."""
RING_END = 0x1C
STATISTICS, STATISTICS_END = 0x4000, 0x4100
GROUPS, GROUPS_END = 0x5200, 0x5400
ADDRESSES, ADDRESSES_END = 0x5400, 0x5480
VLANS, VLANS_END = 0x5600, 0x5800

CTRL_SET_LINK_UP, CTRL_RESET, CTRL_VLAN, CTRL_PHY_RESET = 1 << 6, 1 << 26, 1 << 30, 1 << 31
CTRL_AT_RESET = 0x201
"""Full duplex, 1000 Mbit/s."""
STATUS_LINK = 0x02
STATUS_ALWAYS = 0x0681
"""Full duplex, 1000 Mbit/s as set and as detected, transmit clock."""
SENT, QUEUE_EMPTY, LINK_CHANGED, FEW_DESCRIPTORS, RECEIVED, MDIO_DONE = 1, 2, 4, 0x10, 0x80, 0x200
CAUSES = 0x1FFFF
"""Bits of ICR, IMS."""

RECEIVE_ENABLE, ALL_STATIONS, ALL_GROUPS, LOOPBACK = 0x02, 0x08, 0x10, 0xC0
BROADCAST, VLAN_FILTER, SIZE_EXTENSION, STRIP_CHECKSUM = 1 << 15, 1 << 18, 1 << 25, 1 << 26
THRESHOLD_SHIFT, GROUP_OFFSET_SHIFT, SIZE_SHIFT = 8, 12, 16
TRANSMIT_ENABLE, PAD_SHORT = 0x02, 0x08
ADDRESS_VALID = 1 << 31

PLAIN = {
    0x018: "extended_control",
    0x028: "flow_address_low",
    0x02C: "flow_address_high",
    0x030: "flow_type",
    0x038: "vlan_type",
    0x0C4: "throttling",
    0x100: "receive_control",
    0x170: "flow_timer",
    0x178: "transmit_word",
    0x400: "transmit_control",
    0x410: "gap",
    0x458: "adaptive_gap",
    0xE00: "leds",
    0x1000: "buffer_allocation",
    0x2160: "flow_low",
    0x2168: "flow_high",
    0x2820: "receive_delay",
    0x2828: "receive_descriptors",
    0x282C: "receive_limit",
    0x2C00: "small_packets",
    0x3820: "transmit_delay",
    0x3828: "transmit_descriptors",
    0x382C: "transmit_limit",
    0x3830: "segmentation_pad",
    0x5000: "receive_checksum",
    0x5800: "wake_up",
    0x5808: "wake_up_filter",
    0x5820: "management",
}
"""Registers that are read as they were written, by offset: the field of the record."""
RESERVED = {"extended_control": 1 << 13, "receive_control": 0xF900_0001}
"""Bits of them that are not kept."""
