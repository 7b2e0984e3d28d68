# SPDX-License-Identifier: BSD-2-Clause
"""Multiboot kernels find themselves, their modules and the machine as the specification says."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import pytest
import zstandard
from support.assembler import assemble, link
from support.booted import REPORTING, boot, write

from manager.boot.errors import BootImageError
from manager.graph.nodes import KernelBoot

BASE = 0x100000
PAGES_AND_MEMORY = 3
VIDEO = 1 << 2


def header(flags: int = PAGES_AND_MEMORY, *more: int) -> str:
    words = (0x1BADB002, flags, -(0x1BADB002 + flags) & 0xFFFFFFFF, *more)
    return f".balign 4\nheader: .long {', '.join(map(hex, words))}\n"


# Reports the CPU's state, the boot information, the modules with their first bytes, the map.
REPORT = (
    REPORTING
    + """
_start:
    mov esp, 0x80000
    out 0xe9, eax
    smsw eax
    and eax, 1
    out 0xe9, eax
    pushfd
    pop eax
    and eax, 0x20200
    out 0xe9, eax
    say [ebx]
    say [ebx + 4]
    say [ebx + 8]
    mov esi, [ebx + 16]
    call say_text
    mov esi, [ebx + 64]
    call say_text
    say [ebx + 20]
    mov ecx, eax
    mov edi, [ebx + 24]
1:  jecxz 2f
    say [edi]
    mov edx, eax
    say [edi + 4]
    say [edx]
    mov esi, [edi + 8]
    call say_text
    add edi, 16
    dec ecx
    jmp 1b
2:  mov edi, [ebx + 48]
    mov edx, [ebx + 44]
    add edx, edi
3:  cmp edi, edx
    jae 4f
    say [edi + 4]
    say [edi + 12]
    say [edi + 20]
    add edi, [edi]
    add edi, 4
    jmp 3b
