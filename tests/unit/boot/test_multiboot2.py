# SPDX-License-Identifier: BSD-2-Clause
"""Multiboot2 kernels get the tags they ask for, and a clear no where the machine cannot serve."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from support.assembler import assemble, link
from support.booted import REPORTING, Report, boot, write

from manager.boot.errors import BootImageError
from manager.bus.memory import Memory
from manager.graph.nodes import KernelBoot

BASE = 0x100000
MAGIC = 0xE85250D6
OPTIONAL = 1


def tag(kind: int, *numbers: int, flags: int = 0) -> bytes:
    content = struct.pack(f"<{len(numbers)}I", *numbers)
    whole = struct.pack("<HHI", kind, flags, 8 + len(content)) + content
    return whole + bytes(-len(whole) % 8)


END = tag(0)


def header(*tags: bytes, architecture: int = 0) -> str:
    content = b"".join(tags) + END
    length = 16 + len(content)
    checksum = -(MAGIC + architecture + length) & 0xFFFFFFFF
    whole = struct.pack("<IIII", MAGIC, architecture, length, checksum) + content
    return f".balign 8\nheader: .byte {', '.join(map(str, whole))}\n.balign 4\n"


# Reports EAX, the address and the size of the boot information.
REPORT = (
    REPORTING
    + """
_start:
    out 0xe9, eax
    say ebx
    say [ebx]
    done
"""
)
Make = Callable[..., KernelBoot]


@pytest.fixture
def kernel(tmp_path: Path) -> Make:
    def kernel(content: bytes, **keys: object) -> KernelBoot:
        return KernelBoot(write(tmp_path / "kernel.elf", content), **keys)  # type: ignore[arg-type]

    return kernel


def tags(told: Report) -> list[tuple[int, bytes]]:
    """What the kernel finds behind EBX: (type, content)."""
    magic, base, size = told.numbers(3)
    assert magic == 0x36D76289
    assert base % 8 == 0
    found, at = [], base + 8
    while at < base + size:
        kind, length = struct.unpack("<II", told.memory.read(at, 8))
        found.append((kind, told.memory.read(at + 8, length - 8)))
        at += length + 7 & ~7
    assert at == base + size
    assert found[-1] == (0, b"")
    return found


@pytest.mark.parametrize("bits", [32, 64])
def test_kernel_is_told_about_the_machine(kernel: Make, bits: int) -> None:
    content = link(".code32\n" + header() + REPORT, BASE, bits)

    found = dict(tags(boot(kernel(content, cmdline="root=/dev/ram quiet"))))

    assert found[1] == b"kernel.elf root=/dev/ram quiet\0"
    assert found[2] == b"vmmgr\0"
    assert struct.unpack("<II", found[4]) == (639, 3 * 1024)
    assert struct.unpack_from("<II", found[6]) == (24, 0)
    ranges = [struct.unpack_from("<QQII", found[6], at) for at in range(8, len(found[6]), 24)]
    assert ranges == [
        (0, 0x9FC00, 1, 0),
        (0x9FC00, 0x400, 2, 0),
        (0xF0000, 0x10000, 2, 0),
        (0x100000, 0x300000, 1, 0),
    ]
    count, stride, names = struct.unpack_from("<III", found[9])
    assert len(found[9]) == 12 + count * stride
    assert names < count
    assert struct.unpack("<I", found[21]) == (BASE,)
    assert 3 not in found
    assert 14 not in found


def test_kernel_can_walk_its_tags(kernel: Make) -> None:
    """The same as above, but walked by the guest itself."""
    source = header() + REPORTING + """
    _start:
        mov esp, 0x80000
        add ebx, 8
    1:  mov eax, [ebx]
        test eax, eax
        jz 3f
        cmp eax, 1
        jne 2f
        lea esi, [ebx + 8]
        call say_text
    2:  mov eax, [ebx + 4]
        add eax, 7
        and eax, -8
        add ebx, eax
        jmp 1b
    3:  done
    """  # fmt: skip
    assert boot(kernel(link(source, BASE), cmdline="hello")).text() == "kernel.elf hello"


def test_initrd_and_modules_become_module_tags(kernel: Make, tmp_path: Path) -> None:
    write(tmp_path / "initrd", b"INIT" * 2000)
    write(tmp_path / "mod.img", b"MOD1")
    boot_ = kernel(
        link(header(tag(6)) + REPORT, BASE),
        initrd=tmp_path / "initrd",
        modules=(f"{tmp_path / 'mod.img'} root=/ x",),
    )

    told = boot(boot_)

    modules = [content for kind, content in tags(told) if kind == 3]
    places = [struct.unpack_from("<II", content) for content in modules]
    assert [content[8:] for content in modules] == [b"initrd\0", b"mod.img root=/ x\0"]
    assert [told.memory.read(start, end - start) for start, end in places] == [
        b"INIT" * 2000,
        b"MOD1",
    ]
    assert all(start % 4096 == 0 for start, _ in places)


@pytest.mark.parametrize(("revision", "kinds"), [(0, {14}), (2, {14, 15})])
@pytest.mark.parametrize("announced", [True, False])
def test_acpi_root_pointer_is_copied(
    kernel: Make, revision: int, kinds: set[int], announced: bool
) -> None:
    memory, address = Memory.blank(4 << 20), 0xF4560
    pointer = b"RSD PTR \x11VMMGR " + bytes([revision]) + bytes(range(20))
    memory.write(address, pointer)

    told = boot(
        kernel(link(header() + REPORT, BASE)), memory=memory, rsdp=address if announced else 0
    )

    found = {kind: content for kind, content in tags(told) if kind in (14, 15)}
    assert found.keys() == kinds
    assert found[14] == pointer[:20]
    assert found.get(15, pointer) == pointer


def test_address_tags_place_a_flat_binary(kernel: Make) -> None:
    size, bss = 0x800, 0x400
    tags_ = (tag(2, BASE + 0x20, BASE, BASE + size, BASE + size + bss), tag(3, BASE + 0x200))
    source = f"""
        .org 0x20
        {header(*tags_)}
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
    assert told.rest() == [0x36D76289, 0x600DDA7A, 0]


