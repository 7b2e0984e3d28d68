# SPDX-License-Identifier: BSD-2-Clause
"""Code that changes under the CPU is seen, whatever wrote it and by whichever way."""

from __future__ import annotations

import pytest
from support.guest import Guest

from manager.bus.record import to_plain
from manager.cpu.unicorn.engine import UnicornEngine

pytestmark = pytest.mark.guest

OLD, NEW = 1, 2
WRITE_OLD = """
    mov rsp, 0x107000
    mov rdi, 0x90040
    mov dword ptr [rdi], 0x90c301b0     # mov al, 1; ret; nop
    mov dword ptr [rdi + 4], 0x90909090
    mov qword ptr [rdi + 8], 0
"""
CALL_AND_SAY = """
    call rdi
    movzx eax, al
    out 0xe9, eax
"""
DONE = """
    out 0xf4, al
1:  jmp 1b
    .balign 16
new:
    .long 0x90c302b0, 0x90909090, 0, 0
mask:
    .fill 16, 1, 0x80
"""
ENABLE_SSE = """
    mov rax, cr4
    or eax, 0x600
    mov cr4, rax
"""

STORES = {
    "mov": "mov dword ptr [rdi], 0x90c302b0",
    "one byte": "mov byte ptr [rdi + 1], 2",
    "rep movsb": "lea rsi, [rip + new]; mov ecx, 4; mov rdx, rdi; rep movsb; mov rdi, rdx",
    "rep stosb": "lea rdi, [rdi + 1]; mov al, 2; mov ecx, 1; rep stosb; sub rdi, 2",
    "xchg": "mov eax, 0x90c302b0; xchg [rdi], eax",
    "lock cmpxchg": "mov eax, [rdi]; mov ecx, 0x90c302b0; lock cmpxchg [rdi], ecx",
    "lock xadd": "mov eax, 0x100; lock xadd [rdi], eax",
    "lock inc": "lock inc byte ptr [rdi + 1]",
    "lock cmpxchg8b": "mov rax, [rdi]; mov rdx, rax; shr rdx, 32; mov ebx, 0x90c302b0; "
    "mov ecx, 0x90909090; lock cmpxchg8b [rdi]",
    "lock cmpxchg16b": "mov rax, [rdi]; xor edx, edx; mov rbx, [rip + new]; xor ecx, ecx; "
    "lock cmpxchg16b [rdi]",
    "push": "mov rbp, rsp; lea rsp, [rdi + 8]; push qword ptr [rip + new]; mov rsp, rbp",
    "setcc": "sub eax, eax; setz byte ptr [rdi + 1]; inc byte ptr [rdi + 1]",
    "fstp tbyte": "fninit; fld tbyte ptr [rip + new]; fstp tbyte ptr [rdi]",
    "fistp qword": "fninit; fild qword ptr [rip + new]; fistp qword ptr [rdi]",
    "fnsave": "lea rsi, [rdi - 28]; fninit; fld tbyte ptr [rip + new]; fnsave [rsi]",
    "movups": "movups xmm0, [rip + new]; movups [rdi], xmm0",
    "movntps": "movaps xmm0, [rip + new]; movntps [rdi], xmm0",
    "movq mm": "movq mm0, [rip + new]; movq [rdi], mm0; emms",
    "maskmovdqu": "movaps xmm0, [rip + new]; movaps xmm1, [rip + mask]; maskmovdqu xmm0, xmm1",
    "fxsave": "movaps xmm0, [rip + new]; lea rsi, [rdi - 160 + 0x200]; "
    "mov byte ptr [rsi], 0; sub rsi, 0x200; fxsave [rsi]",
    "insb": "mov dx, 0x10; lea rdi, [rdi + 1]; insb; sub rdi, 2",
    "unaligned": "mov dword ptr [rdi - 1], 0xc302b090",
}


@pytest.mark.parametrize("store", STORES.values(), ids=STORES)
def test_a_store_of_any_kind_to_code_that_ran_is_seen(store: str) -> None:
    body = store.replace("; ", "\n")
    # The first pass leaves the page watched, the second comes with code on it again.
    again = "mov dword ptr [rdi], 0x90c301b0\n"
    guest = Guest(
        ENABLE_SSE + WRITE_OLD + CALL_AND_SAY + body + "\n" + CALL_AND_SAY
        + again + CALL_AND_SAY + body + "\n" + CALL_AND_SAY + DONE
    )  # fmt: skip
    guest.on_read = lambda port: NEW

    guest.run()

    assert guest.said == [OLD, NEW, OLD, NEW]


