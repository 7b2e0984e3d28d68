# SPDX-License-Identifier: BSD-2-Clause
"""The little of ELF that a boot loader needs: the segments to load and where to start.

Source: System V ABI, chapter 4 and 5 (object files, program loading).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from manager.boot.errors import BootImageError

MAGIC = b"\x7fELF"
CLASS_32, CLASS_64 = 1, 2
MACHINE_386, MACHINE_X86_64 = 3, 62
PT_LOAD = 1


@dataclass(frozen=True, slots=True)
class LoadSegment:
    """Bytes to put at a physical address; the rest up to `size` is zero."""

    address: int
    data: memoryview
    size: int


@dataclass(frozen=True, slots=True)
class Executable:
    """An x86 ELF executable."""

    bits: int
    entry: int
    segments: tuple[LoadSegment, ...]


def parse(image: bytes) -> Executable:
    """Read an x86 ELF executable. Raises BootImageError, saying what is wrong with it."""
    try:
        return _parse(memoryview(image))
    except (struct.error, IndexError) as error:
        raise BootImageError("the ELF file is cut short") from error


def _parse(image: memoryview) -> Executable:
    wide = image[4] == CLASS_64
    if bytes(image[:4]) != MAGIC or image[4] not in (CLASS_32, CLASS_64) or image[5] != 1:
        raise BootImageError("not a little-endian ELF file")
    _, machine, _ = struct.unpack_from("<HHI", image, 16)
    if machine not in (MACHINE_386, MACHINE_X86_64):
        raise BootImageError(f"ELF machine {machine} is not x86")
    if wide:
        entry, table = struct.unpack_from("<QQ", image, 24)
        stride, count = struct.unpack_from("<HH", image, 54)
    else:
        entry, table = struct.unpack_from("<II", image, 24)
        stride, count = struct.unpack_from("<HH", image, 42)

    segments = []
    for number in range(count):
        at = table + number * stride
        if wide:
            kind, _, offset, _, address, held, size = struct.unpack_from("<IIQQQQQ", image, at)
        else:
            kind, offset, _, address, held, size = struct.unpack_from("<IIIIII", image, at)
        if kind != PT_LOAD or size == 0:
            continue
        if offset + held > len(image) or held > size:
            raise BootImageError(f"ELF segment {number} lies outside the file")
        segments.append(LoadSegment(address, image[offset : offset + held], size))
    if not segments:
        raise BootImageError("the ELF file has nothing to load")
    return Executable(64 if wide else 32, entry, tuple(segments))
