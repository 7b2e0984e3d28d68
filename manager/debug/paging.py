# SPDX-License-Identifier: BSD-2-Clause
"""Linear to physical addresses, by the guest's own page tables.

Source: Intel SDM vol. 3, 4.3 (32-bit), 4.4 (PAE), 4.5 (4-level). Access rights are no concern of
a debugger's, and no accessed or dirty bit is set: looking changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from manager.cpu.state import CpuState

PAGE = 4096
CR0_PG = 1 << 31
CR4_PSE, CR4_PAE = 1 << 4, 1 << 5
EFER_LMA = 1 << 10
PRESENT, LARGE = 1 << 0, 1 << 7
A20 = 1 << 20
_ADDRESS = (1 << 52) - PAGE
"""The bits of an entry that are a physical address."""
_PSE36_HIGH = 0x1FE000
"""In a 4 MiB entry: bits 32-39 of the address, at bit 13."""

Load = Callable[[int, int], bytes]
"""(physical address, bytes) -> content. Raises ValueError where there is no RAM."""


def translate(state: CpuState, linear: int, load: Load) -> int | None:
    """The physical address, or None where no page is mapped."""
    physical = _walk(state, linear, load)
    return physical if physical is None or state.a20 else physical & ~A20


def _walk(state: CpuState, linear: int, load: Load) -> int | None:
    if not state.cr0 & CR0_PG:
        return linear & 0xFFFF_FFFF
    if state.efer & EFER_LMA:
        if linear >> 47 not in (0, 0x1FFFF):
            return None
        return _tables(state.cr3 & _ADDRESS, linear, (39, 30, 21, 12), 9, 8, load)
    linear &= 0xFFFF_FFFF
    if state.cr4 & CR4_PAE:
        entry = _entry(state.cr3 & 0xFFFF_FFE0, linear >> 30, 8, load)
        if entry is None or not entry & PRESENT:
            return None
        return _tables(entry & _ADDRESS, linear, (21, 12), 9, 8, load)
    entry = _entry(state.cr3 & 0xFFFF_F000, linear >> 22, 4, load)
    if entry is not None and entry & PRESENT and entry & LARGE and state.cr4 & CR4_PSE:
        high = (entry & _PSE36_HIGH) << 19
        return high | (entry & 0xFFC0_0000) | (linear & 0x3F_FFFF)
    if entry is None or not entry & PRESENT:
        return None
    return _tables(entry & 0xFFFF_F000, linear, (12,), 10, 4, load)


def _tables(
    table: int, linear: int, shifts: tuple[int, ...], bits: int, size: int, load: Load
) -> int | None:
    """Down the levels, whose index starts at bit `shift` and has `bits` bits."""
    for shift in shifts:
        entry = _entry(table, linear >> shift & (1 << bits) - 1, size, load)
        if entry is None or not entry & PRESENT:
            return None
        table = entry & (_ADDRESS if size == 8 else 0xFFFF_F000)
        if shift > 12 and shift < 39 and entry & LARGE:
            return (table & -(1 << shift)) | (linear & (1 << shift) - 1)
    return table | (linear & PAGE - 1)


def _entry(table: int, index: int, size: int, load: Load) -> int | None:
    try:
        return int.from_bytes(load(table + index * size, size), "little")
    except ValueError:
        return None
