# SPDX-License-Identifier: BSD-2-Clause
"""Kernels that ask to be loaded by the Multiboot specification, version 0.6.96.

Source: GNU, Multiboot Specification 0.6.96, chapter 3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence

from manager.boot import e820, elf, modes
from manager.boot.errors import BootImageError
from manager.boot.modules import Module, place
from manager.boot.placement import Placement
from manager.bus.memory import FOUR_GIB, Memory
from manager.cpu.state import CpuState
from manager.lazy import dataclass

LOADER_NAME = b"vmmgr\0"
INFORMATION = 0x10000
"""The information for the kernel goes here or above: some kernels use low RAM."""
RAX, RBX = 0, 3

SEARCH, ALIGNMENT, HEADER_LENGTH = 8192, 4, 12
HEADER_MAGIC, BOOT_MAGIC = 0x1BADB002, 0x2BADB002

WANTS_PAGES, WANTS_MEMORY, WANTS_VIDEO = 1 << 0, 1 << 1, 1 << 2
HAS_ADDRESSES = 1 << 16
REQUIREMENTS = 0xFFFF
UNDERSTOOD = WANTS_PAGES | WANTS_MEMORY | WANTS_VIDEO

INFO_MEMORY, INFO_COMMAND_LINE, INFO_MODULES = 1 << 0, 1 << 2, 1 << 3
INFO_ELF_SECTIONS, INFO_MEMORY_MAP, INFO_LOADER_NAME = 1 << 5, 1 << 6, 1 << 9
INFO_LENGTH = 116
MEMORY_SIZES, COMMAND_LINE, MODULES, ELF_SECTIONS, MEMORY_MAP, LOADER = 4, 16, 20, 28, 44, 64


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel image and what its header asks for."""

    image: bytes
    executable: elf.Executable
    """`entry` is a physical address."""


def find_header(image: bytes) -> int | None:
    """The header's offset; None when the file has no valid one."""
    for at in _places(image, SEARCH):
        if at % ALIGNMENT == 0 and at + HEADER_LENGTH <= SEARCH and _sum(image, at) == 0:
            return at
    return None


def header_mistake(image: bytes) -> str | None:
    """What keeps a file's header from being one; None when there is nothing that looks like one."""
    for at in _places(image, len(image)):
        where = f"its Multiboot header at offset {at:#x}"
        total = _sum(image, at)
        if total:
            if at < SEARCH and at % ALIGNMENT == 0:
                return f"{where} has a wrong checksum: its words add up to {total:#x}, not to 0"
        elif at % ALIGNMENT:
            return f"{where} is not aligned to {ALIGNMENT} bytes"
        elif at + HEADER_LENGTH > SEARCH:
            return f"{where} is not within the first {SEARCH} bytes, where loaders look"
    return None


def _places(image: bytes, end: int) -> Iterator[int]:
    """Where a header's magic number stands, and the rest of one may follow."""
    magic = struct.pack("<I", HEADER_MAGIC)
    at = image.find(magic, 0, end)
    while at >= 0:
        if at + HEADER_LENGTH <= len(image):
            yield at
        at = image.find(magic, at + 1, end)


def _sum(image: bytes, at: int) -> int:
    total: int = sum(struct.unpack_from("<III", image, at))
    return total & 0xFFFFFFFF


def parse(image: bytes) -> Kernel:
    """Parse a kernel. Raises BootImageError."""
    at = find_header(image)
    if at is None:
        none = f"no Multiboot header in its first {SEARCH} bytes"
        raise BootImageError(header_mistake(image) or none)
    (flags,) = struct.unpack_from("<I", image, at + 4)
    unknown = flags & REQUIREMENTS & ~UNDERSTOOD
    if unknown:
        raise BootImageError(f"its Multiboot header requires unknown features: flags {unknown:#x}")
    if not flags & HAS_ADDRESSES:
        return Kernel(image, elf_executable(image))
    if at + 32 > len(image):
        raise BootImageError("its Multiboot header is cut short")
    *addresses, entry = struct.unpack_from("<IIIII", image, at + 12)
    return Kernel(image, flat_executable(image, at, addresses, entry))


