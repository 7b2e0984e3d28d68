# SPDX-License-Identifier: BSD-2-Clause
"""The little of ELF that a boot loader needs: segments, the entry point, notes and sections.

Source: System V ABI, chapter 4 and 5 (object files, program loading).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from manager.boot.errors import BootImageError
from manager.lazy import dataclass

MAGIC = b"\x7fELF"
CLASS_64 = 2
MACHINE_386, MACHINE_X86_64 = 3, 62
_OTHERS = {
    2: "SPARC",
    8: "MIPS",
    20: "PowerPC",
    21: "PowerPC",
    22: "s390",
    40: "Arm",
    43: "SPARC",
    50: "IA-64",
    183: "arm64",
    243: "RISC-V",
    258: "LoongArch",
}
"""Other values of e_machine (System V ABI, registry of machines)."""
PT_LOAD, PT_NOTE = 1, 4
SHT_NULL, SHT_NOBITS = 0, 8
SHF_ALLOC = 1 << 1


@dataclass(frozen=True, slots=True)
class LoadSegment:
    """Bytes to put at a physical address; the rest up to `size` is zero."""

    address: int
    data: bytes | memoryview
    size: int
    virtual: int = 0
    """Where the program believes it to be."""


@dataclass(frozen=True, slots=True)
class Executable:
    """Something to load and where to start it: an x86 ELF executable, or the like of one."""

    bits: int
    entry: int
    segments: tuple[LoadSegment, ...]

    @property
    def start(self) -> int:
        """The lowest address that is loaded."""
        return min(segment.address for segment in self.segments)

    @property
    def end(self) -> int:
        """One past the highest address that is loaded."""
        return max(segment.address + segment.size for segment in self.segments)

    def contains(self, address: int) -> bool:
        """Whether something is loaded at a physical address."""
        return any(0 <= address - one.address < one.size for one in self.segments)

    def require_entry(self) -> None:
        """Raise BootImageError unless something is loaded at the entry point."""
        if not self.contains(self.entry):
            raise BootImageError(f"its entry point {self.entry:#x} is outside of what is loaded")

    def physical_entry(self) -> int:
        """The entry point's physical address, for files that name the virtual one."""
        for segment in self.segments:
            if segment.virtual <= self.entry < segment.virtual + segment.size:
                return self.entry - segment.virtual + segment.address
        return self.entry


class Note(NamedTuple):
    """One entry of a PT_NOTE segment."""

    owner: bytes
    type: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Sections:
    """The section header table, as a loader hands it to the kernel."""

    headers: bytes
    count: int
    stride: int
    names: int
    """The index of the section that holds the names."""


class _Program(NamedTuple):
    type: int
    offset: int
    virtual: int
    physical: int
    held: int
    size: int


class Header(NamedTuple):
    """The ELF header: what a file is, and where its tables are."""

    wide: bool
    entry: int
    programs: int
    sections: int
    program_stride: int
    program_count: int
    section_stride: int
    section_count: int
    names: int


def parse(image: bytes, *, outline: bool = False) -> Executable:
    """Read an x86 ELF executable. Raises BootImageError, saying what is wrong with it.

    For an `outline` the beginning of the file is enough; the segments have no data then.
    """
    header, content = read_header(image), memoryview(image)
    segments = []
    for number, program in enumerate(_programs(header, image)):
        if program.type != PT_LOAD or program.size == 0:
            continue
        end = program.offset + program.held
        if (end > len(image) and not outline) or program.held > program.size:
            raise BootImageError(f"ELF segment {number} lies outside the file")
        data = b"" if outline else content[program.offset : end]
        segments.append(LoadSegment(program.physical, data, program.size, program.virtual))
    if not segments:
        raise BootImageError("the ELF file has nothing to load")
    return Executable(64 if header.wide else 32, header.entry, tuple(segments))


def notes(image: bytes) -> Iterator[Note]:
    """The file's notes, as far as they are well-formed. Raises BootImageError."""
    for program in _programs(read_header(image), image):
        at, end = program.offset, min(program.offset + program.held, len(image))
        while program.type == PT_NOTE and at + 12 <= end:
            owner_size, size, kind = struct.unpack_from("<III", image, at)
            content = at + 12 + (owner_size + 3 & ~3)
            if content + size > end:
                break
            owner = image[at + 12 : at + 12 + owner_size].rstrip(b"\0")
            yield Note(owner, kind, image[content : content + size])
            at = content + (size + 3 & ~3)


def sections(image: bytes, store: Callable[[bytes], int]) -> Sections | None:
    """The section header table; None when the file has none or only a piece of it.

    What no segment carries, such as symbols, goes to `store`, and the address it returns into
    the table. Raises BootImageError.
    """
    header = read_header(image)
    wide, stride, count = header.wide, header.section_stride, header.section_count
    layout, address = ("<IIQQQQ", "<Q") if wide else ("<IIIIII", "<I")
    if stride < struct.calcsize(layout) or not 0 < stride * count <= len(image) - header.sections:
        return None
    table = bytearray(image[header.sections : header.sections + stride * count])
    for at in range(0, len(table), stride):
        _, kind, flags, _, offset, size = struct.unpack_from(layout, table, at)
        carried = kind in (SHT_NULL, SHT_NOBITS) or flags & SHF_ALLOC
        if not carried and 0 < size <= len(image) - offset:
            place = store(image[offset : offset + size])
            struct.pack_into(address, table, at + (16 if wide else 12), place)
    return Sections(bytes(table), count, stride, header.names)


def read_header(image: bytes) -> Header:
    """Raises BootImageError for what is no ELF file for x86."""
    if image[:4] == MAGIC and image[5:6] == b"\2":
        raise BootImageError("the ELF file is big-endian, and not for x86")
    if image[:4] != MAGIC or image[4:6] not in (b"\1\1", b"\2\1"):
        raise BootImageError("not a little-endian ELF file")
    wide = image[4] == CLASS_64
    (machine,) = _unpack("<H", image, 18)
    if machine not in (MACHINE_386, MACHINE_X86_64):
        name = _OTHERS.get(machine, f"machine {machine}")
        raise BootImageError(f"the ELF file is for {name}, not for x86")
    addresses = _unpack("<QQQ" if wide else "<III", image, 24)
    counts = _unpack("<HHHHH", image, 54 if wide else 42)
    return Header(wide, *addresses, *counts)


def _programs(header: Header, image: bytes) -> Iterator[_Program]:
    for number in range(header.program_count):
        at = header.programs + number * header.program_stride
        if header.wide:
            kind, _, offset, virtual, physical, held, size = _unpack("<IIQQQQQ", image, at)
        else:
            kind, offset, virtual, physical, held, size = _unpack("<IIIIII", image, at)
        yield _Program(kind, offset, virtual, physical, held, size)


def _unpack(layout: str, image: bytes, at: int) -> tuple[Any, ...]:
    if at + struct.calcsize(layout) > len(image):
        raise BootImageError("the ELF file is cut short")
    return struct.unpack_from(layout, image, at)
