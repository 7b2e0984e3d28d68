# SPDX-License-Identifier: BSD-2-Clause
"""Linux kernels are entered by Linux's own boot protocol, in 64- or 32-bit mode."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from support.assembler import assemble, link
from support.booted import Report, boot, write
from support.bzimage import FORMS, PREFERRED, bzimage, packed

from manager.boot.errors import BootImageError
from manager.graph.nodes import KernelBoot


def entry(mark: int) -> str:
    """Reports which entry was taken, and boot_params' address."""
    return f"""
    mov eax, {mark}
    out 0xe9, eax
    mov eax, esi
    out 0xe9, eax
    out 0xf4, al
1:  jmp 1b
"""


CODE_32, CODE_64 = assemble(entry(32), 0, 32), assemble(entry(64), 0, 64)
VMLINUX = link("_start:" + entry(100), PREFERRED, 64)
Make = Callable[..., KernelBoot]


@pytest.fixture
def kernel(tmp_path: Path) -> Make:
    def kernel(content: bytes, **keys: object) -> KernelBoot:
        return KernelBoot(write(tmp_path / "vmlinuz", content), **keys)  # type: ignore[arg-type]

    return kernel


def params(told: Report) -> bytes:
    """The boot_params that the kernel was given."""
    _, address = told.numbers(2)
    return told.memory.read(address, 4096)


def field(params: bytes, layout: str, offset: int) -> int:
    value: int = struct.unpack_from(layout, params, offset)[0]
    return value


@pytest.mark.parametrize("form", FORMS)
def test_payload_is_unpacked_before_the_kernel_starts(kernel: Make, form: str) -> None:
    image = bzimage(CODE_32, CODE_64, payload=packed(VMLINUX, form))
    assert boot(kernel(image)).number() == 100


@pytest.mark.parametrize(
    ("image", "protocol", "taken"),
    [
        (bzimage(CODE_32, CODE_64), None, 64),
        (bzimage(CODE_32, CODE_64, payload=b"\x89LZO or anything else"), None, 64),
        (bzimage(CODE_32, CODE_64), "linux64", 64),
        (bzimage(CODE_32, CODE_64), "linux32", 32),
        (bzimage(CODE_32, CODE_64, payload=packed(VMLINUX, "gzip")), "linux32", 32),
        (bzimage(CODE_32), None, 32),
        (bzimage(CODE_32, version=0x202), None, 32),
        (VMLINUX, None, 100),
        (VMLINUX, "linux64", 100),
        (link("_start:" + entry(101), PREFERRED, 32), None, 101),
        (link("_start:" + entry(101), PREFERRED, 32), "linux32", 101),
    ],
)
def test_kernel_is_entered_where_it_can_or_should_be(
    kernel: Make, image: bytes, protocol: str | None, taken: int
) -> None:
    assert boot(kernel(image, protocol=protocol)).number() == taken


@pytest.mark.parametrize("protocol", ["linux32", "linux64"])
def test_boot_params_describe_machine_command_line_and_initrd(
    kernel: Make, tmp_path: Path, protocol: str
) -> None:
    initrd = write(tmp_path / "initrd", b"cpio" * 1500)
    image = bzimage(CODE_32, CODE_64)

    told = boot(
        kernel(image, initrd=initrd, cmdline="console=ttyS0", protocol=protocol), rsdp=0xF1230
    )

    zero_page = params(told)
    assert zero_page[0x1F1:0x210] == image[0x1F1:0x210], "the setup header comes back"
    assert zero_page[0x210] == 0xFF
    assert field(zero_page, "<Q", 0x70) == 0xF1230
    text = told.memory.read(field(zero_page, "<I", 0x228), 14)
    assert text == b"console=ttyS0\0"
    start, size = field(zero_page, "<I", 0x218), field(zero_page, "<I", 0x21C)
    assert told.memory.read(start, size) == b"cpio" * 1500
    assert start % 4096 == 0
    assert start == (0x400000 - 6000) & -4096, "as high as RAM goes"
    count = zero_page[0x1E8]
    ranges = [struct.unpack_from("<QQI", zero_page, 0x2D0 + 20 * n) for n in range(count)]
    assert ranges == [
        (0, 0x9FC00, 1),
        (0x9FC00, 0x400, 2),
        (0xF0000, 0x10000, 2),
        (0x100000, 0x300000, 1),
    ]


