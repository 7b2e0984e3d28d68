# SPDX-License-Identifier: BSD-2-Clause
"""The story of a fault: what each kind of exception, error code, access and code is called.

The guests have no IDT, so whatever happens to them ends as a triple fault.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.machines import build, finish

from manager.debug.story import INSTRUCTIONS, disassemble, story_of
from manager.machine.machine import Machine

pytestmark = pytest.mark.guest

PAGES = """
        mov     dword ptr [0x2000], 0x83        # the first 4 MiB
        mov     dword ptr [0x2004], {second}    # the next
        mov     eax, 0x2000
        mov     cr3, eax
        mov     eax, 0x10                       # PSE
        mov     cr4, eax
        mov     eax, cr0
        or      eax, 0x80010000                 # PG, WP
        mov     cr0, eax
"""
RING_3 = """
        lgdt    [gdtr]
        push    0x23
        push    0x180000
        push    2
        push    0x1b
        push    offset user
        iretd
gdtr:   .word   39
        .long   gdt
gdt:    .quad   0, 0x00cf9a000000ffff, 0x00cf92000000ffff, 0x00cffa000000ffff, 0x00cff2000000ffff
user:
"""
NO_EXECUTION = """
        mov     ecx, 0xc0000080
        rdmsr
        or      eax, 0x800
        wrmsr
        mov     rax, 0x8000000000200083         # the second 2 MiB are no code
        mov     [0x3008], rax
        mov     rax, cr3
        mov     cr3, rax
        mov     eax, 0x234560
        jmp     rax
"""


def ended(folder: Path, code: str, bits: int = 32, extra: str = "") -> tuple[Machine, list[str]]:
    machine = build(folder, "        mov esp, 0x180000\n" * (bits == 32) + code, bits, extra)
    return machine, list(story_of(machine, finish(machine)))


def story(folder: Path, code: str, bits: int = 32, extra: str = "") -> list[str]:
    return ended(folder, code, bits, extra)[1]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("xor ecx, ecx\ndiv ecx", "#DE, divide error"),
        ("pushfd\nor dword ptr [esp], 0x100\npopfd\nnop", "#DB, debug exception"),
        ("int3", "INT 0x3"),
        ("int 0x80", "INT 0x80"),
        ("mov al, 0x7f\nadd al, 1\ninto", "INT 0x4"),
        ("mov eax, 9\nbound eax, [here]\nhere: .long 1, 2", "#BR, bound range exceeded"),
        ("ud2", "#UD, invalid opcode"),
        ("mov eax, cr0\nor al, 8\nmov cr0, eax\nfld1", "#NM, no FPU"),
        (
            "mov dword ptr [0], 0x2c\npushfd\nor dword ptr [esp], 0x4000\npopfd\niretd",
            "#TS, invalid TSS, error code 0x2c (selector 0x28 in the LDT)",
        ),
        (
            "mov dword ptr [0x51c], 0x1300\nmov ax, 0x18\nmov ds, ax",
            "#NP, segment not present, error code 0x18 (selector 0x18 in the GDT)",
        ),
        (
            "mov dword ptr [0x51c], 0x1300\nmov ax, 0x18\nmov ss, ax",
            "#SS, stack fault, error code 0x18 (selector 0x18 in the GDT)",
        ),
        (
            "mov ax, 0x48\nmov ds, ax",
            "#GP, general protection, error code 0x48 (selector 0x48 in the GDT)",
        ),
        (
            "mov ax, 0x4c\nmov ds, ax",
            "#GP, general protection, error code 0x4c (selector 0x48 in the LDT)",
        ),
        ("mov eax, 0x80000000\nmov cr0, eax", "#GP, general protection, error code 0x0"),
        (
            "mov eax, cr0\nor al, 0x20\nmov cr0, eax\nfninit\npush 0\nfldcw [esp]\nfldz\nfld1\n"
            "fdivrp\nfwait",
            "#MF, x87 error",
        ),
    ],
)  # fmt: skip
def test_what_it_began_with(code: str, words: str, tmp_path: Path) -> None:
    if "0x51c" in code:  # a third descriptor in the GDT that direct boots find
        code = f"mov word ptr [gdtr], 31\nlgdt [gdtr]\n{code}\ngdtr: .word 31\n.long 0x500"

    first, *rest = story(tmp_path, code)

    assert first.startswith(f"it began with {words}, at 0010:80")
    assert any(line.startswith("then #DF, double fault, error code 0x0") for line in rest)


@pytest.mark.parametrize(
    ("code", "second", "words"),
    [
        ("mov eax, [0x800123]", 0, "error code 0x0 (read by ring 0: no page), address 0x800123"),
        ("mov [0x800123], al", 0, "error code 0x2 (write by ring 0: no page), address 0x800123"),
        (
            "mov [0x400123], al", 0x81,
            "error code 0x3 (write by ring 0: not allowed), address 0x400123",
        ),
        (
            "mov al, [0x400123]", 0x200083,
            "error code 0x9 (read by ring 0: reserved bits in a page table), address 0x400123",
        ),
        (
            "mov [0x400123], al", 0x200083,
            "error code 0xb (write by ring 0: reserved bits in a page table), address 0x400123",
        ),
        (RING_3, 0, "error code 0x5 (fetch by ring 3: not allowed), address 0x80"),
        ("jmp 0x800123", 0, "error code 0x0 (fetch by ring 0: no page), address 0x800123"),
    ],
)  # fmt: skip
def test_page_faults(code: str, second: int, words: str, tmp_path: Path) -> None:
    first = story(tmp_path, PAGES.format(second=second) + code)[0]

    assert first.startswith(f"it began with #PF, page fault, {words}")


def test_a_page_that_is_no_code(tmp_path: Path) -> None:
    lines = story(tmp_path, NO_EXECUTION, 64)

    assert lines[0] == (
        "it began with #PF, page fault, error code 0x11 (fetch by ring 0: not allowed), "
        "address 0x234560, at 0010:234560"
    )


def test_an_interrupt_that_cannot_be_delivered(tmp_path: Path) -> None:
    code = """
        mov     al, 0x11                # the PIC: vectors from 20h, all but the timer masked
        out     0x20, al
        mov     al, 0x20
        out     0x21, al
        mov     al, 4
        out     0x21, al
        mov     al, 1
        out     0x21, al
        mov     al, 0xfe
        out     0x21, al
        mov     al, 0x34
        out     0x43, al
        mov     al, 0xff
        out     0x40, al
        out     0x40, al
        sti
