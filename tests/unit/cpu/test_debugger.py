# SPDX-License-Identifier: BSD-2-Clause
"""A debugger on the host's side: it stops the guest where it is told, and the guest cannot tell."""

from __future__ import annotations

import pytest
from support.guest import LOAD, Guest

from manager.cpu.engine import Hit, Stop, Watchpoint

pytestmark = pytest.mark.guest

LOOP = """
    mov ecx, 5
again:
    inc eax
    mov [0x9000], eax
    nop
    add ebx, eax
    dec ecx
    jnz again
    out 0xf4, al
9:  jmp 9b
"""
AGAIN = LOAD + 5
STORE = AGAIN + 2
"""After INC EAX in 32- and 64-bit code assembled as two bytes."""


def run_on(guest: Guest) -> Stop:
    """Run to the next thing that a debugger waits for, or to the guest's end."""
    return guest.run()


def rip(guest: Guest) -> int:
    return guest.cpu.read_state().rip


def undisturbed(source: str) -> tuple[int, object]:
    guest = Guest(source)
    guest.run()
    return guest.engine.now(), guest.cpu.read_state()


def test_breakpoint_stops_before_the_instruction_each_time_around() -> None:
    guest = Guest(LOOP)
    guest.engine.debug([STORE], [])

    stops = []
    while run_on(guest) is Stop.DEBUGGER:
        stops.append((guest.engine.hit, rip(guest), guest.cpu.read_state().gpr[0]))
        guest.engine.debug_from_here(step=False)

    assert stops == [((Hit.BREAKPOINT, STORE), STORE, n) for n in range(1, 6)]
    assert guest.done


@pytest.mark.parametrize("offset", [0, 5, 7, 14, 15, 17, 19])
def test_run_with_a_breakpoint_takes_the_same_time(offset: int) -> None:
    guest = Guest(LOOP)
    guest.engine.debug([LOAD + offset], [])

    stops = 0
    while run_on(guest) is Stop.DEBUGGER:
        stops += 1
        guest.engine.debug_from_here(step=False)

    assert stops > 0
    assert (guest.engine.now(), guest.cpu.read_state()) == undisturbed(LOOP)


def test_stepped_run_is_the_same_run() -> None:
    guest = Guest(LOOP)

    places = []
    while not guest.done:
        guest.engine.debug_from_here(step=True)
        stop = guest.engine.run(10_000_000)
        places.append(rip(guest))
        if stop is not Stop.DEBUGGER:
            break

    assert len(places) == 1 + 5 * 6 + 1
    assert places[:4] == [AGAIN, STORE, STORE + 7, STORE + 8]
    guest.engine.run(guest.engine.now())
    assert (guest.engine.now(), guest.cpu.read_state()) == undisturbed(LOOP)


def test_watchpoint_stops_behind_the_store() -> None:
    guest = Guest(LOOP)
    guest.engine.debug([], [Watchpoint(0x9002, 1, reads=False, writes=True)])

    stops = []
    while run_on(guest) is Stop.DEBUGGER:
        value = int.from_bytes(guest.memory.read(0x9000, 4), "little")
        stops.append((guest.engine.hit, rip(guest), value))
        guest.engine.debug_from_here(step=False)

    assert stops == [((Hit.WATCHPOINT, 0x9002), STORE + 7, n) for n in range(1, 6)]
    assert (guest.engine.now(), guest.cpu.read_state()) == undisturbed(LOOP)


def test_write_watchpoint_ignores_loads() -> None:
    guest = Guest("mov eax, [0x9000]\nadd eax, 1\nout 0xf4, al\n9: jmp 9b")
    guest.engine.debug([], [Watchpoint(0x9000, 4, reads=False, writes=True)])

    assert run_on(guest) is not Stop.DEBUGGER


def test_read_watchpoint_sees_loads() -> None:
    guest = Guest("mov eax, [0x9000]\nadd eax, 1\nout 0xf4, al\n9: jmp 9b")
    guest.engine.debug([], [Watchpoint(0x9000, 4, reads=True, writes=False)])

    assert run_on(guest) is Stop.DEBUGGER
    assert rip(guest) == LOAD + 7


def test_rest_of_a_block_comes_before_anything_else() -> None:
    guest = Guest(LOOP)
    guest.engine.debug([STORE], [])
    run_on(guest)
    began = guest.engine.in_block
    guest.engine.debug([], [])
    guest.engine.debug_from_here(step=False)

    stop = guest.engine.run(guest.engine.now())

    assert began
    assert stop is Stop.DEADLINE
    assert not guest.engine.in_block
    assert rip(guest) == AGAIN


def test_step_into_a_fault_stops_at_its_handler() -> None:
    source = """
        mov esp, 0xa000
        lea rax, handler[rip]
        mov [0x9060], ax
        mov word ptr [0x9062], cs
        mov word ptr [0x9064], 0x8e00
        shr rax, 16
        mov [0x9066], ax
        mov qword ptr [0x9068], 0
        lidt idtr[rip]
        ud2
        nop
    handler:
        out 0xf4, al
    9:  jmp 9b
    idtr: .word 0xfff
        .quad 0x9000
    """
    guest = Guest(source)
    while True:
        guest.engine.debug_from_here(step=True)
        assert guest.engine.run(10_000_000) is Stop.DEBUGGER
        here = rip(guest)
        code = guest.memory.read(here, 2)
        if code == b"\x0f\x0b":
            break
    guest.engine.debug_from_here(step=True)

    assert guest.engine.run(10_000_000) is Stop.DEBUGGER
    assert rip(guest) == here + 3


def test_written_registers_are_the_guests() -> None:
    guest = Guest(LOOP)
    guest.engine.debug([AGAIN], [])
    run_on(guest)

    guest.cpu.write_general(1, 2)
    guest.cpu.write_general(0, 100)
    guest.engine.debug([], [])
    guest.run()

    assert guest.cpu.read_state().gpr[0] == 102


def test_guest_goes_on_where_rip_was_set() -> None:
    guest = Guest(LOOP)
    guest.engine.debug([STORE], [])
    run_on(guest)

    guest.cpu.write_rip(LOAD + 21)
    guest.engine.debug([], [])
    guest.run()

    assert guest.done
    assert guest.cpu.read_state().gpr[3] == 0
