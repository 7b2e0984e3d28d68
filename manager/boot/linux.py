# SPDX-License-Identifier: BSD-2-Clause
"""Linux by its 64-bit or 32-bit entry point: a bzImage, or a vmlinux.

By the 64-bit entry a bzImage's payload is unpacked here, which is faster than in the guest; when
that cannot be done, and by the 32-bit entry, the kernel's own code unpacks it.

Source: Linux, Documentation/arch/x86/boot.rst (offsets are into the setup header or boot_params).
"""

from __future__ import annotations

import re
import struct
from typing import Literal

from manager.boot import command_line, e820, elf, modes, payload
from manager.boot.errors import BootImageError
from manager.boot.placement import MORE_MEMORY, Placement
from manager.bus.memory import PAGE, Memory
from manager.cpu.state import CpuState
from manager.lazy import dataclass

BOOT_PARAMS = 0x10000
COMMAND_LINE = 0x20000
COMMAND_LINE_LIMIT = command_line.LIMIT
LOAD_HIGH = 0x100000
"""Where a bzImage's protected-mode part belongs, and its 32-bit entry."""

SETUP_HEADER, SETUP_HEADER_LIMIT = 0x1F1, 0x290
ACPI_RSDP, E820_COUNT, E820_TABLE = 0x70, 0x1E8, 0x2D0
SETUP_SECTORS, BOOT_FLAG, JUMP, HEADER_MAGIC, VERSION = 0x1F1, 0x1FE, 0x200, 0x202, 0x206
LOADER_TYPE, LOAD_FLAGS, RAMDISK_IMAGE, RAMDISK_SIZE = 0x210, 0x211, 0x218, 0x21C
COMMAND_LINE_POINTER, RAMDISK_MAX, XLOAD_FLAGS = 0x228, 0x22C, 0x236
PAYLOAD_OFFSET, PREFERRED_ADDRESS, INIT_SIZE = 0x248, 0x258, 0x260
RELEASE, CODE_32, RELEASE_LIMIT = 0x20E, 0x214, 64

