# SPDX-License-Identifier: BSD-2-Clause
"""What the loaders would refuse, told from headers and sizes before a machine is made.

It is quick: a bzImage is not unpacked, and what goes with a kernel is not read. What only a boot
can tell is left to it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields
from pathlib import Path

from manager import files
from manager.boot import elf, firmware, linux, multiboot, multiboot2, pvh
from manager.boot.content import read, size_of, start
from manager.boot.errors import BootImageError
from manager.boot.loader import (
    Protocol,
    check_image,
    named_after,
    protocol_for,
    require_fit,
    unpacked,
)
from manager.boot.modules import named
from manager.boot.placement import MORE_MEMORY, Placement
from manager.bus.memory import PAGE, Memory
from manager.config.modules import split_module
from manager.errors import HostError
from manager.graph.nodes import FirmwareBoot, Graph, ImageBoot, KernelBoot
from manager.lazy import dataclass

PACKED = 4 << 20
"""Bytes of a file that is unpacked to look at it; a larger one is left to the boot."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a machine would not boot."""

    message: str
    help: str | None
    key: tuple[str | int, ...]
    """What is to blame, below `[boot]`."""


def refusal(graph: Graph) -> Refusal | None:
    """Why the machine would not boot, if so. Its files are there."""
    with suppress(HostError):  # that the host has no room for RAM is no fault of the files
        try:
            _look(graph, Memory.blank(graph.memory_size))
        except BootImageError as error:
            key = error.key or fields(graph.boot)[0].name
            path = tuple(int(part) if part.isdigit() else part for part in key.split("."))
            return Refusal(error.message, error.help, path)
    return None


def _look(graph: Graph, memory: Memory) -> None:
    match graph.boot:
        case KernelBoot() as boot:
            _kernel(boot, memory)
        case ImageBoot() as boot:
            check_image(boot, size_of(boot.image, "image"), memory)
        case FirmwareBoot() as boot:
            _firmware(boot, memory)


def _kernel(boot: KernelBoot, memory: Memory) -> None:
    image, size = start(boot.kernel, linux.START)
    try:
        if not linux.is_bzimage(image):
            if size > PACKED and not image.startswith(elf.MAGIC):
                return
            image = unpacked(read(boot.kernel, files.KERNEL))
        protocol = protocol_for(boot, image)
        require_fit(boot, protocol)
        if protocol in (Protocol.LINUX32, Protocol.LINUX64):
            _linux(boot, image, size, protocol, memory)
        elif not linux.is_bzimage(image):
            _modules(boot, _put(boot, image, protocol, memory), memory)
    except BootImageError as error:
        raise named_after(boot.kernel, error) from error


def _linux(boot: KernelBoot, image: bytes, size: int, protocol: Protocol, memory: Memory) -> None:
    kernel: linux.Kernel | None
    if linux.is_bzimage(image) and protocol is Protocol.LINUX64:
        kernel = linux.outline(image, size)
    else:
        if linux.is_bzimage(image):
            image = read(boot.kernel, files.KERNEL)
        kernel = linux.parse(image, 64 if protocol is Protocol.LINUX64 else 32)
    if kernel is None:
        return
    linux.put(kernel, boot.cmdline, memory)
    if boot.initrd is not None:
        linux.place_for_initrd(kernel, size_of(boot.initrd, "initrd"), memory)


def _put(boot: KernelBoot, image: bytes, protocol: Protocol, memory: Memory) -> elf.Executable:
    """Load a kernel alone that takes modules."""
    text = named(boot.kernel.name, boot.cmdline)
    if protocol is Protocol.MULTIBOOT2:
        kernel2 = multiboot2.parse(image)
        multiboot2.load(kernel2, (), text, memory)
        return kernel2.executable
    if protocol is Protocol.MULTIBOOT:
        kernel = multiboot.parse(image)
        multiboot.load(kernel, (), text, memory)
        return kernel.executable
    executable = pvh.parse(image)
    pvh.load(executable, (), boot.cmdline, memory)
    return executable


def _modules(boot: KernelBoot, kernel: elf.Executable, memory: Memory) -> None:
    """Whether the files that go with a kernel find room, in their order."""
    placement = Placement(memory)
    for segment in kernel.segments:
        placement.take(segment.address, segment.size)
    given = [(f"modules.{n}", Path(split_module(text)[0])) for n, text in enumerate(boot.modules)]
    if boot.initrd is not None:
        given.insert(0, ("initrd", boot.initrd))
    for key, path in given:
        size = size_of(path, key)
        base = placement.lowest(max(size, 1), PAGE, kernel.end)
        if base is None:
            message = f"{path}: its {size} bytes do not fit into RAM"
            raise BootImageError(message, help=MORE_MEMORY, key=key)
        placement.take(base, size)


def _firmware(boot: FirmwareBoot, memory: Memory) -> None:
    firmware.check_rom(boot.firmware, size_of(boot.firmware, "firmware"), memory)
    if boot.kernel is None:
        return
    image, size = start(boot.kernel, linux.START)
    firmware.check_kernel(boot.kernel, image)
    if linux.is_bzimage(image):
        initrd = size_of(boot.initrd, "initrd") if boot.initrd is not None else 0
        firmware.place_bzimage(boot.kernel, image, size, boot.cmdline, initrd, memory)
