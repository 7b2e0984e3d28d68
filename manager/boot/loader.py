# SPDX-License-Identifier: BSD-2-Clause
"""From what the machine file boots to RAM contents and the CPU state to start in."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path

from manager import files
from manager.boot import e820, elf, linux, modes, multiboot, multiboot2, payload, pvh
from manager.boot.content import most, read
from manager.boot.errors import BootImageError
from manager.boot.modules import Module, named
from manager.bus.memory import Memory
from manager.config.modules import split_module
from manager.cpu.state import CpuState
from manager.graph.nodes import Boot, FirmwareBoot, ImageBoot, KernelBoot

REAL_MODE_LIMIT = 0x10000
"""With CS = 0, IP reaches this far."""


NO_MULTIBOOT = (
    "put the header at the start of the first section; or set `protocol`, if it is no multiboot "
    "kernel"
)


FOREIGN = {
    (0x38, b"ARM\x64"): "arm64",
    (0x38, b"RSC\x05"): "RISC-V",
    (0x24, b"\x18\x28\x6f\x01"): "Arm",
    (0x00, b"\x27\x05\x19\x56"): "U-Boot",
}
"""(Offset, magic number) of kernels for other machines.

Sources: Linux, Documentation/arch/arm64/booting.rst and riscv/boot-image-header.rst,
arch/arm/boot/compressed/head.S; U-Boot, include/image.h.
"""


class Protocol(StrEnum):
    """How a kernel is entered; the values are those of `boot.protocol`."""

    LINUX16 = "linux16"
    LINUX32 = "linux32"
    LINUX64 = "linux64"
    PVH = "pvh"
    MULTIBOOT = "multiboot"
    MULTIBOOT2 = "multiboot2"


def load(boot: Boot, memory: Memory, rsdp: int = 0, *, has_screen: bool = False) -> CpuState:
    """Load what `boot` names. Raises BootImageError naming the file and what is wrong with it.

    `rsdp` is the address of the ACPI root pointer; with 0 it is looked for in BIOS memory.
    `has_screen` says that a VGA shows a text mode, 80x25: Linux has to be told.
    """
    match boot:
        case KernelBoot():
            e820.write_bios_data(memory)
            return _kernel(boot, memory, rsdp or e820.find_rsdp(memory), has_screen)
        case ImageBoot():
            return _image(boot, memory)
        case FirmwareBoot():
            return CpuState.at_reset()  # its ROM is at the reset vector already


def _kernel(boot: KernelBoot, memory: Memory, rsdp: int, has_screen: bool) -> CpuState:
    image = read(boot.kernel, files.KERNEL)
    modules = _modules(boot, memory)
    try:
        image = unpacked(image)
        protocol = protocol_for(boot, image)
        match protocol:
            case Protocol.MULTIBOOT2:
                text, modules = _with_names(boot, modules)
                return multiboot2.load(multiboot2.parse(image), modules, text, memory, rsdp)
            case Protocol.MULTIBOOT:
                text, modules = _with_names(boot, modules)
                return multiboot.load(multiboot.parse(image), modules, text, memory)
            case Protocol.PVH:
                executable = pvh.parse(linux.vmlinux(image))
                return pvh.load(executable, modules, boot.cmdline, memory, rsdp)
            case _:
                require_fit(boot, protocol)
                kernel = linux.parse(image, 64 if protocol is Protocol.LINUX64 else 32)
                initrd = modules[0].data if modules else b""
                return linux.load(kernel, initrd, boot.cmdline, memory, rsdp, has_screen=has_screen)
    except BootImageError as error:
        raise named_after(boot.kernel, error) from error


def protocol_for(boot: KernelBoot, image: bytes) -> Protocol:
    """How this kernel is entered. Raises BootImageError."""
    if boot.protocol is None:
        return recognise(image)
    try:
        return Protocol(boot.protocol)
    except ValueError as error:
        raise BootImageError(f'"{boot.protocol}" is no boot protocol') from error


def _modules(boot: KernelBoot, memory: Memory) -> list[Module]:
    """The initrd first. Raises BootImageError."""
    modules, limit = [], most(memory)
    if boot.initrd is not None:
        modules.append(Module(boot.initrd.name, read(boot.initrd, limit)))
    for text in boot.modules:
        path, arguments = split_module(text)
        modules.append(Module(Path(path).name, read(Path(path), limit), arguments))
    return modules


def unpacked(image: bytes) -> bytes:
    """A kernel file that was packed as a whole, as Xen's are. Raises BootImageError."""
    if linux.is_bzimage(image) or image.startswith(elf.MAGIC):
        return image
    found = payload.decompress(image)
    if found is not None:
        return found
    for magic, name in payload.OTHERS.items():
        if image.startswith(magic):
            raise BootImageError(f"it is packed by {name}", help="unpack it first")
    return image


