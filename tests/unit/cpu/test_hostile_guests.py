# SPDX-License-Identifier: BSD-2-Clause
"""Guests that mean harm, or are noise: the engine ends them, it never falls itself."""

from __future__ import annotations

import random
import struct

import pytest
from support.guest import Guest

from manager.cpu.engine import Stop

pytestmark = pytest.mark.guest

CODE = 0x8000
IDT = 0x104000
PREFIXES = (0x66, 0x67, 0xF2, 0xF3, 0xF0, 0x48, 0x0F)
LONGEST_RUN = 20_000
"""Virtual ns for each program."""


def noise(choose: random.Random) -> bytes:
    """Bytes that are more often instructions than chance would have it."""
    kind = choose.random()
    if kind < 0.3:
        return bytes([0x0F, choose.randrange(256)]) + choose.randbytes(choose.randrange(6))
    if kind < 0.5:
        return bytes([choose.choice(PREFIXES)]) + choose.randbytes(choose.randrange(1, 8))
    return choose.randbytes(choose.randrange(1, 6))


def noisy_guest(bits: int, seed: int) -> Guest:
    """Random code, random registers, every vector leading into the code."""
    choose = random.Random(f"{bits}.{seed}")
    guest = Guest("nop", bits)
    guest.memory.write(CODE, b"".join(noise(choose) for _ in range(300)))
    entries = [CODE + choose.randrange(900) for _ in range(256)]
    if bits == 16:
        guest.memory.write(0, b"".join(struct.pack("<HH", entry, 0) for entry in entries))
        return guest
    size = 16 if bits == 64 else 8
    kinds = (0x8E00, 0xEE00, 0x8F00, 0x8500)
    gates = [
        struct.pack("<HHHH", entry, 0x10, choose.choice(kinds), 0).ljust(size, b"\0")
        for entry in entries
    ]
    guest.memory.write(IDT, b"".join(gates))
    state = guest.cpu.read_state()
    state.idtr.base, state.idtr.limit = IDT, 256 * size - 1
    widths = (22, 32, 64 if bits == 64 else 32)
    state.gpr = [choose.getrandbits(choose.choice(widths)) for _ in range(16)]
    state.gpr[4] = 0x107000
    state.cr4 |= choose.choice((0, 0x600))
    state.rflags |= choose.choice((0, 0x200))
    guest.cpu.write_state(state)
    return guest


@pytest.mark.parametrize(("bits", "seeds"), [(16, 12), (32, 60), (64, 60)])
def test_noise_runs_to_some_end(bits: int, seeds: int) -> None:
    ends = set()
    for seed in range(seeds):
        guest = noisy_guest(bits, seed)
        guest.on_write = lambda port, value, guest=guest: (  # type: ignore[misc]
            guest.cpu.nmi() if value & 1 else guest.cpu.set_intr(True)
        )

        stop = guest.run(limit=LONGEST_RUN, slice_=3000)

        ends.add(stop)
        assert guest.engine.now() <= LONGEST_RUN + 10_000
        if stop is Stop.FAULT:
            assert "crashed" not in guest.engine.fault, f"seed {seed}"
    assert Stop.SHUTDOWN in ends or Stop.DEADLINE in ends


def test_an_instruction_that_the_translator_dies_of_is_invalid() -> None:
    # LOCK BTS of a register: no CPU has it, and Unicorn aborts at it.
    guest = Guest(
        """
        mov word ptr [6 * 4], offset invalid
        mov word ptr [6 * 4 + 2], 0
        mov bx, 2
        jmp 1f
    1:  .byte 0xf0, 0x0f, 0xab, 0xe7
        inc bx
    invalid:
        mov al, bl
        out 0xe9, al
        pop ax
        out 0xe9, ax
        out 0xf4, al
    1:  jmp 1b
        """,
        bits=16,
    )

    guest.run()

    assert guest.said[0] == 2
    assert guest.memory.read(guest.said[1], 4) == b"\xf0\x0f\xab\xe7"


WITHOUT_A_TASK = """
    mov rsp, 0x107000
    or qword ptr [0x1000], 4
    or qword ptr [0x2000], 4
    or qword ptr [0x3000], 4
    mov rax, 0x00affb000000ffff
    mov [0x106020], rax
    mov rax, 0x00cff3000000ffff
    mov [0x106028], rax
    mov word ptr [0x103ff0], 0x3f
    mov qword ptr [0x103ff2], 0x106000
    lgdt [0x103ff0]
    mov rax, cr3
    mov cr3, rax
    push 0x2b
    push 0x106f00
    push 2
    push 0x23
    lea rax, [rip + user]
    push rax
    iretq
user:
    ud2
"""


