# SPDX-License-Identifier: BSD-2-Clause
"""Firmware at the reset vector: its ROM, and the items of the fw_cfg device.

Item keys and file names are those of QEMU's fw_cfg, which SeaBIOS and OVMF look for.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

from manager import files as host_files
from manager.boot import command_line, linux, table_loader
from manager.boot.content import most, read
from manager.boot.errors import BootImageError
from manager.bus.memory import ABOVE_VGA, FOUR_GIB, PAGE, Memory
from manager.devices.claims import FLASH_LIMIT
from manager.graph.nodes import FirmwareBoot, Graph, KernelBoot

RAM_SIZE, NO_GRAPHICS, CPUS, BOOT_MENU, MAX_CPUS = 0x03, 0x04, 0x05, 0x0E, 0x0F
KERNEL_ADDRESS, KERNEL_SIZE, KERNEL = 0x07, 0x08, 0x11
INITRD_ADDRESS, INITRD_SIZE, INITRD = 0x0A, 0x0B, 0x12
CMDLINE_ADDRESS, CMDLINE_SIZE, CMDLINE = 0x13, 0x14, 0x15
SETUP_ADDRESS, SETUP_SIZE, SETUP = 0x16, 0x17, 0x18
DIRECTORY, FIRST_FILE = 0x19, 0x20
FILE_NAME_LENGTH = 56

ROM_LIMIT = 16 << 20
ONE_MIB = 1 << 20

E820_RAM = 1
NEVER_RETRY = 0xFFFFFFFF

# Where the parts of a kernel go; the boot protocol leaves the first 640 KiB to the loader.
SETUP_BASE, CMDLINE_BASE, KERNEL_BASE = 0x10000, 0x20000, 0x100000
HEAP_END_POINTER = 0x224
CAN_USE_HEAP = 0x80
HEAP_END = CMDLINE_BASE - SETUP_BASE - 0x200
SECTOR = 512
FIRMWARE_RESERVE = 4 << 20
"""The top of RAM, where firmware keeps its tables."""

PCI_ROOT = "/pci@i0cf8"
"""What OpenFirmware calls PCI bus 0 of a PC."""

MZ, PE = b"MZ", b"PE\0\0"
PE_OFFSET = 0x3C
"""Where a file of Microsoft's Portable Executable format says at which offset its header is."""

LINUX_ROM = Path(__file__).with_name("linux_rom.bin")
LINUX_ROM_NAME = "genroms/vmmgr-linux.bin"
PNP_HEADER, PNP_LENGTH, PNP_CHECKSUM = 0x20, 0x20, 0x29

Files = Mapping[str, bytes]


def read_rom(boot: FirmwareBoot, memory: Memory) -> bytes:
    """The firmware: whole pages, at most ROM_LIMIT bytes. Raises BootImageError."""
    content = read(boot.firmware, host_files.ROM)
    check_rom(boot.firmware, len(content), memory)
    return content


def check_rom(path: Path, size: int, memory: Memory) -> None:
    """Raise BootImageError unless a ROM may have that size, and the machine what it needs."""
    if not size or size % PAGE or size > ROM_LIMIT:
        raise BootImageError(
            f"{path}: {size} bytes are not a ROM: it has whole pages of "
            f"{PAGE} bytes, {ROM_LIMIT >> 20} MiB at most",
            help="a ROM ends with the reset vector, such as SeaBIOS's bios-256k.bin",
        )
    region = next((region for region in memory.regions if region.base == ABOVE_VGA), None)
    if region is None or region.end < ONE_MIB:
        raise BootImageError("firmware needs 1 MiB of RAM or more", help="raise memory.size")


def read_variables(boot: FirmwareBoot) -> bytes:
    """What the firmware's variables begin with; empty where they are not apart from its code.

    Raises BootImageError.
    """
    if boot.variables is None:
        return b""
    content = read(boot.variables, host_files.ROM)
    if not content or len(content) % PAGE or len(content) > FLASH_LIMIT:
        raise BootImageError(
            f"{boot.variables}: {len(content)} bytes are not variables of firmware: they are whole "
            f"pages of {PAGE} bytes, {FLASH_LIMIT >> 20} MiB at most",
            help="such as OVMF_VARS_4M.fd, beside the OVMF_CODE_4M.fd that it belongs to",
        )
    return content


