# SPDX-License-Identifier: BSD-2-Clause
"""The MP table, for guests that know the APICs but not ACPI.

Source: Intel MultiProcessor Specification 1.4, chapter 4.
"""

from __future__ import annotations

import struct

from manager.boot.acpi import interrupts
from manager.boot.acpi.tables import seal
from manager.graph.nodes import Graph

POINTER_LENGTH, PARAGRAPH = 16, 16
SPECIFICATION = 4
"""Version 1.4."""
OEM, PRODUCT = b"VMMGR   ", b"PC          "
HEADER_LENGTH = 44

# Entries; a processor takes 20 bytes, all others 8
PROCESSOR, BUS, IO_APIC, IO_INTERRUPT, LOCAL_INTERRUPT = 0, 1, 2, 3, 4
ENABLED, BOOTSTRAP = 1, 2
CPU_SIGNATURE, CPU_FEATURES = 0x0600, 0x0201
"""Family 6; FPU and APIC. For the rest a guest asks CPUID."""
LAPIC_VERSION, IOAPIC_VERSION = 0x14, 0x20
IOAPIC_ENABLED = 1
INT, NMI, EXT_INT = 0, 1, 3
AS_BUS, LEVEL_HIGH = 0x00, 0x0D
ALL_LAPICS = 0xFF


def pointer(table_address: int) -> bytes:
    """The floating pointer. There is no IMCR: at power-on the 8259s' INTR is on LINT0."""
    paragraphs = POINTER_LENGTH // PARAGRAPH
    return seal(struct.pack("<4sIBB6x", b"_MP_", table_address, paragraphs, SPECIFICATION), 10)


def table(graph: Graph) -> bytes:
    """The configuration table: one processor, its buses, the I/O APIC, all interrupts."""
    lapic = interrupts.only(graph, "lapic").memory[0].base
    ioapic = interrupts.only(graph, "ioapic").memory[0].base
    has_pci = interrupts.find(graph, "hostbridge") is not None
    # Guests take a PCI bus's id for its number, so bus 0 is PCI where there is any.
    isa = 1 if has_pci else 0

    entries = [
        struct.pack(
            "<BBBBII8x",
            PROCESSOR,
            interrupts.LAPIC_ID,
            LAPIC_VERSION,
            ENABLED | BOOTSTRAP,
            CPU_SIGNATURE,
            CPU_FEATURES,
        )
    ]
    if has_pci:
        entries.append(struct.pack("<BB6s", BUS, 0, b"PCI   "))
    entries.append(struct.pack("<BB6s", BUS, isa, b"ISA   "))
    entries.append(
        struct.pack(
            "<BBBBI",
            IO_APIC,
            interrupts.IOAPIC_ID,
            IOAPIC_VERSION,
            IOAPIC_ENABLED,
            ioapic,
        )
    )

    level = interrupts.level_irqs(graph)
    for irq in range(interrupts.ISA_IRQS):
        if irq != interrupts.CASCADE_IRQ:
            flags = LEVEL_HIGH if irq in level else AS_BUS
            entries.append(_io_interrupt(flags, isa, irq, interrupts.isa_gsi(irq)))
    for route in interrupts.pci_routes(graph):
        source = route.slot << 2 | route.pin - 1
        entries.append(_io_interrupt(AS_BUS, 0, source, route.gsi))
    for kind, lint in ((EXT_INT, interrupts.LINT0), (NMI, interrupts.LINT1)):
        entries.append(
            struct.pack("<BBHBBBB", LOCAL_INTERRUPT, kind, AS_BUS, isa, 0, ALL_LAPICS, lint)
        )

    body = b"".join(entries)
    header = struct.pack(
        "<4sHBB8s12sIHHIHBx",
        b"PCMP",
        HEADER_LENGTH + len(body),
        SPECIFICATION,
        0,
        OEM,
        PRODUCT,
        0,
        0,
        len(entries),
        lapic,
        0,
        0,
    )
    return seal(header + body, 7)


def _io_interrupt(flags: int, bus: int, source: int, pin: int) -> bytes:
    return struct.pack("<BBHBBBB", IO_INTERRUPT, INT, flags, bus, source, interrupts.IOAPIC_ID, pin)