1:      jmp     1b
    """

    lines = story(tmp_path, code)

    assert lines[0].startswith("it began with an interrupt with vector 0x20, at 0010:80")
    assert "(vector 0x20 of the IDT)" in lines[1]
    assert "  eb fe  " in lines[3]


def test_refused_msrs(tmp_path: Path) -> None:
    read = "mov ecx, 0x12345\nrdmsr"
    written = "mov ecx, 0xc0000080\nmov eax, 0x99\nmov edx, 0x80000001\nwrmsr"

    for name, code, words in (
        ("read", read, "RDMSR 0x12345, at 0010:"),
        ("written", written, "WRMSR 0xc0000080 <- 0x8000000100000099, at 0010:"),
    ):
        (tmp_path / name).mkdir()
        lines = story(tmp_path / name, code)
        (line,) = [line for line in lines if line.startswith("the last MSR that was refused: ")]
        assert line.startswith(f"the last MSR that was refused: {words}80")


def test_the_last_of_two_ports_that_no_device_has_and_no_delays(tmp_path: Path) -> None:
    for name, last in (("in", "in al, dx"), ("out", "out dx, al")):
        (tmp_path / name).mkdir()
        code = f"in al, 0x99\nmov dx, 0x5678\n{last}\nout 0x80, al\nmov dx, 0x3fd\nin al, dx\nud2"
        lines = story(tmp_path / name, code)
        words = {"in": "IN from", "out": "OUT to"}[name]
        assert [line for line in lines if line.startswith("the last port")] == [
            f"the last port that no device has: {words} 0x5678"
        ]


@pytest.mark.parametrize(
    ("bits", "code", "expected"),
    [
        (16, "lidt [no]\nud2\nmov ax, [bx + si]\nno: .long 0, 0", "mov ax, word ptr [bx + si]"),
        (32, "ud2\nmov eax, [esi]", "mov eax, dword ptr [esi]"),
        (64, "ud2\nmov r15, [rsi]", "mov r15, qword ptr [rsi]"),
    ],
)
def test_code_is_of_the_cpus_mode(bits: int, code: str, expected: str, tmp_path: Path) -> None:
    lines = [line for line in story(tmp_path, code, bits) if line.startswith("  ")]

    assert lines[0].endswith("  0f 0b                          ud2")
    assert lines[1].endswith(f"  {expected}")
    assert len(lines) <= INSTRUCTIONS


def test_code_in_a_segment_with_a_base(tmp_path: Path) -> None:
    code = "lidt [no]\njmp 0x800:(there - 0x8000)\nthere: ud2\nmov ax, 0x4321\nno: .long 0, 0"

    lines = story(tmp_path, code, 16)

    assert lines[0].startswith("it began with #UD, invalid opcode, at 0800:")
    assert any(line.endswith("  mov ax, 0x4321") for line in lines)


def test_code_at_the_end_of_memory(tmp_path: Path) -> None:
    code = "mov word ptr [0x3ffffe], 0x0b0f\nmov eax, 0x3ffffe\njmp eax"

    lines = [line for line in story(tmp_path, code) if line.startswith("  ")]

    assert [line.split() for line in lines] == [["3ffffe:", "0f", "0b", "ud2"]]


def test_the_cpu_is_named_when_it_is_not_the_first(tmp_path: Path) -> None:
    code = """
        cld
        mov     esi, offset second
        mov     edi, 0x9000
        mov     ecx, 32
        rep movsb
        mov     dword ptr [0xfee00310], 0x01000000
        mov     dword ptr [0xfee00300], 0x4500          # INIT
        mov     dword ptr [0xfee00300], 0x4609          # start at 0x9000
1:      pause
        jmp     1b
second: .code16
        lidt    cs:[no - second]
        mov     ax, 0x1234
        ud2
no:     .long   0, 0
    """

    first, *_ = story(tmp_path, code, extra="[cpu]\ncount = 2\n")

    assert first.startswith("it began with #UD, invalid opcode, at 0900:")
    assert first.endswith(" on CPU 1")


@given(st.binary(min_size=1, max_size=160), st.integers(0, (1 << 64) - 1),
       st.sampled_from((16, 32, 64)))  # fmt: skip
def test_no_bytes_break_the_list_or_the_terminal(data: bytes, address: int, bits: int) -> None:
    lines = list(disassemble(data, address, bits))

    assert 1 <= len(lines) <= INSTRUCTIONS
    assert all(line.isascii() and line.isprintable() for line in lines)