def test_whole_file_is_loaded_where_its_header_address_puts_it(kernel: Make) -> None:
    source = header(tag(2, BASE, 0xFFFFFFFF, 0, 0), tag(3, BASE + 0x100)) + """
        .org 0x100
        out 0xe9, eax
        out 0xf4, al
    1:  jmp 1b
    """  # fmt: skip
    assert boot(kernel(assemble(source, BASE, 32))).rest() == [0x36D76289]


def test_entry_tag_overrides_the_elf_entry(kernel: Make) -> None:
    source = f"""
        {header(tag(3, BASE + 0x100))}
    _start:
        ud2
        .org 0x100
        mov eax, 7
        out 0xe9, eax
        out 0xf4, al
    1:  jmp 1b
    """
    assert boot(kernel(link(source, BASE))).rest() == [7]


@pytest.mark.parametrize(
    ("allowed", "lowest", "highest"),
    [
        ((0x100000, 0x3FFFFF, 0x1000, 1), 0x100000, 0x100000),
        ((0x100000, 0x3FFFFF, 0x1000, 2), 0x300000, 0x3FFFFF),
        ((0x10000, 0xFFFFFFFF, 0x10000, 0), 0x10000, 0x10000),
    ],
)
def test_relocatable_kernel_moves_when_it_cannot_stay(
    kernel: Make, allowed: tuple[int, ...], lowest: int, highest: int
) -> None:
    source = header(tag(10, *allowed)) + """
    _start:
        mov esp, 0x80000
        call 1f
    1:  pop eax
        and eax, -4096
        out 0xe9, eax
        out 0xf4, al
    2:  jmp 2b
    """  # fmt: skip

    (base,) = boot(kernel(link(source, 0x8000000))).rest()

    assert lowest <= base <= highest
    assert base % allowed[2] == 0


