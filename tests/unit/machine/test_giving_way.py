# SPDX-License-Identifier: BSD-2-Clause
"""Whatever a guest does, the event loop gets its turn: no guest can lock its operator out."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from support.machines import build

from manager.machine.machine import Machine

pytestmark = pytest.mark.guest

SLICE = 5_000_000
PROMISE = 0.2
"""Seconds of the process's own time for which a slice may keep the loop waiting."""
IDT = """
        mov     esp, 0x180000
        lgdt    [gdtr]
        lidt    [idtr]
        jmp     0x08:1f
gdt:    .quad   0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdtr:   .word   23
        .long   gdt
idtr:   .word   0x7ff
        .long   0x10000
1:      mov     edi, 0x10000
        mov     ecx, 256
2:      mov     eax, offset handler
        mov     [edi], ax
        mov     word ptr [edi + 2], 0x08
        mov     word ptr [edi + 4], 0x8e00
        shr     eax, 16
        mov     [edi + 6], ax
        add     edi, 8
        loop    2b
"""
SSE = "mov eax, cr4\nor eax, 0x600\nmov cr4, eax\nfninit\n"
TIMER = """
        mov     dword ptr [0xfee000f0], 0x1ff
        mov     dword ptr [0xfee003e0], 0xb
        mov     dword ptr [0xfee00320], 0x20040
        mov     dword ptr [0xfee00380], 1       # a tick is a nanosecond or so
        sti
"""


def forever(body: str, count: int = 200) -> str:
    return f"1: .rept {count}\n{body}\n.endr\njmp 1b"


WORST = {
    "code that rewrites itself": (
        16,
        "xor ax, ax\nmov ds, ax\nmov bx, offset l + 1000\nl: .rept 700\nadd [bx], al\n.endr\njmp l",
    ),
    "code that rewrites the rest of its block": (
        32,
        "l: inc byte ptr [t + 1]\nt: mov al, 0\n.rept 500\nadd eax, 1\n.endr\njmp l",
    ),
    "new code for ever": (
        32,
        """
        mov     esp, 0x80000
        mov     esi, 0x100000
l:      mov     edi, esi
        mov     ecx, 0x2000
        mov     eax, 0x90909090
        rep stosd
        mov     byte ptr [edi], 0xc3
        call    esi
        add     esi, 0x1000
        and     esi, 0x0fffff
        or      esi, 0x100000
        jmp     l
        """,
    ),
    "single steps": (
        16,
        """
        xor     ax, ax
        mov     ds, ax
        mov     ss, ax
        mov     sp, 0x7000
        mov     word ptr [4], offset h
        mov     word ptr [6], 0
        pushf
        pop     ax
        or      ax, 0x100
        push    ax
        popf
l:      nop
        jmp     l
h:      iret
        """,
    ),
    "an invalid opcode whose handler is one": (
        32,
        IDT + "ud2\nhandler: mov esp, 0x180000\nud2",
    ),
    "an interrupt each nanosecond": (
        32,
        IDT + TIMER + "l: jmp l\nhandler: mov dword ptr [0xfee000b0], 0\niretd",
    ),
    "an interrupt each nanosecond, halted": (
        32,
        IDT + TIMER + "l: hlt\njmp l\nhandler: mov dword ptr [0xfee000b0], 0\niretd",
    ),
    "the FPU's whole state": (32, SSE + forever("fnsave [0x20000]\nfrstor [0x20000]")),
    "FXSAVE": (32, SSE + forever("fxsave [0x20000]")),
    "sines": (32, SSE + forever("fldpi\nfsin\nfyl2x\nfpatan\nfstp st(0)", 150)),
    "decimals": (32, SSE + forever("fldpi\nfbstp [0x20000]")),
    "flushes of the TLB": (32, forever("mov eax, cr3\nmov cr3, eax")),
    "INVLPG": (32, forever("invlpg [eax]")),
    "WRMSR": (32, "mov ecx, 0x10\n" + forever("wrmsr")),
    "CPUID": (32, forever("cpuid")),
    "ports": (32, forever("in al, 0x71")),
    "a string from a port": (
        32,
        "1: mov edi, 0x20000\nmov ecx, 99999\nmov edx, 0x71\nrep insb\njmp 1b",
    ),
    "a device in memory": (32, forever("mov eax, [0xfee00390]")),
    "no device in memory": (32, forever("mov eax, [0xe0000000]")),
    "the A20 gate": (32, forever("mov al, 2\nout 0x92, al\nxor al, al\nout 0x92, al")),
}