def test_what_unicorn_calls_impossible_ends_the_run_only() -> None:
    # A task register that is not present cannot be loaded, but a snapshot may claim one. Unicorn
    # aborts when ring 3 needs ring 0's stack.
    guest = Guest(WITHOUT_A_TASK)
    state = guest.cpu.read_state()
    state.tr.attributes = 0
    idt = struct.pack("<HHHHQ", 0x8000, 0x10, 0x8E00, 0, 0) * 32
    guest.memory.write(IDT, idt)
    guest.memory.write(0x106010, struct.pack("<Q", 0x00AF9B000000FFFF))
    state.idtr.base, state.idtr.limit = IDT, len(idt) - 1
    guest.cpu.write_state(state)

    stop = guest.run()

    assert stop is Stop.FAULT
    assert "the engine crashed" in guest.engine.fault
    with pytest.raises(RuntimeError, match="crashed"):
        guest.engine.run(1_000_000_000)
    another = Guest("out 0xf4, al\n 1: jmp 1b")
    another.run()
    assert another.done


def test_physical_addresses_that_do_not_exist_are_reserved() -> None:
    guest = Guest(
        """
        mov rsp, 0x107000
        mov rax, cr3
        bts qword ptr [0x3010], 45
        mov cr3, rax
        mov word ptr [0x103ff0], 0x1ff
        mov qword ptr [0x103ff2], 0x104000
        lidt [0x103ff0]
        lea rax, [rip + page]
        mov [0x1040e0], ax
        mov word ptr [0x1040e2], 0x10
        mov word ptr [0x1040e4], 0x8e00
        mov rbx, 0x400000
        mov [rbx], eax
    page:
        pop rax
        out 0xe9, eax
        out 0xf4, al
    1:  jmp 1b
        """
    )

    guest.run()

    assert guest.said == [1 | 2 | 8]


ODD_PLACES = {
    "page tables where nothing is": "mov eax, 0xd0000000; mov cr3, rax",
    "page tables in a device": "mov eax, 0xfee00000; mov cr3, rax",
    "page tables in ROM": "mov eax, 0xfff00000; mov cr3, rax",
    "a stack where nothing is": "mov esp, 0xd0000800; push rax; pop rax; call far_away; far_away:",
    "a stack in a device": "mov esp, 0xfee00800; push rax; pop rax; ud2",
    "a stack in ROM": "mov esp, 0xfff00800; push rax; int3",
    "descriptor tables in a device": "mov word ptr [0x9000], 0xffff; "
    "mov dword ptr [0x9002], 0xfee00000; mov dword ptr [0x9006], 0; lgdt [0x9000]; "
    "lidt [0x9000]; mov ax, 8; mov ds, ax; int3",
    "locked accesses to a device": "mov edi, 0xfee00000; lock inc dword ptr [rdi]; "
    "lock xadd [rdi], rax; lock cmpxchg16b [rdi]; xchg [rdi + 1], eax",
    "wide and odd accesses to a device": "mov edi, 0xfee00000; fninit; fld tbyte ptr [rdi]; "
    "fstp tbyte ptr [rdi + 3]; fnsave [rdi]; mov rax, [rdi + 5]; mov [rdi + 0xffd], rax",
    "string instructions across devices": "mov edi, 0xfee00ff0; mov ecx, 64; rep stosb; "
    "mov esi, 0xfee00ff0; mov edi, 0xd0000000; mov ecx, 64; rep movsq",
    "a jump into a device": "mov eax, 0xfee00000; jmp rax",
    "a jump to the end of RAM": "mov edi, 0x3fffff; mov byte ptr [rdi], 0x90; jmp rdi",
    "an instruction across the end of RAM": "mov edi, 0x3ffffe; mov word ptr [rdi], 0xb848; "
    "jmp rdi",
}


@pytest.mark.parametrize("program", ODD_PLACES.values(), ids=ODD_PLACES)
def test_memory_in_odd_places_is_the_guests_problem(program: str) -> None:
    body = program.replace("; ", "\n").replace(";", "\n")
    guest = Guest(
        f"mov rsp, 0x107000\n{body}\n out 0xf4, al\n 9: jmp 9b",
        mmio=0xFEE00000,
        rom={0xFFF00000: bytes(range(256)) * 16},
    )

    stop = guest.run(limit=LONGEST_RUN)

    assert guest.done or stop in (Stop.SHUTDOWN, Stop.FAULT, Stop.DEADLINE)
    if stop is Stop.FAULT:
        assert "crashed" not in guest.engine.fault
