# SPDX-License-Identifier: BSD-2-Clause
"""The engine does what a CPU does, and no slicing of its runs can be seen."""

from __future__ import annotations

import pytest
from support.guest import Guest

from manager.bus.memory import Memory
from manager.bus.record import to_plain
from manager.cpu.engine import Stop

pytestmark = pytest.mark.guest

COUNT = """
    mov ecx, 200000
1:  add rax, rcx
    mov [0x9000], rax
    dec ecx
    jnz 1b
    out 0xf4, al
2:  jmp 2b
"""

# Catches vectors 0-31: says the vector, the error code where there is one, the saved RIP.
HANDLERS = """
    .macro gate n, handler
        lea rax, [rip + \\handler]
        mov word ptr [0x4000 + \\n * 16], ax
        mov word ptr [0x4002 + \\n * 16], 0x10
        mov word ptr [0x4004 + \\n * 16], 0x8e00
        shr rax, 16
        mov word ptr [0x4006 + \\n * 16], ax
    .endm
    .macro load_idt
        mov word ptr [0x3ff0], 0x1ff
        mov qword ptr [0x3ff2], 0x4000
        lidt [0x3ff0]
        mov rsp, 0x7000
    .endm
"""
# fmt: off
IDT_SETUP = HANDLERS.replace("0x4000", "0x104000").replace("0x4002", "0x104002").replace(
    "0x4004", "0x104004").replace("0x4006", "0x104006").replace("0x3ff0", "0x103ff0").replace(
    "0x3ff2", "0x103ff2").replace("0x7000", "0x107000")
# fmt: on


@pytest.mark.parametrize("slice_", [1, 7, 1000, 99_999])
def test_slicing_changes_neither_result_nor_time(slice_: int) -> None:
    whole, sliced = Guest(COUNT), Guest(COUNT)

    whole.run()
    sliced.run(slice_=slice_ if slice_ > 500 else slice_ * 500)

    assert whole.done
    assert sliced.done
    assert sliced.engine.now() == whole.engine.now()
    assert to_plain(sliced.cpu.read_state()) == to_plain(whole.cpu.read_state())
    assert sliced.memory.read(0x9000, 8) == whole.memory.read(0x9000, 8)


def test_state_moves_to_another_engine_in_the_middle_of_a_loop() -> None:
    original = Guest(COUNT)
    undisturbed = Guest(COUNT)
    undisturbed.run()
    original.engine.run(123_456)

    successor = Guest("", memory=original.memory, state=original.cpu.read_state())
    successor.engine.time = original.engine.time
    successor.run()

    assert successor.engine.now() == undisturbed.engine.now()
    assert to_plain(successor.cpu.read_state()) == to_plain(undisturbed.cpu.read_state())


def test_rdtsc_is_virtual_time() -> None:
    guest = Guest("rdtsc\n shl rdx, 32\n or rax, rdx\n out 0xf4, al\n 1: jmp 1b")
    guest.engine.advance(1_000_000_000_000)

    guest.run()

    passed = guest.cpu.read_state().gpr[0] - 1_000_000_000_000
    assert 0 <= passed < 100


def test_halt_ends_the_run_and_an_interrupt_goes_on() -> None:
    guest = Guest(
        IDT_SETUP
        + """
        load_idt
        gate 0x20, handler
        sti
        hlt
        mov al, 2
        out 0xe9, al
        out 0xf4, al
    1:  jmp 1b
    handler:
        mov al, 1
        out 0xe9, al
        iretq
    """.replace("0x20", "0x1f")
    )
    guest.vector = 0x1F

    first = guest.run()
    guest.cpu.set_intr(True)
    can = guest.cpu.can_interrupt()
    guest.run()

    assert first is Stop.HALT
    assert can
    assert guest.said == [1, 2]


def test_interrupt_waits_for_the_instruction_after_sti() -> None:
    guest = Guest(
        IDT_SETUP
        + """
        load_idt
        gate 0x1f, handler
        out 0x10, al        # asks for an interrupt while IF is clear
        nop
        mov bl, 1
        sti
        mov bl, 2           # in the shadow: still before the handler
        mov bl, 3
        out 0xf4, al
    1:  jmp 1b
    handler:
        mov al, bl
        out 0xe9, al
        iretq
    """
    )
    guest.vector = 0x1F
    guest.on_write = lambda port, value: guest.cpu.set_intr(True)

    guest.run()

    assert guest.said == [2]


