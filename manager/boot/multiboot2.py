# SPDX-License-Identifier: BSD-2-Clause
"""Kernels that ask to be loaded by the Multiboot2 specification, version 2.0.

Source: GNU, Multiboot2 Specification 2.0, chapter 3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from manager.boot import e820, elf
from manager.boot.errors import BootImageError
from manager.boot.modules import Module, Placed, place
from manager.boot.multiboot import (
    LOADER_NAME,
    elf_executable,
    enter,
    flat_executable,
    put_kernel,
    put_sections,
)
from manager.boot.placement import MORE_MEMORY, Placement
from manager.bus.memory import FOUR_GIB, Memory
from manager.cpu.state import CpuState
from manager.lazy import dataclass

SEARCH, ALIGNMENT = 32768, 8
HEADER_MAGIC, BOOT_MAGIC = 0xE85250D6, 0x36D76289
ARCHITECTURE_I386 = 0
HEADER_LENGTH = 16

TAG_END, TAG_REQUEST, TAG_ADDRESS, TAG_ENTRY, TAG_CONSOLE, TAG_FRAMEBUFFER = range(6)
TAG_MODULE_ALIGNMENT, TAG_EFI, TAG_EFI_ENTRY_32, TAG_EFI_ENTRY_64, TAG_RELOCATABLE = range(6, 11)
UNDERSTOOD_AND_MET = (TAG_MODULE_ALIGNMENT, TAG_EFI, TAG_EFI_ENTRY_32, TAG_EFI_ENTRY_64)
"""Modules lie on pages anyway; without EFI its entry points play no part."""
TAG_OPTIONAL = 1 << 0
CONSOLE_REQUIRED = 1 << 0
FROM_START = 0xFFFFFFFF
"""A load address that stands for "the whole file, from its first byte"."""
PREFER_HIGH = 2

INFO_COMMAND_LINE, INFO_LOADER_NAME, INFO_MODULE, INFO_MEMORY = 1, 2, 3, 4
INFO_MEMORY_MAP, INFO_ELF_SECTIONS, INFO_ACPI_OLD, INFO_ACPI_NEW, INFO_LOAD_BASE = 6, 9, 14, 15, 21
LAST_INFO = INFO_LOAD_BASE
"""The specification knows no information beyond this one. Kernels may request the others too,
and then look whether the machine had them."""
RSDP_OLD_LENGTH, RSDP_NEW_LENGTH, RSDP_REVISION = 20, 36, 15


class Relocation(NamedTuple):
    """Where a relocatable kernel may be loaded: wholly within [low, high)."""

    low: int
    high: int
    align: int
    preference: int


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel image and what its header asks for."""

    image: bytes
    executable: elf.Executable
    """`entry` is a physical address."""
    relocation: Relocation | None


class _Tag(NamedTuple):
    type: int
    optional: bool
    content: bytes


def find_header(image: bytes) -> int | None:
    """The header's offset; None when the file has no valid one for this architecture."""
    for at, words in _places(image, SEARCH):
        if (
            at % ALIGNMENT == 0
            and at + HEADER_LENGTH <= SEARCH
            and words[1] == ARCHITECTURE_I386
            and sum(words) & 0xFFFFFFFF == 0
        ):
            return at
    return None


def header_mistake(image: bytes) -> str | None:
    """What keeps a file's header from being one; None when there is nothing that looks like one."""
    for at, words in _places(image, len(image)):
        where, total = f"its Multiboot2 header at offset {at:#x}", sum(words) & 0xFFFFFFFF
        if total:
            if at < SEARCH and at % ALIGNMENT == 0:
                return f"{where} has a wrong checksum: its words add up to {total:#x}, not to 0"
        elif words[1] != ARCHITECTURE_I386:
            return f"{where} is for architecture {words[1]}, not for i386"
        elif at % ALIGNMENT:
            return f"{where} is not aligned to {ALIGNMENT} bytes"
        elif at + HEADER_LENGTH > SEARCH:
            return f"{where} is not within the first {SEARCH} bytes, where loaders look"
    return None


