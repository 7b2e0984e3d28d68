# SPDX-License-Identifier: BSD-2-Clause
"""CPU states to start in: real mode, flat 32-bit protected mode, 64-bit long mode.

The two flat modes need descriptor tables and, for 64 bits, page tables in RAM. They go where no
boot protocol wants anything: GDT at 0x500, page tables at 0x1000-0x6FFF.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from manager.bus.memory import Memory
from manager.cpu.state import CpuState, Segment, Table

GDT_BASE = 0x500
PAGE_TABLES = 0x1000
PAGE_TABLES_END = 0x7000


class Selectors(NamedTuple):
    """Of the flat code segment and of the flat data segment right behind it in the GDT."""

    code: int
    data: int


LINUX = Selectors(0x10, 0x18)
"""Linux's boot protocol asks for __BOOT_CS and __BOOT_DS at these; flat images have them, too."""
FIRST = Selectors(0x08, 0x10)
"""What GRUB and `qemu -kernel` start kernels with. Most have their own segments there as well, so
that one which loads its GDT and goes on without a far jump does not notice."""

CODE32, CODE64, DATA = 0xC09B00, 0xA09B00, 0xC09300
TSS32_BUSY = 0x8B00

CR0_PE, CR0_ET, CR0_PG = 1 << 0, 1 << 4, 1 << 31
CR4_PAE = 1 << 5
EFER_LME, EFER_LMA = 1 << 8, 1 << 10
PTE_PRESENT, PTE_WRITE, PTE_LARGE = 1 << 0, 1 << 1, 1 << 7
TWO_MIB = 1 << 21


def real_mode(entry: int) -> CpuState:
    """Real mode at physical address `entry` (below 1 MiB), all segments 0, stack under 0x7C00."""
    state = CpuState.at_reset()
    state.cs = Segment(0, 0, 0xFFFF, 0x9B00)
    state.rip = entry
    state.gpr[4] = 0x7C00
    return state


def protected_mode(memory: Memory, entry: int, selectors: Selectors = LINUX) -> CpuState:
    """Flat 32-bit protected mode, paging off, interrupts off."""
    return _flat(memory, entry, CODE32, selectors)


def long_mode(memory: Memory, entry: int, selectors: Selectors = LINUX) -> CpuState:
    """64-bit mode, the first 4 GiB mapped to themselves, interrupts off."""
    pml4, pdpt = PAGE_TABLES, PAGE_TABLES + 0x1000
    link = PTE_PRESENT | PTE_WRITE
    directories = [PAGE_TABLES + 0x2000 + 0x1000 * n for n in range(4)]
    memory.write(pml4, struct.pack("<Q", pdpt | link))
    memory.write(pdpt, struct.pack("<4Q", *(table | link for table in directories)))
    for number, table in enumerate(directories):
        first = number << 30
        entries = (first + TWO_MIB * n | link | PTE_LARGE for n in range(512))
        memory.write(table, struct.pack("<512Q", *entries))

    state = _flat(memory, entry, CODE64, selectors)
    state.cr3 = pml4
    state.cr4 = CR4_PAE
    state.efer = EFER_LME | EFER_LMA
    state.cr0 |= CR0_PG
    return state


def _flat(memory: Memory, entry: int, code: int, selectors: Selectors) -> CpuState:
    def descriptor(attributes: int) -> int:
        return attributes << 32 | 0xF << 48 | 0xFFFF

    null = [0] * (selectors.code // 8)
    entries = (*null, descriptor(code), descriptor(DATA))
    gdt = struct.pack(f"<{len(entries)}Q", *entries)
    memory.write(GDT_BASE, gdt)
    state = CpuState.at_reset()
    state.gdtr = Table(GDT_BASE, len(gdt) - 1)
    state.idtr = Table(0, 0)
    state.cs = Segment(selectors.code, 0, 0xFFFFFFFF, code)
    for name in ("ds", "es", "ss", "fs", "gs"):
        setattr(state, name, Segment(selectors.data, 0, 0xFFFFFFFF, DATA))
    state.cr0 = CR0_PE | CR0_ET
    state.rip = entry
    return state