MAGIC = b"HdrS"
LOADER_UNDEFINED = 0xFF
LOADED_HIGH = 1
XLF_KERNEL_64 = 1
ENTRY_64 = 0x200
DEFAULT_RAMDISK_MAX = 0x37FFFFFF
COMMAND_LINE_VERSION, RAMDISK_MAX_VERSION = 0x202, 0x203
PAYLOAD_VERSION, PREFERRED_VERSION, ENTRY_64_VERSION = 0x208, 0x20A, 0x20C
UNPACKED_RATIO = 4
"""How much more than its file a kernel of an old protocol needs."""
RSI = 6
TEXT_SCREEN = struct.pack("<BBHHBBBBHHBBH", 0, 0, 0, 0, 3, 80, 0, 0, 3, 0, 25, 1, 16)
"""`screen_info` (Linux, include/uapi/linux/screen_info.h): cursor, memory, page, mode, columns,
flags, unused, EGA's switches, unused, lines, whether it is a VGA, points of a character."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """The parts of a kernel image, and the header that is handed back to the kernel."""

    header: bytes
    executable: elf.Executable
    """What to load: vmlinux, or a bzImage's protected-mode part with its own decompressor.

    It covers all that the kernel uses before it looks at the memory map."""


def is_bzimage(image: bytes) -> bool:
    """Whether the file is a Linux bzImage."""
    return image[HEADER_MAGIC : HEADER_MAGIC + 4] == MAGIC


def has_entry_64(image: bytes) -> bool:
    """Whether a bzImage can be entered in 64-bit mode. Raises BootImageError."""
    return _Setup(image).has_entry_64


def parse(image: bytes, bits: Literal[32, 64]) -> Kernel:
    """Parse a bzImage or vmlinux, to be entered in that mode. Raises BootImageError."""
    if not is_bzimage(image):
        header = bytearray(SETUP_HEADER_LIMIT - SETUP_HEADER)
        struct.pack_into("<H", header, BOOT_FLAG - SETUP_HEADER, 0xAA55)
        struct.pack_into("<4sH", header, HEADER_MAGIC - SETUP_HEADER, MAGIC, 0x20F)
        return _vmlinux(bytes(header), elf.parse(image), bits)

    setup = _Setup(image)
    setup.require_whole(len(image))
    if setup.calls_the_bios:
        raise BootImageError(
            f"{setup.release} starts in real mode and calls the BIOS, and the machine has none",
            help="set `firmware` beside `kernel`: SeaBIOS starts it",
        )
    if bits == 32:
        return setup.entered_in_32_bits()
    if not setup.has_entry_64:
        raise BootImageError(
            "this Linux kernel has no 64-bit entry point",
            help='set `protocol = "linux32"`, or use a 64-bit kernel, 3.8 or later',
        )
    unpacked = setup.unpack()
    if unpacked is not None:
        return _vmlinux(setup.header, elf.parse(unpacked), 64)
    return setup.entered_in_64_bits()


def outline(start: bytes, size: int) -> Kernel | None:
    """What a bzImage entered in 64-bit mode will take up, from the START bytes of its file.

    `size` is the file's. None if only the kernel itself could tell. Raises BootImageError.
    """
    setup = _Setup(start)
    setup.require_whole(size)
    if setup.version < PAYLOAD_VERSION or not setup.has_entry_64:
        return None
    content = setup.unpacked_beginning()
    if content is None:
        return None
    return _vmlinux(setup.header, elf.parse(content, outline=True), 64)


START = 1 << 20
"""Bytes of a bzImage that tell what there is to know before it is loaded."""
PROGRAM_HEADERS = 1 << 16
"""Bytes of a vmlinux that its program headers are within."""


def vmlinux(image: bytes) -> bytes:
    """The ELF file in a bzImage; any other file is returned as it is. Raises BootImageError."""
    if not is_bzimage(image):
        return image
    unpacked = _Setup(image).unpack()
    if unpacked is None:
        raise BootImageError("the kernel in this bzImage is packed in an unknown format")
    return unpacked


def _vmlinux(header: bytes, executable: elf.Executable, bits: int) -> Kernel:
    if bits != executable.bits:
        raise BootImageError(
            f"this is a {executable.bits}-bit kernel, to be entered in {executable.bits}-bit mode",
            help=f'set `protocol = "linux{executable.bits}"`, or leave it out',
        )
    return Kernel(header, executable)


class _Setup:
    """A bzImage's setup header."""

    def __init__(self, image: bytes) -> None:
        self._image = image
        self.version = self._field("<H", VERSION)
        high = self._field("<B", LOAD_FLAGS) & LOADED_HIGH
        if self.version < COMMAND_LINE_VERSION or not high:
            raise BootImageError("this Linux kernel is too old", help="use Linux 2.4 or later")
        self.start = ((image[SETUP_SECTORS] or 4) + 1) * 512
        if self.start >= len(image):
            raise BootImageError("the bzImage is cut short")
        end = min(HEADER_MAGIC + image[JUMP + 1], SETUP_HEADER_LIMIT)
        header = bytearray(image[SETUP_HEADER:end].ljust(SETUP_HEADER_LIMIT - SETUP_HEADER, b"\0"))
        if self.version < RAMDISK_MAX_VERSION:
            struct.pack_into("<I", header, RAMDISK_MAX - SETUP_HEADER, DEFAULT_RAMDISK_MAX)
        self.header = bytes(header)

    def _field(self, layout: str, offset: int) -> int:
        if offset + struct.calcsize(layout) > len(self._image):
            raise BootImageError("the bzImage is cut short")
        value: int = struct.unpack_from(layout, self._image, offset)[0]
        return value

    def require_whole(self, size: int) -> None:
        """Raise BootImageError when a file of that size does not have all of the payload."""
        if self.version >= PAYLOAD_VERSION and (length := self._field("<I", PAYLOAD_OFFSET + 4)):
            end = self.start + self._field("<I", PAYLOAD_OFFSET) + length
            if end > size:
                raise BootImageError(f"the bzImage is cut short: {size} bytes of {end}")

    def unpacked_beginning(self) -> bytes | None:
        """The first bytes of the kernel itself; None as for `unpack`."""
        start = self.start + self._field("<I", PAYLOAD_OFFSET)
        return payload.beginning(self._image[start:], PROGRAM_HEADERS)

    @property
    def release(self) -> str:
        """What the file calls itself: of Linux a version number."""
        at = self._field("<H", RELEASE)
        text = self._image[at + JUMP : at + JUMP + RELEASE_LIMIT] if at else b""
        return text.partition(b"\0")[0].decode("ascii", "replace")

    @property
    def calls_the_bios(self) -> bool:
        """Whether only the format is Linux's, and what is in it starts in real mode.

        Boot loaders come in such files, of an early version of the protocol: iPXE says that it
        has no 32-bit code, MEMDISK that it is no Linux.
        """
        if self.version >= PAYLOAD_VERSION or not self.release:
            return False
        linux = re.match(r"[1-9]\.[0-9]", self.release) is not None
        return not linux or not self._field("<I", CODE_32)

    @property
    def has_entry_64(self) -> bool:
        return (
            self.version >= ENTRY_64_VERSION and self._field("<H", XLOAD_FLAGS) & XLF_KERNEL_64 != 0
        )

    def unpack(self) -> bytes | None:
        """The kernel itself; None when it is packed in a format unknown here, or not at all."""
        if self.version < PAYLOAD_VERSION:
            return None
        start = self.start + self._field("<I", PAYLOAD_OFFSET)
        length = self._field("<I", PAYLOAD_OFFSET + 4)
        return payload.decompress(self._image[start : start + length])

    def entered_in_64_bits(self) -> Kernel:
        preferred = self._field("<Q", PREFERRED_ADDRESS)
        return self._as_it_is(64, preferred, preferred + ENTRY_64)

    def entered_in_32_bits(self) -> Kernel:
        return self._as_it_is(32, LOAD_HIGH, LOAD_HIGH)

    def _as_it_is(self, bits: int, base: int, entry: int) -> Kernel:
        """The protected-mode part, which unpacks itself to where it prefers to run."""
        body = memoryview(self._image)[self.start :]
        end = base + len(body) * UNPACKED_RATIO
        if self.version >= PREFERRED_VERSION:
            preferred, room = self._field("<Q", PREFERRED_ADDRESS), self._field("<I", INIT_SIZE)
            end = max(base + len(body), max(base, preferred) + room)
        segment = elf.LoadSegment(base, body, end - base)
        return Kernel(self.header, elf.Executable(bits, entry, (segment,)))