def _places(image: bytes, end: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Where a header's magic number stands, and the four words there."""
    magic = struct.pack("<I", HEADER_MAGIC)
    at = image.find(magic, 0, end)
    while at >= 0:
        if at + HEADER_LENGTH <= len(image):
            yield at, struct.unpack_from("<IIII", image, at)
        at = image.find(magic, at + 1, end)


def parse(image: bytes) -> Kernel:
    """Parse a kernel. Raises BootImageError."""
    at = find_header(image)
    if at is None:
        none = f"no Multiboot2 header in its first {SEARCH} bytes"
        raise BootImageError(header_mistake(image) or none)
    addresses: tuple[int, ...] | None = None
    entry: int | None = None
    relocation = None
    for tag in _tags(image, at):
        if tag.type == TAG_ADDRESS:
            addresses = _numbers(tag, 4)
        elif tag.type == TAG_ENTRY:
            (entry,) = _numbers(tag, 1)
        elif tag.type == TAG_RELOCATABLE:
            low, high, align, preference = _numbers(tag, 4)
            relocation = Relocation(low, high + 1, max(align, 1), preference)
        elif not tag.optional:
            _require(tag)

    if addresses is None:
        executable = elf_executable(image)
        return Kernel(image, replace(executable, entry=entry or executable.entry), relocation)
    if entry is None:
        raise BootImageError("its Multiboot2 header has load addresses and no entry address")
    header, load, *ends = addresses
    load = header - at if load == FROM_START else load
    return Kernel(image, flat_executable(image, at, (header, load, *ends), entry), relocation)


def _tags(image: bytes, header: int) -> Iterator[_Tag]:
    (length,) = struct.unpack_from("<I", image, header + 8)
    at, end = header + HEADER_LENGTH, header + length
    if end > len(image):
        raise BootImageError("its Multiboot2 header is cut short")
    while at + 8 <= end:
        kind, flags, size = struct.unpack_from("<HHI", image, at)
        if kind == TAG_END:
            return
        if size < 8 or at + size > end:
            raise BootImageError(f"tag {kind} of its Multiboot2 header has the size {size}")
        yield _Tag(kind, bool(flags & TAG_OPTIONAL), image[at + 8 : at + size])
        at += size + 7 & ~7


def _numbers(tag: _Tag, count: int) -> tuple[int, ...]:
    if len(tag.content) < 4 * count:
        raise BootImageError(f"tag {tag.type} of its Multiboot2 header is too short")
    return struct.unpack_from(f"<{count}I", tag.content)


def _require(tag: _Tag) -> None:
    """Raise BootImageError when the machine lacks what a tag insists on."""
    if tag.type == TAG_REQUEST:
        for wanted in _numbers(tag, len(tag.content) // 4):
            if wanted > LAST_INFO:
                raise BootImageError(f"it requires boot information of unknown type {wanted}")
    elif tag.type == TAG_FRAMEBUFFER:
        raise BootImageError(
            "it requires a framebuffer, and the machine has no screen",
            help="build the kernel with an optional framebuffer tag",
        )
    elif tag.type == TAG_CONSOLE:
        if _numbers(tag, 1)[0] & CONSOLE_REQUIRED:
            raise BootImageError(
                "it requires a text screen, and the machine has none",
                help="build the kernel with an optional console tag",
            )
    elif tag.type not in UNDERSTOOD_AND_MET:
        raise BootImageError(f"its Multiboot2 header requires unknown tag {tag.type}")


def load(
    kernel: Kernel, modules: Iterable[Module], command_line: str, memory: Memory, rsdp: int = 0
) -> CpuState:
    """Put everything into RAM and return the CPU state at the entry. Raises BootImageError.

    `rsdp` is the address of the ACPI root pointer, 0 for none.
    """
    placement = Placement(memory)
    executable = _relocated(kernel, placement)
    end = put_kernel(executable, placement)
    sections = put_sections(kernel.image, placement, end)
    placed = place(modules, placement, end)

    tags = [
        _tag(INFO_COMMAND_LINE, command_line.encode() + b"\0"),
        _tag(INFO_LOADER_NAME, LOADER_NAME),
        *(_tag(INFO_MODULE, _module(module)) for module in placed),
        _tag(INFO_MEMORY, struct.pack("<II", *e820.basic_sizes(memory))),
        _tag(INFO_MEMORY_MAP, _memory_map(memory)),
    ]
    if sections is not None:
        counts = struct.pack("<III", sections.count, sections.stride, sections.names)
        tags.append(_tag(INFO_ELF_SECTIONS, counts + sections.headers))
    tags += _acpi(rsdp, memory)
    tags.append(_tag(INFO_LOAD_BASE, struct.pack("<I", executable.start)))
    content = b"".join([*tags, _tag(TAG_END, b"")])
    info = struct.pack("<II", len(content) + 8, 0) + content
    return enter(executable, BOOT_MAGIC, info, placement)


def _relocated(kernel: Kernel, placement: Placement) -> elf.Executable:
    """Where it was linked to be, if its header allows that and there is room; else elsewhere."""
    executable, allowed = kernel.executable, kernel.relocation
    if allowed is None:
        return executable
    base, length = executable.start, executable.end - executable.start
    permitted = allowed.low <= base and base + length <= allowed.high
    if permitted and placement.is_free(base, length):
        return executable
    find = placement.highest if allowed.preference == PREFER_HIGH else placement.lowest
    target = find(length, allowed.align, allowed.low, min(allowed.high, FOUR_GIB))
    if target is None:
        message = f"its {length} bytes do not fit between {allowed.low:#x} and {allowed.high:#x}"
        raise BootImageError(message, help=MORE_MEMORY)
    moved = target - base
    segments = (replace(one, address=one.address + moved) for one in executable.segments)
    return elf.Executable(executable.bits, executable.entry + moved, tuple(segments))


def _tag(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, 8 + len(content)) + content + bytes(-len(content) % 8)


def _module(module: Placed) -> bytes:
    return struct.pack("<II", module.start, module.end) + module.arguments


def _memory_map(memory: Memory) -> bytes:
    entries = (struct.pack("<QQII", *entry, 0) for entry in e820.memory_map(memory))
    return struct.pack("<II", 24, 0) + b"".join(entries)


def _acpi(rsdp: int, memory: Memory) -> Iterator[bytes]:
    """Copies of the root pointer; one of ACPI 2.0 or later has both forms in it."""
    if not rsdp:
        return
    pointer = memory.read(rsdp, RSDP_NEW_LENGTH)
    yield _tag(INFO_ACPI_OLD, pointer[:RSDP_OLD_LENGTH])
    if pointer[RSDP_REVISION] >= 2:
        yield _tag(INFO_ACPI_NEW, pointer)