def items(graph: Graph, memory: Memory) -> dict[int, bytes | memoryview]:
    """All fw_cfg items of a machine, by key.

    Test suites that were made for QEMU ask it for the number of CPUs and the size of RAM, with and
    without firmware. Raises BootImageError for a kernel that it cannot hand over to firmware.
    """
    found: dict[int, bytes | memoryview] = {
        RAM_SIZE: struct.pack("<Q", graph.memory_size),
        NO_GRAPHICS: _u16(1),
        CPUS: _u16(graph.cpu_count),
        MAX_CPUS: _u16(graph.cpu_count),
        BOOT_MENU: _u16(0),
    }
    files = {"etc/e820": _e820(memory)}
    if isinstance(graph.boot, FirmwareBoot):
        found |= _for_firmware(graph, graph.boot, memory, files)
    elif isinstance(graph.boot, KernelBoot):
        found |= _command_line(graph.boot.cmdline)
    return found | with_directory(files)


def _command_line(text: str) -> dict[int, bytes]:
    content = text.encode() + b"\0"
    return {CMDLINE_SIZE: struct.pack("<I", len(content)), CMDLINE: content}


def _for_firmware(
    graph: Graph, boot: FirmwareBoot, memory: Memory, files: dict[str, bytes]
) -> dict[int, bytes | memoryview]:
    """What firmware needs, and what it is to boot; files are added to `files`."""
    files["etc/boot-fail-wait"] = struct.pack("<I", NEVER_RETRY)
    files |= table_loader.files(graph)
    if (console := graph.device("lpc.com1")) is not None:
        files["etc/sercon-port"] = struct.pack("<Q", console.ports[0].base)
    order = boot_order(graph, boot)
    found: dict[int, bytes | memoryview] = {}
    if boot.kernel is not None:
        image = read(boot.kernel, host_files.KERNEL)
        check_kernel(boot.kernel, image)
        if linux.is_bzimage(image):
            files[LINUX_ROM_NAME] = linux_rom()
            order = [f"/rom@{LINUX_ROM_NAME}", *order]
            found = _bzimage(boot, boot.kernel, image, memory)
        else:
            found = _efi_application(boot, image)
    if order:
        files["bootorder"] = "".join(f"{path}\n" for path in order).encode() + b"\0"
    return found


def boot_order(graph: Graph, boot: FirmwareBoot) -> list[str]:
    """What firmware is to boot from, as OpenFirmware would call it; the graph knows all of them."""
    paths = {name: path for node in graph.devices for name, path in node.boot_paths().items()}
    return [f"{PCI_ROOT}/{paths[name]}" for name in boot.order if name in paths]


def with_directory(files: Files) -> dict[int, bytes]:
    """Files by key, and their directory. Names sort bytewise."""
    names = sorted(files)
    entries = [
        struct.pack(f">IHH{FILE_NAME_LENGTH}s", len(files[name]), key, 0, name.encode())
        for key, name in enumerate(names, FIRST_FILE)
    ]
    directory = struct.pack(">I", len(entries)) + b"".join(entries)
    contents = {key: files[name] for key, name in enumerate(names, FIRST_FILE)}
    return {DIRECTORY: directory, **contents}