def test_relocatable_kernel_stays_where_it_may(kernel: Make) -> None:
    movable = header(tag(10, 0x100000, 0x3FFFFF, 0x1000, 1))
    found = dict(tags(boot(kernel(link(movable + REPORT, 0x200000)))))
    assert struct.unpack("<I", found[21]) == (0x200000,)


@pytest.mark.parametrize(
    "tags_",
    [
        (tag(5, 1024, 768, 32, flags=OPTIONAL),),
        (tag(4, 1, flags=OPTIONAL),),
        (tag(4, 2),),
        (tag(1, 1, 3, 6, 8, 9, 14),),
        (tag(1, 999, flags=OPTIONAL),),
        (tag(99, 1, 2, 3, flags=OPTIONAL), tag(1)),
        (tag(7), tag(8, BASE), tag(9, BASE)),
    ],
)
def test_wishes_that_need_not_come_true_are_no_obstacle(
    kernel: Make, tags_: tuple[bytes, ...]
) -> None:
    assert boot(kernel(link(header(*tags_) + REPORT, BASE))).number() == 0x36D76289


@pytest.mark.parametrize(
    ("tags_", "complaint"),
    [
        ((tag(5, 1024, 768, 32),), "requires a framebuffer"),
        ((tag(4, 1),), "requires a text screen"),
        ((tag(1, 1, 22),), "boot information of unknown type 22"),
        ((tag(99),), "requires unknown tag 99"),
        ((tag(3),), "tag 3 .* too short"),
        ((tag(2, BASE, BASE, 0, 0),), "no entry address"),
        ((tag(2, 0, BASE, 0, 0), tag(3, BASE)), "do not match the file"),
        ((struct.pack("<HHI", 1, 0, 3) + bytes(8),), "tag 1 .* has the size 3"),
        ((struct.pack("<HHI", 1, 0, 0x1000),), "tag 1 .* has the size 4096"),
        ((tag(10, 0x1000000, 0x2000000, 16, 1),), "do not fit between 0x1000000 and"),
    ],
)
def test_kernel_whose_needs_are_not_met_is_refused_by_name(
    kernel: Make, tags_: tuple[bytes, ...], complaint: str
) -> None:
    with pytest.raises(BootImageError, match=complaint) as caught:
        boot(kernel(link(header(*tags_) + REPORT, BASE)))
    assert "kernel.elf" in caught.value.message


def test_header_that_is_cut_short_is_refused(kernel: Make) -> None:
    words = (MAGIC, 0, 4096, -(MAGIC + 4096) & 0xFFFFFFFF)
    with pytest.raises(BootImageError, match="cut short"):
        boot(kernel(struct.pack("<IIII", *words)))


def test_header_of_another_architecture_is_not_for_this_machine(kernel: Make) -> None:
    with pytest.raises(BootImageError, match="is for architecture 4, not for i386"):
        boot(kernel(link(header(architecture=4) + REPORT, BASE), protocol="multiboot2"))


GOOD = "0xe85250d6, 0, 24, 0x17adaf12, 0, 8"


@pytest.mark.parametrize(
    ("before", "words", "complaint"),
    [
        (0x102, GOOD, r"at offset 0x[0-9a-f]+ is not aligned to 8 bytes"),
        (0x8004, GOOD, "is not within the first 32768 bytes, where loaders look"),
        (0x104, GOOD.replace("f12", "f11"), "wrong checksum: its words add up to 0xffffffff"),
        (0x104, "0xe85250d6, 4, 24, 0x17adaf0e, 0, 8", "is for architecture 4, not for i386"),
    ],
)
def test_a_header_that_is_nearly_one_is_shown_instead_of_booted_as_something_else(
    kernel: Make, before: int, words: str, complaint: str
) -> None:
    source = f"jmp _start\n.org {before:#x}\n.long {words}\n"
    with pytest.raises(BootImageError, match=f"its Multiboot2 header .*{complaint}"):
        boot(kernel(link(source + REPORT, BASE)))
