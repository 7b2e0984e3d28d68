# SPDX-License-Identifier: BSD-2-Clause
"""Kernels with a PVH note start at it, in 32-bit mode, with their start info behind EBX."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from support.assembler import link
from support.booted import REPORTING, boot, write

from manager.boot.errors import BootImageError
from manager.bus.memory import Memory
from manager.graph.nodes import KernelBoot

BASE = 0x100000
VIRTUAL_ENTRY = ".globl _start\n.set _start, 0xffffffff80000000\n"


def note(entry: str = "pvh_entry", size: int = 8, kind: int = 18, owner: str = "Xen") -> str:
    store = {4: ".long", 8: ".quad"}.get(size, ".short")
    return f"""
        .pushsection .note.Xen, "a", @note
        .long 4, {size}, {kind}
        .asciz "{owner}"
        {store} {entry}
        .popsection
    """


REPORT = (
    ".code32\n"
    + REPORTING
    + """
pvh_entry:
    mov esp, 0x80000
    smsw eax
    and eax, 1
    out 0xe9, eax
    pushfd
    pop eax
    and eax, 0x20300
    out 0xe9, eax
    say [ebx]
    say [ebx + 4]
    say [ebx + 12]
    mov esi, [ebx + 24]
    call say_text
    say [ebx + 32]
    mov ecx, [ebx + 12]
    mov edi, [ebx + 16]
1:  jecxz 2f
    mov edx, [edi]
    say [edx]
    say [edi + 8]
    mov esi, [edi + 16]
    call say_text
    add edi, 32
    dec ecx
    jmp 1b
2:  mov ecx, [ebx + 48]
    mov edi, [ebx + 40]
3:  say [edi]
    say [edi + 8]
    say [edi + 16]
    add edi, 24
    dec ecx
    jnz 3b
    done
"""
)
Make = Callable[..., KernelBoot]


@pytest.fixture
def kernel(tmp_path: Path) -> Make:
    def kernel(content: bytes, **keys: object) -> KernelBoot:
        return KernelBoot(write(tmp_path / "kernel.elf", content), **keys)  # type: ignore[arg-type]

    return kernel


@pytest.mark.parametrize("size", [4, 8])
def test_kernel_is_told_about_machine_and_modules(kernel: Make, tmp_path: Path, size: int) -> None:
    write(tmp_path / "initrd", b"INIT")
    write(tmp_path / "mod.img", b"MOD1" * 3)
    memory = Memory.blank(4 << 20)
    memory.write(0xF0010, b"RSD PTR ")
    content = link(VIRTUAL_ENTRY + note(size=size) + REPORT, BASE, 64)
    modules = (f"{tmp_path / 'mod.img'} a=b",)

    told = boot(
        kernel(content, initrd=tmp_path / "initrd", modules=modules, cmdline="quiet"),
        memory=memory,
    )

    assert told.numbers(2) == [1, 0], "protected mode, interrupts off"
    assert told.numbers(3) == [0x336EC578, 1, 2]
    assert told.text() == "quiet"
    assert told.number() == 0xF0010
    assert told.numbers(2) == [int.from_bytes(b"INIT", "little"), 4]
    assert told.text() == ""
    assert told.numbers(2) == [int.from_bytes(b"MOD1", "little"), 12]
    assert told.text() == "a=b"
    assert told.rest() == [
        *(0, 0x9FC00, 1),
        *(0x9FC00, 0x400, 2),
        *(0xF0000, 0x10000, 2),
        *(0x100000, 0x300000, 1),
    ]


def test_elf_with_a_real_entry_is_started_by_pvh_only_when_asked(kernel: Make) -> None:
    other = """
    _start:
        .code64
        mov eax, 64
        out 0xe9, eax
        out 0xf4, al
    5:  jmp 5b
    """
    content = link(note() + REPORT + other, BASE, 64)
    assert boot(kernel(content)).rest() == [64]
    assert boot(kernel(content, protocol="pvh")).number() == 1


@pytest.mark.parametrize(
    ("notes", "complaint"),
    [
        ("", "no PVH entry point"),
        (note(kind=17), "no PVH entry point"),
        (note(owner="GNU"), "no PVH entry point"),
        (note("1", size=2), "malformed"),
        (note("0x100000000"), "below 4 GiB"),
    ],
)
def test_kernel_without_a_usable_note_is_refused(kernel: Make, notes: str, complaint: str) -> None:
    content = link(VIRTUAL_ENTRY + notes + REPORT, BASE, 64)
    with pytest.raises(BootImageError, match=complaint) as caught:
        boot(kernel(content, protocol="pvh"))
    assert "kernel.elf" in caught.value.message


def test_notes_that_run_past_their_segment_are_no_notes(kernel: Make) -> None:
    content = bytearray(link(VIRTUAL_ENTRY + note() + REPORT, BASE, 64))
    at = content.index(struct.pack("<III", 4, 8, 18))
    struct.pack_into("<I", content, at + 4, 0xFFFFFFF0)
    with pytest.raises(BootImageError, match="no PVH entry point"):
        boot(kernel(bytes(content), protocol="pvh"))