def load(
    kernel: Kernel,
    initrd: bytes,
    text: str,
    memory: Memory,
    rsdp: int = 0,
    *,
    has_screen: bool = False,
) -> CpuState:
    """Put everything into RAM and return the CPU state at the entry. Raises BootImageError.

    `text` is the command line, `rsdp` the address of the ACPI root pointer, 0 for none;
    `has_screen` says that a VGA is in text mode 3.
    """
    put(kernel, text, memory)

    params = bytearray(PAGE)
    params[SETUP_HEADER : SETUP_HEADER + len(kernel.header)] = kernel.header
    params[LOADER_TYPE] = LOADER_UNDEFINED
    params[LOAD_FLAGS] |= LOADED_HIGH
    if has_screen:
        params[: len(TEXT_SCREEN)] = TEXT_SCREEN
    struct.pack_into("<Q", params, ACPI_RSDP, rsdp)
    _place_command_line(text, params, memory)
    if initrd:
        _place_initrd(kernel, initrd, params, memory)
    entries = e820.memory_map(memory)
    params[E820_COUNT] = len(entries)
    for number, entry in enumerate(entries):
        struct.pack_into("<QQI", params, E820_TABLE + 20 * number, *entry)
    memory.write(BOOT_PARAMS, bytes(params))

    enter = modes.long_mode if kernel.executable.bits == 64 else modes.protected_mode
    state = enter(memory, kernel.executable.entry)
    state.gpr[RSI] = BOOT_PARAMS
    return state


def _place_command_line(text: str, params: bytearray, memory: Memory) -> None:
    memory.write(COMMAND_LINE, text.encode() + b"\0")
    struct.pack_into("<I", params, COMMAND_LINE_POINTER, COMMAND_LINE)


def _place_initrd(kernel: Kernel, initrd: bytes, params: bytearray, memory: Memory) -> None:
    address = place_for_initrd(kernel, len(initrd), memory)
    memory.write(address, initrd)
    struct.pack_into("<II", params, RAMDISK_IMAGE, address, len(initrd))


def place_for_initrd(kernel: Kernel, size: int, memory: Memory) -> int:
    """As high as the kernel allows, so that it is out of the way. Raises BootImageError."""
    (limit,) = struct.unpack_from("<I", kernel.header, RAMDISK_MAX - SETUP_HEADER)
    top = min(memory.below_4g(), (limit or DEFAULT_RAMDISK_MAX) + 1)
    address = (top - size) & -PAGE
    used = kernel.executable.end
    if address < used:
        raise BootImageError(
            f"an initrd of {size} bytes does not fit above the kernel, which ends at "
            f"{used:#x}, and under {top:#x}",
            help=MORE_MEMORY,
            key="initrd",
        )
    return address


def put(kernel: Kernel, text: str, memory: Memory) -> None:
    """Put a kernel into RAM. Raises BootImageError unless it can be entered there."""
    placement = Placement(memory)
    placement.take(0, COMMAND_LINE + COMMAND_LINE_LIMIT)
    placement.put(kernel.executable.segments, "the kernel")
    kernel.executable.require_entry()
    command_line.check(text, kernel.header)
