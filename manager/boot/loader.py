# SPDX-License-Identifier: BSD-2-Clause
"""From what the machine file boots to RAM contents and the CPU state to start in."""

from __future__ import annotations

from pathlib import Path

from manager.boot import elf, linux, modes
from manager.boot.errors import BootImageError
from manager.bus.memory import AddressError, Memory
from manager.cpu.state import CpuState
from manager.graph.nodes import Boot, FirmwareBoot, ImageBoot, KernelBoot

REAL_MODE_LIMIT = 0x10000
"""With CS = 0, IP reaches this far."""


def load(boot: Boot, memory: Memory) -> CpuState:
    """Load what `boot` names. Raises BootImageError naming the file and what is wrong with it."""
    match boot:
        case KernelBoot():
            return _kernel(boot, memory)
        case ImageBoot():
            return _image(boot, memory)
        case FirmwareBoot():
            raise BootImageError(
                f"{boot.firmware}: firmware at the reset vector is not supported yet",
                help="boot a kernel or an image",
            )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BootImageError(f"{path}: {error.strerror}") from error


def _kernel(boot: KernelBoot, memory: Memory) -> CpuState:
    image = _read(boot.kernel)
    try:
        if not linux.is_bzimage(image) and not image.startswith(elf.MAGIC):
            raise BootImageError("neither a Linux bzImage nor an ELF file")
        kernel = linux.parse(image)
        initrd = _read(boot.initrd) if boot.initrd is not None else b""
        return linux.load(kernel, initrd, boot.cmdline, memory)
    except BootImageError as error:
        if str(boot.kernel) in error.message:
            raise
        raise BootImageError(f"{boot.kernel}: {error.message}", help=error.help) from error


def _image(boot: ImageBoot, memory: Memory) -> CpuState:
    image = _read(boot.image)
    try:
        memory.write(boot.load, image)
    except AddressError as error:
        raise BootImageError(
            f"{boot.image}: does not fit into RAM at {boot.load:#x}: {error}",
            help="raise memory.size, or load it elsewhere",
        ) from error
    if boot.bits == 16:
        if boot.entry >= REAL_MODE_LIMIT:
            raise BootImageError(
                f"{boot.image}: a 16-bit image starts below {REAL_MODE_LIMIT:#x}, "
                f"not at {boot.entry:#x}"
            )
        return modes.real_mode(boot.entry)
    tables_end = modes.PAGE_TABLES_END if boot.bits == 64 else modes.GDT_BASE + 32
    if boot.load < tables_end and boot.load + len(image) > modes.GDT_BASE:
        raise BootImageError(
            f"{boot.image}: {modes.GDT_BASE:#x}-{tables_end - 1:#x} holds the tables of "
            f"{boot.bits}-bit mode",
            help=f"load the image at {tables_end:#x} or above",
        )
    enter = modes.long_mode if boot.bits == 64 else modes.protected_mode
    return enter(memory, boot.entry)
