# SPDX-License-Identifier: BSD-2-Clause
"""The MP table, read as Intel's specification says that a guest reads it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from manager.boot import firmware_tables
from manager.bus.memory import Memory
from manager.devices.ioapic import device as ioapic
from manager.devices.lapic import registers as lapic_registers
from manager.graph.build import load_graph
from manager.graph.nodes import Graph

BOOT = '[boot]\nimage = "a.bin"\nload = 0x8000\nentry = 0x8000\nbits = 32\n'
BRIDGES = '[slots.0]\ndevice = "hostbridge"\n[slots.31]\ndevice = "lpc"\n'
UART = 'device = "uart"\n'
SIZES = {0: 20, 1: 8, 2: 8, 3: 8, 4: 8}
PCI_BUS, ISA_BUS = 0, 1
Make = Callable[[str], Graph]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def make(text: str) -> Graph:
        path = tmp_path / "demo.toml"
        path.write_text(text)
        return load_graph(path)

    return make


def entries(graph: Graph) -> dict[int, list[bytes]]:
    """The entries by type, found from the floating pointer on, everything checked on the way."""
    memory = Memory.blank(graph.memory_size)
    placed = firmware_tables.place(graph, memory)
    area = memory.read(0xF0000, 0x10000)
    (at,) = (at for at in range(0, 0x10000, 16) if area.startswith(b"_MP_", at))
    assert placed.mp_pointer == 0xF0000 + at
    floating = area[at : at + 16]
    assert sum(floating) % 256 == 0
    address, paragraphs, revision = struct.unpack_from("<IBB", floating, 4)
    assert (paragraphs, revision) == (1, 4)

    (length,) = struct.unpack("<H", memory.read(address + 4, 2))
    table = memory.read(address, length)
    assert sum(table) % 256 == 0
    assert table[:4] == b"PCMP"
    (count, lapic) = struct.unpack_from("<HI", table, 34)
    assert lapic == 0xFEE00000
    found: dict[int, list[bytes]] = {}
    rest = table[44:]
    for _ in range(count):
        size = SIZES[rest[0]]
        found.setdefault(rest[0], []).append(rest[:size])
        rest = rest[size:]
    assert rest == b""
    return found


def interrupts(graph: Graph, bus: int) -> dict[int, tuple[int, int]]:
    """source: (pin, flags) of each interrupt of a bus."""
    found = {}
    for entry in entries(graph)[3]:
        _, kind, flags, source_bus, source, apic, pin = struct.unpack("<BBHBBBB", entry)
        assert (kind, apic) == (0, 1)
        if source_bus == bus:
            found[source] = (pin, flags)
    return found


def test_there_is_one_processor_and_one_io_apic(make: Make) -> None:
    found = entries(make(BOOT + BRIDGES))

    (processor,) = found[0]
    assert processor[1:4] == bytes([0, lapic_registers.VERSION & 0xFF, 3]), "enabled, bootstrap"
    version = ioapic.VERSION & 0xFF
    assert found[2] == [struct.pack("<BBBBI", 2, 1, version, 1, ioapic.BASE)]


def test_every_processor_is_there_and_the_first_boots(make: Make) -> None:
    found = entries(make(BOOT + BRIDGES + "[cpu]\ncount = 4\n"))

    assert [one[1] for one in found[0]] == [0, 1, 2, 3]
    assert [one[3] for one in found[0]] == [3, 1, 1, 1]
    assert found[2][0][1] == 4
    assert {one[6] for one in found[3]} == {4}


def test_pci_is_bus_0_where_there_is_pci(make: Make) -> None:
    assert entries(make(BOOT + BRIDGES))[1] == [b"\1\0PCI   ", b"\1\1ISA   "]
    assert entries(make(BOOT))[1] == [b"\1\0ISA   "]


def test_isa_interrupts_are_on_their_pins_and_the_timer_on_2(make: Make) -> None:
    isa = interrupts(make(BOOT + BRIDGES), ISA_BUS)

    assert {irq: pin for irq, (pin, _) in isa.items()} == {
        irq: irq or 2 for irq in range(16) if irq != 2
    }
    assert {irq for irq, (_, flags) in isa.items() if flags == 0x0D} == {5, 9, 10, 11}
    assert {flags for irq, (_, flags) in isa.items() if irq not in (5, 9, 10, 11)} == {0}


def test_pci_pins_are_on_the_pins_of_their_pirqs(make: Make) -> None:
    graph = make(BOOT + BRIDGES + f"[slots.4]\n{UART}[slots.4.1]\n{UART}[slots.7]\n{UART}")

    assert interrupts(graph, PCI_BUS) == {4 << 2: (16, 0), 7 << 2: (19, 0)}


def test_a_fixed_pci_interrupt_is_on_its_isa_pin(make: Make) -> None:
    graph = make(BOOT + BRIDGES + f'[slots.4]\n{UART}legacy = "com2"\n')

    assert interrupts(graph, PCI_BUS) == {4 << 2: (3, 0)}


def test_the_8259s_and_nmi_are_local(make: Make) -> None:
    local = [struct.unpack("<BBHBBBB", entry) for entry in entries(make(BOOT))[4]]

    assert [(kind, lapic, pin) for _, kind, _, _, _, lapic, pin in local] == [
        (3, 0xFF, 0),
        (1, 0xFF, 1),
    ]
