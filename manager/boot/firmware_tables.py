# SPDX-License-Identifier: BSD-2-Clause
"""What firmware leaves in the BIOS area: ACPI and MP tables to be found, an entry that resets."""

from __future__ import annotations

from manager.boot import mptable
from manager.boot.acpi import tables
from manager.boot.acpi.dsdt import dsdt
from manager.boot.acpi.fadt import fadt
from manager.bus.memory import Memory
from manager.graph.nodes import Graph
from manager.lazy import dataclass

AREA, AREA_END = 0xF0000, 0xFFFF0
"""Most of the 64 KiB under 1 MiB, which the memory map has as reserved and where guests look."""
ALIGNMENT = 16
RESET_ENTRY = 0xFFFF0
"""FFFF:0000, where a CPU starts; programs jump here to restart the machine."""
PULSE_RESET = bytes.fromhex("b0fe e664 f4 ebfd")
"""mov al, FEh; out 64h, al; hlt; jmp to the hlt: the keyboard controller's reset line."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Physical addresses, all of them in the BIOS area."""

    rsdp: int
    mp_pointer: int
    end: int
    """One past the last byte used by tables."""


class _Area:
    """The BIOS area, filled from its start."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.end = AREA

    def reserve(self, length: int, alignment: int = ALIGNMENT) -> int:
        """Room for `length` bytes."""
        address = -(-self.end // alignment) * alignment
        self.end = address + length
        assert self.end <= AREA_END, "the tables are larger than the BIOS area"
        return address

    def put(self, data: bytes, alignment: int = ALIGNMENT) -> int:
        """Write `data` behind what is there already."""
        address = self.reserve(len(data), alignment)
        self._memory.write(address, data)
        return address


def place(graph: Graph, memory: Memory) -> Placed:
    """Write all tables into RAM. The same graph gives the same bytes at the same addresses."""
    area = _Area(memory)
    rsdp = area.reserve(tables.RSDP_LENGTH, tables.RSDP_ALIGNMENT)
    mp_pointer = area.reserve(mptable.POINTER_LENGTH)
    facs = area.put(tables.facs(), tables.FACS_ALIGNMENT)
    fixed = area.put(fadt(graph, facs, area.put(dsdt(graph))))
    listed = (fixed, area.put(tables.madt(graph)))
    rsdt, xsdt = area.put(tables.rsdt(listed)), area.put(tables.xsdt(listed))
    memory.write(rsdp, tables.rsdp(rsdt, xsdt))
    memory.write(RESET_ENTRY, PULSE_RESET)
    memory.write(mp_pointer, mptable.pointer(area.put(mptable.table(graph))))
    return Placed(rsdp, mp_pointer, area.end)