def linux_rom() -> bytes:
    """The option ROM that boots the kernel in fw_cfg (linux_rom.S), padded and with checksums."""
    code = LINUX_ROM.read_bytes()
    rom = bytearray(code.ljust(-(-(len(code) + 1) // SECTOR) * SECTOR, b"\0"))
    rom[2] = len(rom) // SECTOR
    rom[PNP_CHECKSUM] = -sum(rom[PNP_HEADER : PNP_HEADER + PNP_LENGTH]) & 0xFF
    rom[-1] = -sum(rom) & 0xFF
    return bytes(rom)


def _u16(value: int) -> bytes:
    return struct.pack("<H", value)


def _e820(memory: Memory) -> bytes:
    """RAM as firmware wants it: firmware itself reserves parts of it."""
    entry = struct.Struct("<QQI")
    low = entry.pack(0, memory.below_4g(), E820_RAM)
    high = [region for region in memory.regions if region.base >= FOUR_GIB]
    return low + b"".join(entry.pack(region.base, region.length, E820_RAM) for region in high)


def check_kernel(path: Path, start: bytes) -> None:
    """Raise BootImageError for a kernel that firmware does not start, by its first bytes."""
    if not linux.is_bzimage(start) and not _is_portable_executable(start):
        raise BootImageError(
            f"{path}: neither a Linux bzImage nor an EFI application",
            help="firmware starts no other kernels",
            key="kernel",
        )


def _efi_application(boot: FirmwareBoot, image: bytes) -> dict[int, bytes | memoryview]:
    """An EFI application, which UEFI firmware starts as it would a Linux kernel with an EFI stub.

    It has no real-mode part, and firmware itself finds places for it and for the initrd.
    """
    initrd = read(boot.initrd, host_files.PAYLOAD) if boot.initrd is not None else b""
    cmdline = boot.cmdline.encode() + b"\0"
    parts = (
        (KERNEL_SIZE, KERNEL, image),
        (INITRD_SIZE, INITRD, initrd),
        (CMDLINE_SIZE, CMDLINE, cmdline),
        (SETUP_SIZE, SETUP, b""),
    )
    found: dict[int, bytes | memoryview] = {}
    for size_key, key, content in parts:
        found[size_key] = struct.pack("<I", len(content))
        found[key] = content
    return found


def _is_portable_executable(image: bytes) -> bool:
    if not image.startswith(MZ) or len(image) < PE_OFFSET + 4:
        return False
    (header,) = struct.unpack_from("<I", image, PE_OFFSET)
    return image[header : header + len(PE)] == PE


def _bzimage(
    boot: FirmwareBoot, path: Path, image: bytes, memory: Memory
) -> dict[int, bytes | memoryview]:
    """A bzImage in its two parts, initrd and command line, and where each of them goes."""
    initrd = read(boot.initrd, most(memory)) if boot.initrd is not None else b""
    cmdline = boot.cmdline.encode() + b"\0"
    initrd_base = place_bzimage(path, image, len(image), boot.cmdline, len(initrd), memory)
    setup_length = ((image[linux.SETUP_SECTORS] or 4) + 1) * SECTOR
    setup = bytearray(image[:setup_length])
    setup[linux.LOADER_TYPE] = linux.LOADER_UNDEFINED
    setup[linux.LOAD_FLAGS] |= CAN_USE_HEAP
    struct.pack_into("<H", setup, HEAP_END_POINTER, HEAP_END)
    struct.pack_into("<I", setup, linux.COMMAND_LINE_POINTER, CMDLINE_BASE)
    struct.pack_into("<II", setup, linux.RAMDISK_IMAGE, initrd_base, len(initrd))
    parts = (
        (KERNEL_ADDRESS, KERNEL_BASE, KERNEL_SIZE, KERNEL, memoryview(image)[setup_length:]),
        (INITRD_ADDRESS, initrd_base, INITRD_SIZE, INITRD, initrd),
        (CMDLINE_ADDRESS, CMDLINE_BASE, CMDLINE_SIZE, CMDLINE, cmdline),
        (SETUP_ADDRESS, SETUP_BASE, SETUP_SIZE, SETUP, bytes(setup)),
    )
    found: dict[int, bytes | memoryview] = {}
    for address_key, address, size_key, key, content in parts:
        found[address_key] = struct.pack("<I", address)
        found[size_key] = struct.pack("<I", len(content))
        found[key] = content
    return found


def place_bzimage(
    path: Path, start: bytes, size: int, cmdline: str, initrd_size: int, memory: Memory
) -> int:
    """The address of the initrd of a bzImage of `size` bytes, which begins with `start`.

    Raises BootImageError when not all fits.
    """
    if size < linux.SETUP_HEADER_LIMIT:
        raise BootImageError(f"{path}: the bzImage is cut short", key="kernel")
    command_line.check(cmdline, start[linux.SETUP_HEADER : linux.SETUP_HEADER_LIMIT])
    (version,) = struct.unpack_from("<H", start, linux.VERSION)
    (limit,) = struct.unpack_from("<I", start, linux.RAMDISK_MAX)
    top = min(memory.below_4g() - FIRMWARE_RESERVE, (limit or linux.DEFAULT_RAMDISK_MAX) + 1)
    initrd_base = (top - initrd_size) & -PAGE
    used = KERNEL_BASE + size
    if version >= linux.PREFERRED_VERSION:  # before it, code is where these fields are
        (init_size,) = struct.unpack_from("<I", start, linux.INIT_SIZE)
        (preferred,) = struct.unpack_from("<Q", start, linux.PREFERRED_ADDRESS)
        used = max(used, preferred + init_size)
    if initrd_base < used:
        raise BootImageError(
            f"{path}: kernel and initrd do not fit into RAM: the kernel takes up to {used:#x}, "
            f"and {initrd_base:#x} would be left for the initrd",
            help="raise memory.size",
            key="initrd" if initrd_size else "kernel",
        )
    return initrd_base
