# SPDX-License-Identifier: BSD-2-Clause
"""The FADT: ACPI's fixed hardware. Source: ACPI 6.4, section 5.2.9 and chapter 4."""

from __future__ import annotations

import struct

from manager.boot.acpi import interrupts
from manager.boot.acpi.tables import table
from manager.graph.nodes import Graph

MAJOR_VERSION, MINOR_VERSION = 6, 4
UNSPECIFIED_PROFILE = 0

# Ports of the PM block: offset and length, in bytes
PM1_EVENT, PM1_EVENT_LENGTH = 0, 4
PM1_CONTROL, PM1_CONTROL_LENGTH = 4, 2
PM_TIMER, PM_TIMER_LENGTH = 8, 4

RTC_CENTURY = 0x32
NO_C2, NO_C3 = 0xFFFF, 0xFFFF
"""Latencies beyond what the states may have: the states do not exist."""
RESET_VALUE = 0x06
"""Hard reset, at the rising edge of bit 2."""

# IAPC_BOOT_ARCH. There is always a controller, but without a keyboard or a mouse bit 1 would make
# guests search for one.
LEGACY_DEVICES = 1 << 0
KEYBOARD_CONTROLLER = 1 << 1
VGA_NOT_PRESENT = 1 << 2

# Flags. PWR_BUTTON stays 0, which means that the power button is in PM1.
WBINVD = 1 << 0
PROC_C1 = 1 << 2
SLP_BUTTON = 1 << 5  # no sleep button in PM1
FIX_RTC = 1 << 6  # no RTC wake status in PM1
TMR_VAL_EXT = 1 << 8  # the PM timer has 32 bits
RESET_REG_SUP = 1 << 10
HEADLESS = 1 << 12

# Generic address structure
SYSTEM_IO = 1
ACCESS_BYTE, ACCESS_WORD, ACCESS_DWORD = 1, 2, 3
NOWHERE = bytes(12)
HYPERVISOR = b"VMMGR"


def fadt(graph: Graph, facs_address: int, dsdt_address: int) -> bytes:
    """Where the PM block is, and what a PC of this kind has and lacks.

    SMI_CMD is 0: the machine is in ACPI mode from the start.
    """
    pm = interrupts.only(graph, "acpi-pm").ports[0].base
    reset = interrupts.find(graph, "reset-control")
    flags = WBINVD | PROC_C1 | SLP_BUTTON | FIX_RTC | TMR_VAL_EXT
    legacy = LEGACY_DEVICES
    kinds = {node.type for node in graph.devices}
    if "vga" not in kinds:
        flags |= HEADLESS
        legacy |= VGA_NOT_PRESENT
    if kinds & {"ps2-keyboard", "ps2-mouse"}:
        legacy |= KEYBOARD_CONTROLLER
    reset_register = NOWHERE
    if reset is not None:
        flags |= RESET_REG_SUP
        reset_register = _register(reset.nested_ports[0].base, 1, ACCESS_BYTE)

    body = struct.pack(
        "<IIxBH", facs_address, dsdt_address, UNSPECIFIED_PROFILE, interrupts.sci(graph)
    )
    body += struct.pack("<IBBBB", 0, 0, 0, 0, 0)  # SMI_CMD and what it would take
    body += struct.pack("<6I", pm + PM1_EVENT, 0, pm + PM1_CONTROL, 0, 0, pm + PM_TIMER)
    body += struct.pack("<II", 0, 0)  # no general-purpose events
    lengths = (PM1_EVENT_LENGTH, PM1_CONTROL_LENGTH, 0, PM_TIMER_LENGTH, 0, 0, 0, 0)
    body += bytes(lengths)
    body += struct.pack("<HHHHBB", NO_C2, NO_C3, 0, 0, 0, 0)
    body += bytes((0, 0, RTC_CENTURY))
    body += struct.pack("<HxI", legacy, flags)
    body += reset_register + struct.pack("<BHB", RESET_VALUE, 0, MINOR_VERSION)
    body += struct.pack("<QQ", 0, dsdt_address)  # FACS is below 4 GiB, and given above
    body += _register(pm + PM1_EVENT, PM1_EVENT_LENGTH, ACCESS_WORD) + NOWHERE
    body += _register(pm + PM1_CONTROL, PM1_CONTROL_LENGTH, ACCESS_WORD) + NOWHERE
    body += NOWHERE  # PM2_CNT
    body += _register(pm + PM_TIMER, PM_TIMER_LENGTH, ACCESS_DWORD)
    body += NOWHERE * 4  # general-purpose events, sleep control and status
    return table(b"FACP", MAJOR_VERSION, body + HYPERVISOR.ljust(8, b"\0"))


def _register(port: int, length: int, access: int) -> bytes:
    """A generic address: `length` bytes of I/O ports."""
    return struct.pack("<BBBBQ", SYSTEM_IO, 8 * length, 0, access, port)