def test_initrd_stays_under_the_kernels_limit(kernel: Make, tmp_path: Path) -> None:
    initrd = write(tmp_path / "initrd", b"cpio")
    image = bzimage(CODE_32, CODE_64, ramdisk_max=0x2FFFFF)
    zero_page = params(boot(kernel(image, initrd=initrd)))
    assert field(zero_page, "<I", 0x218) == 0x2FF000


@pytest.mark.parametrize(
    ("image", "keys", "complaint", "help"),
    [
        (bzimage(CODE_32, CODE_64), {"protocol": "linux16"}, "calls the BIOS", "linux32"),
        (bzimage(CODE_32), {"protocol": "linux64"}, "no 64-bit entry point", "linux32"),
        (bzimage(CODE_32, CODE_64, version=0x20B), {"protocol": "linux64"}, "no 64-bit", "linux32"),
        (bzimage(CODE_32), {"protocol": "pvh"}, "unknown format", None),
        (bzimage(CODE_32, payload=packed(VMLINUX, "xz")), {"protocol": "pvh"}, "no PVH", None),
        (bzimage(CODE_32), {"protocol": "multiboot"}, "no Multiboot header", None),
        (VMLINUX, {"protocol": "linux32"}, "this is a 64-bit kernel", "linux64"),
        (VMLINUX, {"protocol": "grub"}, '"grub" is no boot protocol', None),
        (bzimage(CODE_32, version=0x201), {}, "too old", "2.4"),
        (bzimage(CODE_32, version=0x207, code_32_start=0), {}, "calls the BIOS", "firmware"),
        (bzimage(CODE_32, version=0x203, release=b"MEMDISK 6"), {}, "MEMDISK 6 starts", "SeaBIOS"),
        (bzimage(CODE_32, flags=0), {}, "too old", "2.4"),
        (bzimage(CODE_32, CODE_64)[:0x208], {}, "cut short", None),
        (bzimage(CODE_32, CODE_64)[:0x230], {}, "cut short", None),
        (bzimage(CODE_32, CODE_64)[:0x400], {}, "cut short", None),
        (bzimage(CODE_32, CODE_64, payload=packed(VMLINUX, "xz")[:99]), {}, "damaged|ELF", None),
        (bzimage(CODE_32, CODE_64, payload=packed(b"text", "gzip")), {}, "not a .* ELF", None),
        (bzimage(CODE_32, CODE_64, init_size=1 << 30), {}, "RAM ends at 0x400000", "memory.size"),
        (bzimage(CODE_32, preferred=1 << 28), {}, "RAM ends at 0x400000", "memory.size"),
        (bzimage(CODE_32, CODE_64, preferred=1 << 63), {}, "RAM ends at 0x400000", "memory.size"),
        (
            bzimage(CODE_32, CODE_64),
            {"cmdline": "x" * 0x10000},
            "has 65536 bytes, and this kernel reads 2047",
            None,
        ),
    ],
)
def test_kernel_that_cannot_be_started_is_refused_by_name(
    kernel: Make, image: bytes, keys: dict[str, str], complaint: str, help: str | None
) -> None:
    with pytest.raises(BootImageError, match=complaint) as caught:
        boot(kernel(image, **keys))
    assert "vmlinuz" in caught.value.message
    assert help is None or help in (caught.value.help or "")


def test_initrd_that_does_not_fit_is_refused(kernel: Make, tmp_path: Path) -> None:
    initrd = write(tmp_path / "initrd", bytes(3 << 20))
    with pytest.raises(BootImageError, match="does not fit above the kernel") as caught:
        boot(kernel(bzimage(CODE_32, CODE_64), initrd=initrd))
    assert caught.value.help == "raise memory.size"


def test_modules_are_not_for_linux(kernel: Make, tmp_path: Path) -> None:
    module = write(tmp_path / "module", b"")
    with pytest.raises(BootImageError, match="takes no modules"):
        boot(kernel(bzimage(CODE_32, CODE_64), modules=(str(module),)))
