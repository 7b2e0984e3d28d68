# SPDX-License-Identifier: BSD-2-Clause
"""ACPI's root tables, FACS and MADT; FADT and DSDT have modules of their own.

Source: ACPI 6.4, sections 5.2.5 to 5.2.12.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from manager.boot.acpi import interrupts
from manager.graph.nodes import Graph

OEM_ID = b"VMMGR "
CREATOR_ID, REVISION = b"VMMG", 1
HEADER_LENGTH = 36
CHECKSUM_AT = 9
RSDP_ALIGNMENT, FACS_ALIGNMENT = 16, 64

RSDP_REVISION, RSDP_LENGTH, RSDP_V1_LENGTH = 2, 36, 20
FACS_LENGTH, FACS_VERSION = 64, 2

PCAT_COMPAT = 1
"""There are two 8259s as well, to be masked before the APICs are used."""
# Entries of the MADT
LOCAL_APIC, IO_APIC, SOURCE_OVERRIDE, LOCAL_APIC_NMI = 0, 1, 2, 4
LOCAL_APIC_ENABLED = 1
ALL_PROCESSORS = 0xFF
ISA_BUS = 0
AS_BUS = 0
"""Polarity and trigger mode: as the bus has them."""
LEVEL_HIGH = 0x0D


def checksum(data: bytes) -> int:
    """The byte that makes the sum of all bytes 0, modulo 256."""
    return -sum(data) & 0xFF


def table(signature: bytes, revision: int, body: bytes) -> bytes:
    """A system description table: the common header, and `body` after it."""
    header = struct.pack(
        "<4sIBB6s8sI4sI",
        signature,
        HEADER_LENGTH + len(body),
        revision,
        0,
        OEM_ID,
        b"VM" + signature.ljust(6),
        REVISION,
        CREATOR_ID,
        REVISION,
    )
    return seal(header + body, CHECKSUM_AT)


def seal(data: bytes, at: int) -> bytes:
    """The data with the checksum put in at `at`, where a 0 has been kept for it."""
    return data[:at] + bytes([checksum(data)]) + data[at + 1 :]


def rsdp(rsdt_address: int, xsdt_address: int) -> bytes:
    """The root pointer, which guests look for in the BIOS area."""
    first = struct.pack("<8sB6sBI", b"RSD PTR ", 0, OEM_ID, RSDP_REVISION, rsdt_address)
    sealed = seal(first, 8)
    return seal(sealed + struct.pack("<IQB3x", RSDP_LENGTH, xsdt_address, 0), 32)


def rsdt(addresses: Sequence[int]) -> bytes:
    """The addresses of the other tables, in 32 bits."""
    return table(b"RSDT", 1, struct.pack(f"<{len(addresses)}I", *addresses))


def xsdt(addresses: Sequence[int]) -> bytes:
    """The same in 64 bits."""
    return table(b"XSDT", 1, struct.pack(f"<{len(addresses)}Q", *addresses))


def facs() -> bytes:
    """The control structure for sleeping and the global lock, which firmware here never takes."""
    start = struct.pack("<4sIIIIIQB", b"FACS", FACS_LENGTH, 0, 0, 0, 0, 0, FACS_VERSION)
    return start.ljust(FACS_LENGTH, b"\0")


def madt(graph: Graph) -> bytes:
    """The APICs, and where they deviate from one pin for each ISA interrupt."""
    lapic = interrupts.only(graph, "lapic").memory[0].base
    ioapic = interrupts.only(graph, "ioapic").memory[0].base
    entries = [
        *(_entry(LOCAL_APIC, "<BBI", n, n, LOCAL_APIC_ENABLED) for n in range(graph.cpu_count)),
        _entry(IO_APIC, "<BBII", interrupts.ioapic_id(graph), 0, ioapic, 0),
        _override(interrupts.TIMER_IRQ, AS_BUS),
        *(_override(irq, LEVEL_HIGH) for irq in interrupts.level_irqs(graph)),
        _entry(LOCAL_APIC_NMI, "<BHB", ALL_PROCESSORS, AS_BUS, interrupts.LINT1),
    ]
    return table(b"APIC", 5, struct.pack("<II", lapic, PCAT_COMPAT) + b"".join(entries))


def _override(irq: int, flags: int) -> bytes:
    return _entry(SOURCE_OVERRIDE, "<BBIH", ISA_BUS, irq, interrupts.isa_gsi(irq), flags)


def _entry(kind: int, layout: str, *values: int) -> bytes:
    body = struct.pack(layout, *values)
    return bytes([kind, 2 + len(body)]) + body