@pytest.mark.parametrize(
    "jump",
    ["call enable", "jmp go_on", "mov ecx, offset go_on\n jmp rcx"],
    ids=["ret", "jmp", "jr"],
)
def test_interrupt_comes_right_after_a_jump_in_the_shadow_of_sti(jump: str) -> None:
    """Such a jump goes straight to the next block, which has to look for the interrupt itself."""
    prefix = "" if jump.startswith("call") else "sti\n"
    guest = Guest(
        IDT_SETUP
        + f"""
        load_idt
        gate 0x1f, handler
        mov esi, 2          # the second time all blocks are translated and chained
    again:
        cli
        cmp esi, 1
        jne 1f
        out 0x10, al        # asks for an interrupt while IF is clear
    1:  mov bl, 1
        jmp 1f
    1:  {prefix} {jump}
    go_on:
        mov bl, 2
        jmp 1f
    1:  mov bl, 3
        dec esi
        jnz again
        out 0xf4, al
    1:  jmp 1b
    enable:
        sti
        ret
    handler:
        mov al, bl
        out 0xe9, al
        iretq
    """
    )
    guest.vector = 0x1F
    guest.on_write = lambda port, value: guest.cpu.set_intr(True)

    guest.run()

    assert guest.said == [1]


def test_invalid_opcode_division_and_page_fault_reach_the_guest() -> None:
    guest = Guest(
        IDT_SETUP
        + """
        load_idt
        gate 0, divide
        gate 6, invalid
        gate 14, page
        xor ecx, ecx
        div ecx
    back0:
        ud2
    back6:
        mov rax, 0x123456789000
        mov byte ptr [rax], 1
    back14:
        out 0xf4, al
    1:  jmp 1b
    divide:
        mov al, 0
        out 0xe9, al
        lea rax, [rip + back0]
        mov [rsp], rax
        iretq
    invalid:
        mov al, 6
        out 0xe9, al
        lea rax, [rip + back6]
        mov [rsp], rax
        iretq
    page:
        pop rax             # error code: a write to a page that is not there
        out 0xe9, eax
        mov rax, cr2
        shr rax, 12
        out 0xe9, eax
        lea rax, [rip + back14]
        mov [rsp], rax
        iretq
    """
    )

    guest.run()

    assert guest.said == [0, 6, 2, 0x123456789 & 0xFFFFFFFF]


def test_syscall_enters_ring_0_and_sysret_returns() -> None:
    guest = Guest(
        """
        mov rsp, 0x107000
        mov ecx, 0xc0000080     # EFER.SCE
        rdmsr
        or eax, 1
        wrmsr
        mov ecx, 0xc0000081     # STAR: kernel 0x10, user base 0x23 - 16
        xor eax, eax
        mov edx, 0x00130010
        wrmsr
        mov ecx, 0xc0000082     # LSTAR
        lea rax, [rip + kernel]
        mov rdx, rax
        shr rdx, 32
        wrmsr
        mov ecx, 0xc0000084     # FMASK: clear IF
        mov eax, 0x200
        xor edx, edx
        wrmsr
        mov rax, cr3            # let ring 3 have the low pages
        or qword ptr [0x1000], 4
        or qword ptr [0x2000], 4
        or qword ptr [0x3000], 4
        mov cr3, rax
        lea rcx, [rip + user]
        mov r11, 0x202
        sysretq
    user:
        mov ax, cs
        syscall
    after:
        jmp after
    kernel:
        out 0xe9, ax            # CS in ring 3
        mov ax, cs
        out 0xe9, ax
        lea rax, [rip + after]
        sub rax, rcx
        out 0xe9, ax            # 0: RCX is the return address
        mov rax, r11
        out 0xe9, ax            # flags saved with IF
        pushfq
        pop rax
        out 0xe9, ax            # flags now without
        out 0xf4, al
    1:  jmp 1b
    """
    )

    guest.run()

    cs3, cs0, offset, saved, now = guest.said
    assert (cs3, cs0, offset) == (0x23, 0x10, 0)
    assert saved & 0x200
    assert not now & 0x200