@pytest.mark.parametrize("place", [0x90FFD, 0x90FFE, 0x90FFF], ids=hex)
def test_code_on_two_pages_is_seen_to_change_on_either(place: int) -> None:
    # mov al, 1; ret across the pages' border, changed byte by byte and back, on both sides.
    guest = Guest(
        f"""
        mov rsp, 0x107000
        mov rdi, {place:#x}
        mov byte ptr [rdi], 0xb0
        mov byte ptr [rdi + 1], 1
        mov byte ptr [rdi + 2], 0x90
        mov byte ptr [rdi + 3], 0xc3
        {CALL_AND_SAY}
        mov byte ptr [rdi + 1], 2
        {CALL_AND_SAY}
        mov word ptr [rdi + 2], 0xc340   # another instruction on the other page: rex, ret
        mov byte ptr [rdi + 1], 3
        {CALL_AND_SAY}
        mov al, 9
        mov byte ptr [rdi], 0xb4         # mov ah, 3
        {CALL_AND_SAY}
        mov dword ptr [rdi], 0xc39004b0  # all of it, across the border
        {CALL_AND_SAY}
        """
        + DONE
    )

    guest.run()

    assert guest.said == [1, 2, 3, 9, 4]


def test_a_page_that_left_the_tlb_for_a_while_is_watched() -> None:
    # Pages 1 MiB apart share a place in the TLB: storing to two others moves this one to the
    # victim TLB, where it is when its code is translated.
    guest = Guest(
        WRITE_OLD
        + """
        mov byte ptr [0x190000], 0
        mov byte ptr [0x290000], 0
        """
        + CALL_AND_SAY
        + "mov byte ptr [rdi + 1], 2\n"
        + CALL_AND_SAY
        + """
        mov byte ptr [0x190000], 0
        mov byte ptr [0x290000], 0
        mov byte ptr [rdi + 1], 3
        """
        + CALL_AND_SAY
        + DONE
    )

    guest.run()

    assert guest.said == [1, 2, 3]


def test_code_written_by_ring_0_and_run_by_ring_3_is_seen() -> None:
    # Each ring has TLB entries of its own for the same page.
    guest = Guest(
        WRITE_OLD.replace("0x90c301b0", "0xfeeb01b0")  # mov al, 1; jmp to itself
        + """
        or qword ptr [0x1000], 4
        or qword ptr [0x2000], 4
        or qword ptr [0x3000], 4
        mov rax, cr3
        mov cr3, rax
        mov ecx, 0xc0000080
        rdmsr
        or eax, 1
        wrmsr
        mov ecx, 0xc0000081
        xor eax, eax
        mov edx, 0x00130010
        wrmsr
        mov ecx, 0xc0000082
        lea rax, [rip + back]
        xor edx, edx
        wrmsr
        mov ecx, 0xc0000084
        xor eax, eax
        wrmsr
        xor ebx, ebx
        mov dword ptr [rdi], 0x050f01b0     # mov al, 1; syscall
        mov rcx, rdi
        mov r11, 2
        sysretq
    back:
        movzx eax, al
        out 0xe9, eax
        inc ebx
        cmp ebx, 3
        je 2f
        inc byte ptr [rdi + 1]
        mov rcx, rdi
        mov r11, 2
        sysretq
    2:
        """
        + DONE
    )

    guest.run()

    assert guest.said == [1, 2, 3]


MANY_FUNCTIONS = """
    mov rsp, 0x107000
    mov r8d, 3                  # rounds
round:
    mov rdi, 0x200000
    mov ecx, 4000               # functions of 64 bytes, each new in each round
1:  mov eax, ecx
    add eax, r8d
    mov byte ptr [rdi], 0xb8    # mov eax, imm32; ret
    mov [rdi + 1], eax
    mov byte ptr [rdi + 5], 0xc3
    call rdi
    add rbx, rax
patch:
    mov byte ptr [rip + patched + 1], cl
patched:
    mov al, 0
    movzx eax, al
    add rbx, rax
    add rdi, 64
    dec ecx
    jnz 1b
    dec r8d
    jnz round
    out 0xf4, al
2:  jmp 2b
"""


def test_a_full_code_buffer_cannot_be_seen() -> None:
    program = MANY_FUNCTIONS
    roomy = Guest(program)
    roomy.run(limit=100_000_000)

    cramped, sliced = (
        Guest(program, engine=UnicornEngine("qemu64", code_buffer=1 << 20)) for _ in range(2)
    )
    cramped.run(limit=100_000_000)
    sliced.run(limit=100_000_000, slice_=7777)

    expected = sum(n + r + (n & 0xFF) for n in range(1, 4001) for r in range(1, 4))
    assert roomy.cpu.read_state().gpr[3] == expected
    for guest in (cramped, sliced):
        assert guest.done
        assert guest.engine.now() == roomy.engine.now()
        assert to_plain(guest.cpu.read_state()) == to_plain(roomy.cpu.read_state())
