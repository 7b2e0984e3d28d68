# SPDX-License-Identifier: BSD-2-Clause
"""Linux by its 64-bit entry point: a bzImage, or the vmlinux inside it.

Source: Linux, Documentation/arch/x86/boot.rst (offsets are into the setup header or boot_params).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from manager.boot import elf, modes, payload
from manager.boot.errors import BootImageError
from manager.bus.memory import ABOVE_VGA, PAGE, AddressError, Memory
from manager.cpu.state import CpuState

BOOT_PARAMS = 0x10000
COMMAND_LINE = 0x20000
COMMAND_LINE_LIMIT = 0x10000
EBDA = 0x9FC00
BIOS = 0xF0000
ONE_MIB = 0x100000

SETUP_HEADER, SETUP_HEADER_LIMIT = 0x1F1, 0x290
E820_COUNT, E820_TABLE = 0x1E8, 0x2D0
SETUP_SECTORS, BOOT_FLAG, HEADER_MAGIC, VERSION = 0x1F1, 0x1FE, 0x202, 0x206
LOADER_TYPE, LOAD_FLAGS, RAMDISK_IMAGE, RAMDISK_SIZE = 0x210, 0x211, 0x218, 0x21C
COMMAND_LINE_POINTER, RAMDISK_MAX, XLOAD_FLAGS = 0x228, 0x22C, 0x236
PAYLOAD_OFFSET, PAYLOAD_LENGTH, PREFERRED_ADDRESS, INIT_SIZE = 0x248, 0x24C, 0x258, 0x260

MAGIC = b"HdrS"
LOADER_UNDEFINED = 0xFF
LOADED_HIGH = 1
XLF_KERNEL_64 = 1
ENTRY_64 = 0x200
E820_RAM, E820_RESERVED = 1, 2
DEFAULT_RAMDISK_MAX = 0x37FFFFFF
RSI = 6


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel image taken apart: what goes where, and the header the kernel wants back."""

    header: bytes
    executable: elf.Executable
    """What to load: vmlinux, or a bzImage's protected-mode part with its own decompressor."""


def is_bzimage(image: bytes) -> bool:
    """Whether the file is a Linux bzImage."""
    return image[HEADER_MAGIC : HEADER_MAGIC + 4] == MAGIC


def parse(image: bytes) -> Kernel:
    """Take a bzImage or vmlinux apart. Raises BootImageError."""
    if not is_bzimage(image):
        header = bytearray(SETUP_HEADER_LIMIT - SETUP_HEADER)
        struct.pack_into("<H", header, BOOT_FLAG - SETUP_HEADER, 0xAA55)
        struct.pack_into("<4sH", header, HEADER_MAGIC - SETUP_HEADER, MAGIC, 0x20F)
        return Kernel(bytes(header), _require_64(elf.parse(image)))

    try:
        (version,) = struct.unpack_from("<H", image, VERSION)
        (xload_flags,) = struct.unpack_from("<H", image, XLOAD_FLAGS)
        offset, length = struct.unpack_from("<II", image, PAYLOAD_OFFSET)
        preferred, init_size = struct.unpack_from("<QI", image, PREFERRED_ADDRESS)
    except struct.error as error:
        raise BootImageError("the bzImage is cut short") from error
    if version < 0x20C or not xload_flags & XLF_KERNEL_64:
        raise BootImageError(
            "this Linux kernel has no 64-bit entry point",
            help="use a 64-bit kernel, 3.8 or later",
        )
    start = ((image[SETUP_SECTORS] or 4) + 1) * 512
    header = image[SETUP_HEADER : min(HEADER_MAGIC + image[0x201], SETUP_HEADER_LIMIT)]
    unpacked = payload.decompress(image[start + offset : start + offset + length])
    if unpacked is not None:
        return Kernel(header, _require_64(elf.parse(unpacked)))
    body = elf.LoadSegment(preferred, memoryview(image)[start:], max(init_size, len(image)))
    return Kernel(header, elf.Executable(64, preferred + ENTRY_64, (body,)))


def _require_64(executable: elf.Executable) -> elf.Executable:
    if executable.bits != 64:
        raise BootImageError("this is a 32-bit kernel; Linux is started in 64-bit mode")
    return executable


def load(kernel: Kernel, initrd: bytes, command_line: str, memory: Memory) -> CpuState:
    """Put everything into RAM and return the CPU state at startup_64. Raises BootImageError."""
    try:
        for segment in kernel.executable.segments:
            memory.write(segment.address, segment.data)
            memory.read(segment.address + segment.size - 1, 1)
    except AddressError as error:
        raise BootImageError(
            f"the kernel does not fit into RAM: {error}", help="raise memory.size"
        ) from error

    params = bytearray(PAGE)
    params[SETUP_HEADER : SETUP_HEADER + len(kernel.header)] = kernel.header
    params[LOADER_TYPE] = LOADER_UNDEFINED
    params[LOAD_FLAGS] |= LOADED_HIGH
    _place_command_line(command_line, params, memory)
    if initrd:
        _place_initrd(kernel, initrd, params, memory)
    entries = e820(memory)
    params[E820_COUNT] = len(entries)
    for number, entry in enumerate(entries):
        struct.pack_into("<QQI", params, E820_TABLE + 20 * number, *entry)
    memory.write(BOOT_PARAMS, bytes(params))

    state = modes.long_mode(memory, kernel.executable.entry)
    state.gpr[RSI] = BOOT_PARAMS
    return state


def _place_command_line(text: str, params: bytearray, memory: Memory) -> None:
    encoded = text.encode() + b"\0"
    if len(encoded) > COMMAND_LINE_LIMIT:
        raise BootImageError(f"the kernel command line is longer than {COMMAND_LINE_LIMIT} bytes")
    memory.write(COMMAND_LINE, encoded)
    struct.pack_into("<I", params, COMMAND_LINE_POINTER, COMMAND_LINE)


def _place_initrd(kernel: Kernel, initrd: bytes, params: bytearray, memory: Memory) -> None:
    """As high as the kernel allows, so that it is out of the way."""
    (limit,) = struct.unpack_from("<I", params, RAMDISK_MAX)
    top = min(memory.below_4g(), (limit or DEFAULT_RAMDISK_MAX) + 1)
    address = (top - len(initrd)) & -PAGE
    used = max(segment.address + segment.size for segment in kernel.executable.segments)
    if address < used:
        raise BootImageError(
            f"an initrd of {len(initrd)} bytes does not fit above the kernel, which ends at "
            f"{used:#x}, and under {top:#x}",
            help="raise memory.size",
        )
    memory.write(address, initrd)
    struct.pack_into("<II", params, RAMDISK_IMAGE, address, len(initrd))


def e820(memory: Memory) -> list[tuple[int, int, int]]:
    """The BIOS memory map: (base, length, type)."""
    entries = []
    for region in memory.regions:
        if region.base == 0:
            entries.append((0, min(EBDA, region.length), E820_RAM))
            if region.length > EBDA:
                entries.append((EBDA, region.length - EBDA, E820_RESERVED))
        elif region.base == ABOVE_VGA:
            entries.append((BIOS, ONE_MIB - BIOS, E820_RESERVED))
            if region.end > ONE_MIB:
                entries.append((ONE_MIB, region.end - ONE_MIB, E820_RAM))
        else:
            entries.append((region.base, region.length, E820_RAM))
    return entries