def test_ring_3_may_not_do_io() -> None:
    guest = Guest(
        IDT_SETUP
        + """
        load_idt
        gate 13, protection
        or qword ptr [0x1000], 4
        or qword ptr [0x2000], 4
        or qword ptr [0x3000], 4
        mov rax, cr3
        mov cr3, rax
        # a TSS with a ring 0 stack and no I/O bitmap, its descriptor at the end of a new GDT
        mov qword ptr [0x105004], 0x107000
        mov word ptr [0x105066], 0x68
        mov rax, 0x00af9b000000ffff
        mov [0x106010], rax
        mov rax, 0x00cf93000000ffff
        mov [0x106018], rax
        mov rax, 0x00affb000000ffff
        mov [0x106020], rax
        mov rax, 0x00cff3000000ffff
        mov [0x106028], rax
        mov rax, 0x0000891050000067
        mov [0x106030], rax
        mov qword ptr [0x106038], 0
        mov word ptr [0x103ff0], 0x3f
        mov qword ptr [0x103ff2], 0x106000
        lgdt [0x103ff0]
        mov ax, 0x30
        ltr ax
        push 0x2b
        push 0x106f00
        push 0x202
        push 0x23
        lea rax, [rip + user]
        push rax
        iretq
    user:
        mov ebx, 5
    forbidden:
        in al, 0x60
    1:  jmp 1b
    protection:
        pop rax
        out 0xe9, eax
        lea rax, [rip + forbidden]
        sub rax, [rsp]
        out 0xe9, eax
        mov eax, ebx
        out 0xe9, eax
        out 0xf4, al
    2:  jmp 2b
    """
    )

    guest.run()

    assert guest.said == [0, 0, 5]
    assert guest.reads == []


SELF_MODIFYING = """
    mov ecx, 5000
1:  lea rdi, [rip + patched + 1]
    mov [rdi], cl           # rewrites the next instruction, in the block that runs
patched:
    mov al, 0
    movzx eax, al
    add rbx, rax
    dec ecx
    jnz 1b
    out 0xf4, al
2:  jmp 2b
"""


@pytest.mark.parametrize("slice_", [50, 333, 10_007])
def test_self_modifying_code_runs_as_written_whatever_the_slices(slice_: int) -> None:
    whole, sliced = Guest(SELF_MODIFYING), Guest(SELF_MODIFYING)

    whole.run()
    sliced.run(slice_=slice_)

    assert whole.cpu.read_state().gpr[3] == sum(n & 0xFF for n in range(1, 5001))
    assert sliced.engine.now() == whole.engine.now()
    assert to_plain(sliced.cpu.read_state()) == to_plain(whole.cpu.read_state())


def test_code_written_through_a_non_executable_alias_is_seen() -> None:
    # The pages at 2 MiB are the same memory as at 0, mapped with NX; both mappings are used
    # before the code changes, so both are in the TLB.
    guest = Guest(
        """
        mov rsp, 0x107000
        mov ecx, 0xc0000080
        rdmsr
        or eax, 0x800           # EFER.NXE
        wrmsr
        mov rax, 0x8000000000000083
        mov [0x3008], rax       # 2-4 MiB -> 0-2 MiB, not executable
        mov rax, cr3
        mov cr3, rax
        mov byte ptr [0x280001], 0x55
        mov byte ptr [0x80000], 0xb0   # mov al, 1; ret
        mov byte ptr [0x80001], 1
        mov byte ptr [0x80002], 0xc3
        mov byte ptr [0x80010], 0xb0   # mov al, 3; ret
        mov byte ptr [0x80011], 3
        mov byte ptr [0x80012], 0xc3
        mov rdi, 0x80000
        mov rsi, 0x80010
        call rdi
        out 0xe9, al
        call rsi
        out 0xe9, al
        mov byte ptr [0x280001], 2
        mov byte ptr [0x280011], 4
        call rdi
        out 0xe9, al
        call rsi
        out 0xe9, al
        out 0xf4, al
    1:  jmp 1b
    """
    )

    guest.run()

    assert guest.said == [1, 3, 2, 4]


def test_hole_reads_as_all_ones() -> None:
    guest = Guest(
        """
        mov eax, 0xd0000000
        mov dword ptr [rax], 0x12345678
        mov eax, [rax]
        out 0xe9, eax
        mov eax, [0xb8000]
        out 0xe9, eax
        out 0xf4, al
    1:  jmp 1b
    """
    )

    guest.run()

    assert guest.said == [0xFFFFFFFF, 0xFFFFFFFF]


def test_rom_is_read_and_run_and_keeps_what_it_holds() -> None:
    guest = Guest(
        """
        mov rsp, 0x107000
        mov eax, 0xfff00000
        mov byte ptr [rax], 0x11
        call rax
        out 0xe9, al
        out 0xf4, al
    1:  jmp 1b
    """,
        rom={0xFFF00000: b"\xb0\x2a\xc3"},  # mov al, 42; ret
    )

    guest.run()

    assert guest.said == [42]


