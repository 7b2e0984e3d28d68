# SPDX-License-Identifier: BSD-2-Clause
"""The MP table, for guests that know the APICs but not ACPI.

Source: Intel MultiProcessor Specification 1.4, chapter 4.
"""

from __future__ import annotations

import struct

from manager.boot.acpi import interrupts
from manager.boot.acpi.tables import seal
from manager.devices.node import PCI_BUS
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
    """The configuration table: the processors, their buses, the I/O APIC, all interrupts."""
    ioapic = interrupts.ioapic_id(graph)
    has_pci = graph.bridge(PCI_BUS) is not None
    # Guests take a PCI bus's id for its number, so bus 0 is PCI where there is any.
    pci, isa = (0, 1) if has_pci else (None, 0)
    buses = [_bus(pci, b"PCI   ")] if pci is not None else []
    entries = [
        *(_processor(number) for number in range(graph.cpu_count)),
        *buses,
        _bus(isa, b"ISA   "),
        _io_apic(ioapic, interrupts.only(graph, "ioapic").memory[0].base),
    ]
    level = interrupts.level_irqs(graph)
    for irq in range(interrupts.ISA_IRQS):
        if irq != interrupts.CASCADE_IRQ:
            flags = LEVEL_HIGH if irq in level else AS_BUS
            entries.append(_io_interrupt(ioapic, flags, isa, irq, interrupts.isa_gsi(irq)))
    for route in interrupts.pci_routes(graph):
        assert pci is not None, "a PCI function without a host bridge"
        source = route.slot << 2 | route.pin - 1
        entries.append(_io_interrupt(ioapic, AS_BUS, pci, source, route.gsi))
    entries.append(_local_interrupt(EXT_INT, isa, interrupts.LINT0))
    entries.append(_local_interrupt(NMI, isa, interrupts.LINT1))

    body = b"".join(entries)
    lapic = interrupts.only(graph, "lapic").memory[0].base
    start = struct.pack("<4sHBx", b"PCMP", HEADER_LENGTH + len(body), SPECIFICATION)
    header = start + struct.pack("<8s12sIHHI4x", OEM, PRODUCT, 0, 0, len(entries), lapic)
    return seal(header + body, 7)


def _processor(number: int) -> bytes:
    identity = (number, LAPIC_VERSION, ENABLED | (BOOTSTRAP if number == 0 else 0))
    return struct.pack("<BBBBII8x", PROCESSOR, *identity, CPU_SIGNATURE, CPU_FEATURES)


def _bus(number: int, kind: bytes) -> bytes:
    return struct.pack("<BB6s", BUS, number, kind)


def _io_apic(id: int, base: int) -> bytes:
    identity = (id, IOAPIC_VERSION, IOAPIC_ENABLED)
    return struct.pack("<BBBBI", IO_APIC, *identity, base)


def _local_interrupt(kind: int, bus: int, pin: int) -> bytes:
    return struct.pack("<BBHBBBB", LOCAL_INTERRUPT, kind, AS_BUS, bus, 0, ALL_LAPICS, pin)


def _io_interrupt(ioapic: int, flags: int, bus: int, source: int, pin: int) -> bytes:
    return struct.pack("<BBHBBBB", IO_INTERRUPT, INT, flags, bus, source, ioapic, pin)