def elf_executable(image: bytes) -> elf.Executable:
    """An ELF kernel, with the physical address of its entry point. Raises BootImageError."""
    if not image.startswith(elf.MAGIC):
        raise BootImageError("it is no ELF file, and its header does not say where to load it")
    executable = elf.parse(image)
    return elf.Executable(executable.bits, executable.physical_entry(), executable.segments)


def flat_executable(image: bytes, at: int, addresses: Sequence[int], entry: int) -> elf.Executable:
    """What the address fields of the Multiboot header at file offset `at` describe.

    They are the header's own address, the first one to load, the end of what is loaded (0: of
    the file) and of the bss (0: there is none). Raises BootImageError.
    """
    header, load, load_end, bss_end = addresses
    offset = at - (header - load)
    held = load_end - load if load_end else len(image) - offset
    size = bss_end - load if bss_end else held
    if not 0 <= offset <= at or held < 0 or offset + held > len(image) or size < held or size == 0:
        raise BootImageError("the addresses in its Multiboot header do not match the file")
    data = memoryview(image)[offset : offset + held]
    return elf.Executable(32, entry, (elf.LoadSegment(load, data, size),))


def load(kernel: Kernel, modules: Iterable[Module], command_line: str, memory: Memory) -> CpuState:
    """Put everything into RAM and return the CPU state at the entry. Raises BootImageError."""
    placement = Placement(memory)
    end = put_kernel(kernel.executable, placement)

    info = bytearray(INFO_LENGTH)
    flags = INFO_MEMORY | INFO_COMMAND_LINE | INFO_MODULES | INFO_MEMORY_MAP | INFO_LOADER_NAME
    sections = put_sections(kernel.image, placement, end)
    if sections is not None:
        flags |= INFO_ELF_SECTIONS
        headers = placement.store(sections.headers, "the ELF section table", start=end)
        fields = (sections.count, sections.stride, headers, sections.names)
        struct.pack_into("<IIII", info, ELF_SECTIONS, *fields)

    def store(data: bytes, what: str) -> int:
        return placement.store(data, what, start=INFORMATION)

    placed = place(modules, placement, end)
    texts = [store(module.arguments, "a module's arguments") for module in placed]
    entries = zip(placed, texts, strict=True)
    table = b"".join(struct.pack("<IIII", one.start, one.end, text, 0) for one, text in entries)
    struct.pack_into("<II", info, MODULES, len(placed), store(table, "the module list"))

    struct.pack_into("<II", info, MEMORY_SIZES, *e820.basic_sizes(memory))
    ranges = b"".join(struct.pack("<IQQI", 20, *entry) for entry in e820.memory_map(memory))
    struct.pack_into("<II", info, MEMORY_MAP, len(ranges), store(ranges, "the memory map"))

    text = command_line.encode() + b"\0"
    struct.pack_into("<I", info, COMMAND_LINE, store(text, "the command line"))
    struct.pack_into("<I", info, LOADER, store(LOADER_NAME, "the loader's name"))
    struct.pack_into("<I", info, 0, flags)
    return enter(kernel.executable, BOOT_MAGIC, bytes(info), placement)


def put_kernel(executable: elf.Executable, placement: Placement) -> int:
    """Load the segments; returns where other things may follow. Raises BootImageError."""
    if max(executable.entry, executable.end - 1) >= FOUR_GIB:
        raise BootImageError("the kernel is not wholly below 4 GiB, where 32-bit mode reaches")
    placement.put(executable.segments, "the kernel")
    executable.require_entry()
    return max(e820.ONE_MIB, executable.end)


def put_sections(image: bytes, placement: Placement, above: int) -> elf.Sections | None:
    """The section table of an ELF kernel, its symbols loaded from `above` on."""
    if not image.startswith(elf.MAGIC):
        return None
    return elf.sections(image, lambda data: placement.store(data, "a symbol table", 16, above))


def enter(executable: elf.Executable, magic: int, info: bytes, placement: Placement) -> CpuState:
    """The CPU state at the entry point. Raises BootImageError."""
    at = placement.store(info, "the boot information", start=INFORMATION)
    state = modes.protected_mode(placement.memory, executable.entry, modes.FIRST)
    state.gpr[RAX] = magic
    state.gpr[RBX] = at
    return state
