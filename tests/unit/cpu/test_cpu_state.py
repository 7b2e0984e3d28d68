# SPDX-License-Identifier: BSD-2-Clause
"""What a record of the CPU holds is all there is: nothing is lost on the way to another engine."""

from __future__ import annotations

import random

import pytest
from support.guest import Guest

from manager.bus.record import from_plain, to_plain
from manager.cpu.state import CpuState

pytestmark = pytest.mark.guest

LOOP = "1: jmp 1b"


def moved(guest: Guest) -> Guest:
    """The guest in another engine, by way of its record's plain form."""
    plain = to_plain(guest.cpu.read_state())
    state = from_plain(CpuState, plain, CpuState.VERSION, "cpu")
    successor = Guest("", memory=guest.memory, state=state)
    successor.engine.time = guest.engine.time
    successor.said = guest.said
    return successor


def test_every_field_comes_back() -> None:
    state = Guest(LOOP).cpu.read_state()
    state.msr.misc_enable = 0x850089
    state.msr.mtrr_default = 0xC06
    state.msr.mtrr_fixed = [0x0606060606060606 + n for n in range(11)]
    state.msr.mtrr_base = [n << 20 | 6 for n in range(8)]
    state.msr.mtrr_mask = [n << 20 | 0x800 for n in range(8)]
    state.fpu.instruction, state.fpu.instruction_cs = 0x123456789, 0x10
    state.fpu.operand, state.fpu.operand_ds = 0x987654321, 0x18
    state.fpu.top, state.fpu.empty, state.fpu.status = 3, 0xA5, 0x41
    state.fpu.registers = bytearray(random.Random(1).randbytes(80))
    state.xmm = bytearray(random.Random(2).randbytes(256))
    state.mxcsr = 0x9F80
    state.debug = [0x1000, 0x2000, 0x3000, 0x4000, 0, 0, 0xFFFF0FF1, 0x0D1F_0455]
    state.tr.attributes = 0x8B00
    state.halted = state.shadow = state.nmi_blocked = state.nmi_pending = True

    successor = Guest("", state=state, memory=Guest(LOOP).memory)

    assert to_plain(successor.cpu.read_state()) == to_plain(state)


def test_x87_remembers_its_last_instruction() -> None:
    guest = Guest(
        """
        fninit
        fld1
    here:
        fstp qword ptr [0x9000]
        fnstenv [0x9100]
        lea rax, [rip + here]
        out 0xe9, eax
        out 0xf4, al
    1:  jmp 1b
        """
    )

    guest.run()

    fpu = guest.cpu.read_state().fpu
    assert fpu.instruction == guest.said[0]
    assert fpu.operand == 0x9000
    assert int.from_bytes(guest.memory.read(0x910C, 4), "little") == guest.said[0]


NMI_HANDLER = """
    mov rsp, 0x107000
    mov word ptr [0x103ff0], 0x1ff
    mov qword ptr [0x103ff2], 0x104000
    lidt [0x103ff0]
    lea rax, [rip + handler]
    mov [0x104020], ax
    mov word ptr [0x104022], 0x10
    mov word ptr [0x104024], 0x8e00
"""


def test_a_pending_nmi_is_not_lost() -> None:
    guest = Guest(
        NMI_HANDLER
        + """
        out 0x10, al        # the first NMI
        jmp 2f
    2:  mov al, 9
        out 0xe9, al
        out 0xf4, al
    1:  jmp 1b
    handler:
        inc bl
        mov al, bl
        out 0xe9, al
        cmp bl, 1
        jne 3f
        out 0x11, al        # the second: waits for this one's IRET
    3:  iretq
    """
    )

    def nmi(port: int, value: int) -> None:
        guest.cpu.nmi()
        if port == 0x11:
            guest.engine.kick()

    guest.on_write = nmi
    guest.run(slice_=10_000_000)

    while not guest.done and not guest.cpu.read_state().nmi_pending:
        guest.engine.run(guest.engine.now() + 10)
    successor = moved(guest)
    successor.run()

    assert successor.said == [1, 2, 9]


def test_a_watchpoint_moves_along() -> None:
    guest = Guest(
        NMI_HANDLER.replace("0x10402", "0x10401")
        + """
        mov eax, 0x9000
        mov dr0, rax
        mov eax, 0xd0401    # writes of 4 bytes
        mov dr7, rax
        out 0x10, al
        jmp 2f
    2:  mov dword ptr [0x9000], 5
        mov al, 9
        out 0xe9, al
        out 0xf4, al
    1:  jmp 1b
    handler:
        mov rax, dr6
        and eax, 0xf
        out 0xe9, al
        iretq
    """
    )
    guest.on_write = lambda port, value: guest.engine.kick()
    guest.engine.run(1_000_000)

    successor = moved(guest)
    successor.run()

    assert successor.said == [1, 9]
