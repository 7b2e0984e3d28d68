# SPDX-License-Identifier: BSD-2-Clause
"""Kernels with the PVH entry point: an ELF note names a 32-bit entry that needs no firmware.

Sources: Xen, docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h (version 1).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from manager.boot import e820, elf, modes
from manager.boot.errors import BootImageError
from manager.boot.modules import Module, place
from manager.boot.multiboot import INFORMATION, RBX, put_kernel
from manager.boot.placement import Placement
from manager.bus.memory import Memory
from manager.cpu.state import CpuState, Segment

NOTE_OWNER, NOTE_PHYS32_ENTRY = b"Xen", 18
START_INFO_MAGIC, START_INFO_VERSION = 0x336EC578, 1
TASK_LIMIT = 0x67


def entry_point(image: bytes) -> int | None:
    """The physical address that an ELF file's PVH note names, or None. Raises BootImageError."""
    for note in elf.notes(image):
        if note.owner == NOTE_OWNER and note.type == NOTE_PHYS32_ENTRY:
            if len(note.content) not in (4, 8):
                raise BootImageError("its PVH note is malformed")
            return int.from_bytes(note.content, "little")
    return None


def parse(image: bytes) -> elf.Executable:
    """An ELF kernel and its PVH entry point. Raises BootImageError."""
    executable, entry = elf.parse(image), entry_point(image)
    if entry is None:
        raise BootImageError("the kernel has no PVH entry point")
    return elf.Executable(32, entry, executable.segments)


def load(
    executable: elf.Executable,
    modules: Iterable[Module],
    command_line: str,
    memory: Memory,
    rsdp: int = 0,
) -> CpuState:
    """Put everything into RAM and return the CPU state at the entry. Raises BootImageError.

    `rsdp` is the address of the ACPI root pointer, 0 for none.
    """
    placement = Placement(memory)
    end = put_kernel(executable, placement)

    def store(data: bytes, what: str) -> int:
        return placement.store(data, what, start=INFORMATION)

    text = store(command_line.encode() + b"\0", "the command line")
    placed = place(modules, placement, end)
    entries = [
        struct.pack(
            "<QQQQ",
            module.start,
            module.end - module.start,
            store(module.arguments, "a module's arguments"),
            0,
        )
        for module in placed
    ]
    table = store(b"".join(entries), "the module list") if entries else 0
    ranges = e820.memory_map(memory)
    content = b"".join(struct.pack("<QQII", *entry, 0) for entry in ranges)
    map_ = store(content, "the memory map")
    head = struct.pack("<IIII", START_INFO_MAGIC, START_INFO_VERSION, 0, len(entries))
    rest = struct.pack("<QQQQII", table, text, rsdp, map_, len(ranges), 0)
    info = store(head + rest, "the start info")

    state = modes.protected_mode(memory, executable.entry, modes.FIRST)
    state.tr = Segment(0, 0, TASK_LIMIT, modes.TSS32_BUSY)
    state.gpr[RBX] = info
    return state