4:  done
"""
)
Make = Callable[..., KernelBoot]


@pytest.fixture
def kernel(tmp_path: Path) -> Make:
    def kernel(content: bytes, **keys: object) -> KernelBoot:
        return KernelBoot(write(tmp_path / "kernel.elf", content), **keys)  # type: ignore[arg-type]

    return kernel


@pytest.mark.parametrize("bits", [32, 64])
def test_kernel_finds_cpu_and_information_as_specified(kernel: Make, bits: int) -> None:
    content = link(".code32\n" + header() + REPORT, BASE, bits)

    told = boot(kernel(content, cmdline="root=/dev/ram quiet"))

    magic, protected, flags_register, flags = told.numbers(4)
    assert (magic, protected, flags_register) == (0x2BADB002, 1, 0)
    assert flags & 0x24D == 0x24D, "memory, command line, modules, memory map, loader name"
    assert not flags & 0x1D92, "no boot device, drives, APM, screen"
    assert told.numbers(2) == [639, 3 * 1024]
    assert told.text() == "kernel.elf root=/dev/ram quiet"
    assert told.text() == "vmmgr"
    assert told.number() == 0
    assert told.rest() == [
        *(0, 0x9FC00, 1),
        *(0x9FC00, 0x400, 2),
        *(0xF0000, 0x10000, 2),
        *(0x100000, 0x300000, 1),
    ]


def test_initrd_and_modules_arrive_on_pages_of_their_own(kernel: Make, tmp_path: Path) -> None:
    write(tmp_path / "initrd", b"INIT" * 2000)
    write(tmp_path / "a b.img", b"MOD1")
    write(tmp_path / "empty", b"")
    modules = (f'"{tmp_path / "a b.img"}" root=/ x', str(tmp_path / "empty"))
    content = link(header() + REPORT, BASE)

    told = boot(kernel(content, initrd=tmp_path / "initrd", modules=modules))

    told.numbers(6)
    told.text(), told.text()
    assert told.number() == 3
    first, first_end, first_word = told.numbers(3)
    assert (first_end - first, first_word.to_bytes(4, "little")) == (8000, b"INIT")
    assert told.text() == "initrd"
    second, second_end, second_word = told.numbers(3)
    assert (second_end - second, second_word.to_bytes(4, "little")) == (4, b"MOD1")
    assert told.text() == "a b.img root=/ x"
    third, third_end, _ = told.numbers(3)
    assert third == third_end
    assert told.text() == "empty"
    assert all(start % 4096 == 0 for start in (first, second, third))
    assert BASE + len(content) <= first + 4096
    assert first_end <= second


def test_elf_symbols_are_loaded_with_their_section_table(kernel: Make) -> None:
    source = header() + REPORTING + """
    _start:
        say [ebx]
        say [ebx + 28]
        say [ebx + 32]
        say [ebx + 36]
        say [ebx + 40]
        done
    a_symbol_of_the_kernel: .long 0
    """  # fmt: skip

    told = boot(kernel(link(source, BASE)))

    flags, count, stride, table, names = told.numbers(5)
    assert flags & 1 << 5
    assert stride == 40
    headers = [
        struct.unpack("<10I", told.memory.read(table + stride * number, stride))
        for number in range(count)
    ]
    strings = [told.memory.read(one[3], one[5]) for one in headers if one[1] == 3]
    assert any(b"a_symbol_of_the_kernel" in text for text in strings)
    assert b".symtab" in told.memory.read(headers[names][3], headers[names][5])


def test_address_fields_place_a_flat_binary_and_its_bss(kernel: Make) -> None:
    size, bss = 0x800, 0x400
    fields = (BASE + 0x20, BASE, BASE + size, BASE + size + bss, BASE + 0x200)
    source = f"""
        .org 0x20
        {header(PAGES_AND_MEMORY | 1 << 16, *fields)}
        .org 0x200
        out 0xe9, eax
        mov eax, [{BASE + size - 4:#x}]
        out 0xe9, eax
        mov eax, [{BASE + size:#x}]
        out 0xe9, eax
        out 0xf4, al
    1:  jmp 1b
        .org {size - 4:#x}
        .long 0x600dda7a
        .long 0xbad
    """
    told = boot(kernel(assemble(source, BASE, 32)))
    assert told.rest() == [0x2BADB002, 0x600DDA7A, 0]


def test_higher_half_kernel_is_entered_at_its_physical_address(kernel: Make) -> None:
    content = bytearray(link(header() + REPORT, 0xC0100000))
    (table,) = struct.unpack_from("<I", content, 28)
    (count,) = struct.unpack_from("<H", content, 44)
    for number in range(count):
        at = table + 32 * number
        kind, _, virtual = struct.unpack_from("<III", content, at)
        if kind == 1:
            struct.pack_into("<I", content, at + 12, virtual - 0xC0000000)

    # say_text is called relative, so the code runs wherever it lies.
    assert boot(kernel(bytes(content))).number() == 0x2BADB002


def test_kernel_finds_the_ebda_and_base_memory_in_bios_data(kernel: Make) -> None:
    source = header() + REPORTING + """
    _start:
        movzx eax, word ptr [0x40e]
        out 0xe9, eax
        movzx eax, word ptr [0x413]
        out 0xe9, eax
        done
    """  # fmt: skip
    assert boot(kernel(link(source, BASE))).rest() == [0x9FC0, 639]


def test_a_wish_for_video_is_not_fulfilled_and_not_fatal(kernel: Make) -> None:
    told = boot(kernel(link(header(PAGES_AND_MEMORY | VIDEO) + REPORT, BASE)))
    assert not told.numbers(4)[3] & 0x1800


def test_low_kernel_does_not_meet_its_own_boot_information(kernel: Make) -> None:
    filler = "\n.data\n.fill 0x20000, 1, 0x5a\n"
    told = boot(kernel(link(header() + REPORT + filler, 0x10000), cmdline="here"))
    told.numbers(6)
    assert told.text() == "kernel.elf here"


@pytest.mark.parametrize(
    ("source", "base", "complaint"),
    [
        (header(1 << 5) + REPORT, BASE, "requires unknown features: flags 0x20"),
        (header() + REPORT, 0x200, "not all of that is free RAM"),
        (header() + REPORT, 0xB8000, "not all of that is free RAM"),
        (header() + REPORT, 0xF0000, "not all of that is free RAM"),
        (header() + REPORT, 0x4000000, "RAM ends at 0x400000"),
        (header() + REPORT + "\n.bss\n.skip 0x1000000", BASE, "RAM ends at 0x400000"),
        (header(1 << 16, 0, 0, 0, 0, 0) + REPORT, BASE, "not all of that is free RAM"),
        (header(1 << 16, BASE, BASE + 1, 0, 0, 0) + REPORT, BASE, "do not match the file"),
        (header(1 << 16, BASE, BASE, BASE + (1 << 20), 0, 0) + REPORT, BASE, "do not match"),
    ],
)
def test_kernel_that_cannot_be_loaded_is_refused_by_name(
    kernel: Make, source: str, base: int, complaint: str
) -> None:
    with pytest.raises(BootImageError, match=complaint) as caught:
        boot(kernel(link(source, base)))
    assert "kernel.elf" in caught.value.message


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (struct.pack("<III", 0x1BADB002, 1 << 16, -0x1BAEB002 & 0xFFFFFFFF), "cut short"),
        (struct.pack("<III", 0x1BADB002, 0, -0x1BADB002 & 0xFFFFFFFF), "no ELF file"),
        (bytes(8192) + struct.pack("<III", 0x1BADB002, 0, -0x1BADB002 & 0xFFFFFFFF), "neither"),
        (b"\0\0" + struct.pack("<III", 0x1BADB002, 0, -0x1BADB002 & 0xFFFFFFFF), "neither"),
        (struct.pack("<III", 0x1BADB002, 0, 1), "neither"),
    ],
)
def test_header_that_is_not_whole_is_no_header(
    kernel: Make, content: bytes, complaint: str
) -> None:
    with pytest.raises(BootImageError, match=complaint):
        boot(kernel(content))


def padded(before: int, words: str) -> str:
    """An ELF kernel's source with a header behind so many bytes of text."""
    return f"jmp _start\n.org {before:#x}\n.long {words}\n"


GOOD = "0x1badb002, 3, 0xe4524ffb"


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (padded(0x102, GOOD), r"at offset 0x[0-9a-f]+ is not aligned to 4 bytes"),
        (padded(0x2000, GOOD), r"is not within the first 8192 bytes, where loaders look"),
        (padded(0x100, "0x1badb002, 3, 0xe4524ffc"), r"wrong checksum: .* add up to 0x1, not to 0"),
    ],
)
@pytest.mark.parametrize("protocol", [None, "multiboot"])
def test_a_header_that_is_nearly_one_is_shown_instead_of_booted_as_something_else(
    kernel: Make, source: str, complaint: str, protocol: str | None
) -> None:
    with pytest.raises(BootImageError, match=f"its Multiboot header .*{complaint}"):
        boot(kernel(link(source + REPORT, BASE), protocol=protocol))


def test_a_header_in_the_wrong_place_does_not_hide_a_right_one(kernel: Make) -> None:
    source = header() + ".byte 0\n.long " + GOOD + "\n" + REPORT

    assert boot(kernel(link(source, BASE))).number() == 0x2BADB002


PACKERS = {
    "gzip": lambda data: gzip.compress(data),
    "xz": lambda data: lzma.compress(data),
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "bzip2": lambda data: bz2.compress(data),
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
}


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_a_packed_kernel_is_unpacked(kernel: Make, pack: Callable[[bytes], bytes]) -> None:
    assert boot(kernel(pack(link(header() + REPORT, BASE)))).number() == 0x2BADB002


def test_a_kernel_that_cannot_be_unpacked_says_by_what_it_is_packed(kernel: Make) -> None:
    with pytest.raises(BootImageError, match="it is packed by lz4") as caught:
        boot(kernel(lz4.frame.compress(link(header() + REPORT, BASE))))
    assert caught.value.help == "unpack it first"


def test_a_packed_kernel_that_is_damaged_is_refused(kernel: Make) -> None:
    with pytest.raises(BootImageError, match=r"kernel\.elf: the compressed kernel is damaged"):
        boot(kernel(gzip.compress(link(header() + REPORT, BASE))[:-20]))


# Loads a GDT of its own, as teaching kernels do, and its data segments, but makes no far jump.
NO_FAR_JUMP = (
    REPORTING
    + """
_start:
    mov esp, 0x80000
    lgdt [gdt_pointer]
    mov ax, 0x10
    mov ds, ax
    mov ss, ax
    lea eax, [handler]
    mov [idt + 8 * 0x21], ax
    mov word ptr [idt + 8 * 0x21 + 2], 8
    mov word ptr [idt + 8 * 0x21 + 4], 0x8e00
    shr eax, 16
    mov [idt + 8 * 0x21 + 6], ax
    lidt [idt_pointer]
    int 0x21
    done
handler:
    mov eax, cs
    out 0xe9, eax
    iretd
    .balign 8
gdt: .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdt_pointer: .word 23
    .long gdt
idt_pointer: .word 0x7ff
    .long idt
    .bss
idt: .skip 0x800
"""
)


def test_a_kernel_may_load_its_gdt_without_a_far_jump(kernel: Make) -> None:
    assert boot(kernel(link(header() + NO_FAR_JUMP, BASE))).number() == 8


def test_module_that_does_not_fit_is_named(kernel: Make, tmp_path: Path) -> None:
    write(tmp_path / "huge.img", bytes(3 << 20))
    content = link(header() + REPORT, BASE)
    with pytest.raises(BootImageError, match=r"module huge\.img \(3145728 bytes\)") as caught:
        boot(kernel(content, modules=(str(tmp_path / "huge.img"),)))
    assert caught.value.help == "raise memory.size"


def test_kernel_above_4_gib_is_refused(kernel: Make) -> None:
    content = link(".code32\n" + header() + REPORT, 1 << 32, 64)
    with pytest.raises(BootImageError, match="below 4 GiB"):
        boot(kernel(content))