def slices(machine: Machine, count: int) -> list[float]:
    """The process's own seconds for each; some reach their end and some do not."""
    spent = []
    for _ in range(count):
        before = time.thread_time()
        assert machine.run(machine.now() + SLICE, yielding=True) is None
        spent.append(time.thread_time() - before)
    return spent


@pytest.mark.parametrize("guest", WORST)
def test_no_guest_keeps_the_event_loop_waiting(tmp_path: Path, guest: str) -> None:
    bits, source = WORST[guest]
    machine = build(tmp_path, source, bits)
    begin = machine.now()

    spent = slices(machine, 8)

    assert max(spent) < PROMISE
    assert machine.now() > begin


UNFETCHABLE = """
        mov     edi, 0x20000                    # PML4, PDPT, PD: 2 MiB mapped to themselves
        mov     dword ptr [edi], 0x21003
        mov     dword ptr [0x21000], 0x22003
        mov     dword ptr [0x22000], 0x83
        mov     eax, cr4
        or      eax, 0x20
        mov     cr4, eax
        mov     eax, 0x20000
        mov     cr3, eax
        mov     ecx, 0xc0000080
        rdmsr
        or      eax, 0x100
        wrmsr
        mov     eax, cr0
        or      eax, 0x80000001
        mov     cr0, eax
        lgdt    [gdtr]
        jmp     0x08:long
        .balign 16
gdt:    .quad   0, 0x00af9a000000ffff, 0x00cf92000000ffff
        .word   103, tss, 0x8900, 0             # 64-bit TSS, below 64 KiB
        .quad   0
gdtr:   .word   39
        .long   gdt
        .balign 16
tss:    .fill   36, 1, 0
        .quad   0x180000                        # IST1
        .fill   60, 1, 0
        .code64
long:   mov     edi, 0x10000
        mov     ecx, 256
2:      mov     qword ptr [rdi], 0x00080000     # at 40000000h, where nothing is mapped
        mov     word ptr [rdi + 4], 0x8e01
        mov     word ptr [rdi + 6], 0x4000
        mov     qword ptr [rdi + 8], 0
        add     rdi, 16
        loop    2b
        mov     ax, 0x18
        ltr     ax
        lidt    [rip + idtr]
        mov     rax, [0x40000000]
idtr:   .word   0xfff
        .quad   0x10000
"""


def test_page_faults_whose_handler_is_not_mapped_take_time(tmp_path: Path) -> None:
    machine = build(tmp_path, UNFETCHABLE, 32)
    slices(machine, 1)
    begin, faults = machine.now(), machine.cpu.read_state()

    spent = slices(machine, 8)

    assert max(spent) < PROMISE
    assert machine.now() > begin
    assert machine.cpu.read_state().rip == faults.rip == 0x40000000


REWRITES = (
    IDT
    + TIMER.replace("0380], 1 ", "0380], 7919 ")
    + """
        xor     eax, eax
        mov     ebx, offset l + 800
l:      .rept   500
        add     [ebx], al
        .endr
        inc     dword ptr [0x30000]
        jmp     l
handler:
        mov     dword ptr [0xfee000b0], 0
        push    eax
        mov     eax, [esp + 4]
        add     [0x30004], eax                  # where each interrupt came
        pop     eax
        iretd
"""
)


def test_code_that_rewrites_itself_runs_the_same_in_any_slices(tmp_path: Path) -> None:
    seen = []
    for step in (300_000, 997, 10_007):
        machine = build(tmp_path, REWRITES, 32)
        while machine.now() < 300_000:
            machine.run(min(machine.now() + step, 300_000), yielding=step == 10_007)
        machine.run(300_000)
        seen.append(
            (machine.memory.read(0x30000, 8), machine.engine.time, machine.cpu.read_state())
        )

    assert seen[0] == seen[1] == seen[2]
    assert any(seen[0][0][4:])


def test_a_long_block_of_floating_point_code_is_translated_once(tmp_path: Path) -> None:
    spent = []
    for count in (60, 170):  # as many instructions as a block may have are 512
        machine = build(tmp_path, SSE + forever("fldpi\nfsqrt\nfstp st(0)", count), 32)
        machine.run(1_000_000)
        before = time.thread_time()
        machine.run(2_000_000)
        spent.append(time.thread_time() - before)

    assert spent[1] < 10 * spent[0]