def protocol_of(boot: KernelBoot) -> Protocol:
    """How a kernel will be entered. Raises BootImageError, naming the file."""
    try:
        return protocol_for(boot, unpacked(read(boot.kernel, files.KERNEL)))
    except BootImageError as error:
        raise named_after(boot.kernel, error) from error


def named_after(path: Path, error: BootImageError) -> BootImageError:
    """The error with the file's name in front, unless it is there."""
    if error.message.startswith(str(path)):
        return error
    return BootImageError(f"{path}: {error.message}", help=error.help, key=error.key)


def _with_names(boot: KernelBoot, modules: list[Module]) -> tuple[str, list[Module]]:
    """The kernel's command line and the modules as multiboot kernels expect them."""
    each = [replace(one, arguments=named(one.name, one.arguments)) for one in modules]
    return named(boot.kernel.name, boot.cmdline), each


def recognise(image: bytes) -> Protocol:
    """How a kernel wants to be started, by its content. Raises BootImageError."""
    if not image:
        raise BootImageError("the file is empty")
    if linux.is_bzimage(image):
        return Protocol.LINUX64 if linux.has_entry_64(image) else Protocol.LINUX32
    if multiboot2.find_header(image) is not None:
        return Protocol.MULTIBOOT2
    if multiboot.find_header(image) is not None:
        return Protocol.MULTIBOOT
    mistake = multiboot2.header_mistake(image) or multiboot.header_mistake(image)
    if not image.startswith(elf.MAGIC):
        if (other := elsewhere(image)) is not None:
            raise BootImageError(f"a kernel for {other}, and the machine is an x86 PC")
        none = "neither a Linux bzImage nor a multiboot kernel nor an ELF file"
        raise BootImageError(f"{none}; {mistake}" if mistake else none)
    if mistake is not None:
        raise BootImageError(mistake, help=NO_MULTIBOOT)
    executable = elf.parse(image)
    if not executable.contains(executable.entry) and pvh.entry_point(image) is not None:
        return Protocol.PVH
    return Protocol.LINUX64 if executable.bits == 64 else Protocol.LINUX32


def elsewhere(image: bytes) -> str | None:
    """What a kernel file is for, if it is for no PC."""
    for (at, magic), name in FOREIGN.items():
        if image[at : at + len(magic)] == magic:
            return name
    return None


def require_fit(boot: KernelBoot, protocol: Protocol) -> None:
    """Raise BootImageError for what Linux cannot be entered with."""
    if protocol is Protocol.LINUX16:
        raise BootImageError(
            "Linux's 16-bit entry calls the BIOS, and the machine has none",
            help='set `firmware` instead of `protocol`, or `protocol = "linux32"`',
            key="protocol",
        )
    if boot.modules and protocol in (Protocol.LINUX32, Protocol.LINUX64):
        raise BootImageError(
            "Linux takes no modules",
            help="set `initrd`; modules are for multiboot and PVH",
            key="modules",
        )


def _image(boot: ImageBoot, memory: Memory) -> CpuState:
    image = read(boot.image, most(memory))
    check_image(boot, len(image), memory)
    memory.write(boot.load, image)
    if boot.bits == 16:
        return modes.real_mode(boot.entry)
    enter = modes.long_mode if boot.bits == 64 else modes.protected_mode
    return enter(memory, boot.entry)


def check_image(boot: ImageBoot, size: int, memory: Memory) -> None:
    """Raise BootImageError unless a flat image of that size fits and can be entered."""
    if not size:
        raise BootImageError(f"{boot.image}: the file is empty")
    end = boot.load + size
    if not any(one.base <= boot.load and end <= one.end for one in memory.regions):
        raise BootImageError(
            f"{boot.image}: does not fit into RAM at {boot.load:#x}: "
            f"{boot.load:#x}-{end - 1:#x} is not RAM",
            help="raise memory.size, or load it elsewhere",
        )
    if boot.bits == 16:
        if boot.entry >= REAL_MODE_LIMIT:
            raise BootImageError(
                f"{boot.image}: a 16-bit image starts below {REAL_MODE_LIMIT:#x}, "
                f"not at {boot.entry:#x}",
                key="entry",
            )
        return
    tables_end = modes.PAGE_TABLES_END if boot.bits == 64 else modes.GDT_BASE + 32
    if boot.load < tables_end and end > modes.GDT_BASE:
        raise BootImageError(
            f"{boot.image}: {modes.GDT_BASE:#x}-{tables_end - 1:#x} holds the tables of "
            f"{boot.bits}-bit mode",
            help=f"load the image at {tables_end:#x} or above",
            key="load",
        )