def test_device_in_memory_sees_offset_size_and_value() -> None:
    guest = Guest(
        """
        mov rsp, 0x107000
        mov eax, 0xfee00000
        mov dword ptr [rax + 0x80], 0x12345678
        mov bl, [rax + 0x33]
        mov al, bl
        out 0xe9, al
        out 0xf4, al
    1:  jmp 1b
    """,
        mmio=0xFEE00000,
    )

    guest.run()

    assert guest.mmio_writes == [(0x80, 4, 0x12345678)]
    assert guest.said == [0x33]


def test_unknown_msr_is_a_general_protection_fault() -> None:
    guest = Guest(
        IDT_SETUP
        + """
        load_idt
        gate 13, protection
        mov ecx, 0x1b
        rdmsr
        out 0xe9, eax
        mov ecx, 0x12345
        rdmsr
    protection:
        pop rax
        out 0xe9, eax
        out 0xf4, al
    1:  jmp 1b
    """
    )
    guest.msrs[0x1B] = 0xFEE00900

    guest.run()

    assert guest.said == [0xFEE00900, 0]


def test_nmi_comes_through_with_interrupts_off_and_only_once_until_iret() -> None:
    guest = Guest(
        IDT_SETUP
        + """
        load_idt
        gate 2, handler
        out 0x10, al
        jmp 2f                  # interrupts are taken between blocks of code
    2:
        mov al, 9
        out 0xe9, al
        out 0xf4, al
    1:  jmp 1b
    handler:
        mov al, 1
        out 0xe9, al
        out 0x11, al            # another, while blocked
        jmp 3f
    3:
        mov al, 2
        out 0xe9, al
        lea rax, [rip + second]
        mov word ptr [0x104020], ax
        iretq
    second:
        mov al, 3
        out 0xe9, al
        iretq
    """
    )
    guest.on_write = lambda port, value: guest.cpu.nmi()

    guest.run()

    assert guest.said == [1, 2, 3, 9]


def test_cr8_is_the_platforms() -> None:
    guest = Guest(
        """
        mov eax, 5
        mov cr8, rax
        mov rax, cr8
        out 0xe9, al
        out 0xf4, al
    1:  jmp 1b
    """
    )

    guest.run()

    assert guest.cr8 == 5
    assert guest.said == [5]


def test_a20_closed_wraps_at_one_mebibyte() -> None:
    guest = Guest(
        """
        xor ax, ax
        mov ds, ax
        mov ax, 0xffff
        mov es, ax
        mov byte ptr ds:[0x0700], 0x11
        mov byte ptr es:[0x0710], 0x22
        mov al, ds:[0x0700]
        out 0xe9, al
        out 0x10, al
        mov byte ptr es:[0x0710], 0x33
        mov al, ds:[0x0700]
        out 0xe9, al
        out 0xf4, al
    1:  jmp 1b
    """,
        bits=16,
    )
    guest.on_write = lambda port, value: guest.engine.set_a20(False)

    guest.run()

    assert guest.said == [0x11, 0x33]


def test_triple_fault_is_a_shutdown() -> None:
    guest = Guest("lidt [0x100000]\n ud2")

    assert guest.run() is Stop.SHUTDOWN


@pytest.mark.parametrize("bits", [16, 32, 64])
def test_running_into_a_hole_is_an_end_not_a_crash(bits: int) -> None:
    target = "jmp 0xb000:0" if bits == 16 else "mov eax, 0xd0000000\n jmp rax"
    if bits == 32:
        target = "mov eax, 0xd0000000\n jmp eax"
    guest = Guest(target, bits)

    assert guest.run() in (Stop.SHUTDOWN, Stop.FAULT, Stop.DEADLINE, Stop.HALT)


def test_an_exception_in_a_device_comes_out_of_run() -> None:
    guest = Guest("in al, 0x10\n 1: jmp 1b")

    def broken(port: int) -> int:
        raise RuntimeError("device bug")

    guest.on_read = broken

    with pytest.raises(RuntimeError, match="device bug"):
        guest.run()


def test_blank_memory_skips_the_vga_window() -> None:
    memory = Memory.blank(2 << 20)

    assert memory.holes()[0] == (0xA0000, 0x20000)
