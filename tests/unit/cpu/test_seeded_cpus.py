# SPDX-License-Identifier: BSD-2-Clause
"""Schedules by seed: turns end between any two instructions, the same way for the same seed."""

from __future__ import annotations

from functools import partial

import pytest
from support.guests import Guests

from manager.bus.record import to_plain
from manager.cpu.engine import Hit, Seeded, Stop
from manager.cpu.unicorn.engine import UnicornEngine

COUNTER = 0x9000
EACH = 60000
COUNTING = """
    mov ecx, 60000
1:  {increment}
    dec ecx
    jnz 1b
    out 0xf4, al
2:  hlt
    jmp 2b
"""
THREE = COUNTING.format(increment="mov rax, [0x9000]\n inc rax\n mov [0x9000], rax")
PLAIN = COUNTING.format(increment="inc qword ptr [0x9000]")
LOCKED = COUNTING.format(increment="lock inc qword ptr [0x9000]")
QUANTUM = 5_000


def guests(program: str, seed: int | None, count: int = 2, *, tear: bool = True) -> Guests:
    seeded = Seeded(seed, tear=tear) if seed is not None else None
    return Guests(program, count, UnicornEngine("qemu64", count, quantum=QUANTUM, seeded=seeded))


def counted(found: Guests) -> int:
    found.run()
    assert found.done == set(range(len(found.engine.cpus)))
    return int.from_bytes(found.memory.read(COUNTER, 8), "little")


def whole(found: Guests) -> object:
    return (
        found.engine.time,
        found.engine.turn,
        [to_plain(cpu.read_state()) for cpu in found.engine.cpus],
        [bytes(region.memory) for region in found.memory.regions],
        found.said,
    )


def test_without_a_seed_a_block_is_whole() -> None:
    assert counted(guests(THREE, None)) == 2 * EACH


@pytest.mark.parametrize("seed", range(5))
def test_with_a_seed_increments_in_three_steps_get_lost(seed: int) -> None:
    assert EACH <= counted(guests(THREE, seed)) < 2 * EACH


@pytest.mark.parametrize("seed", range(5))
def test_increments_in_one_instruction_get_lost_where_it_is_torn(seed: int) -> None:
    assert counted(guests(PLAIN, seed, tear=False)) == 2 * EACH
    assert EACH <= counted(guests(PLAIN, seed)) < 2 * EACH


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [2, 4])
def test_increments_with_lock_never_get_lost(seed: int, count: int) -> None:
    assert counted(guests(LOCKED, seed, count)) == count * EACH


MIXED = """
    mov esi, ebx
    mov ecx, 2000
1:  mov rax, [0x9000]
    add rax, rsi
    mov [0x9000], rax
    add dword ptr [0x9008], ecx
    neg word ptr [0x9010 + rsi * 2]
    lock xadd [0x9020], rax
    xor byte ptr [rip + patched + 1], 1         # code that changes under all of them
patched:
    mov al, 0
    test ecx, 7
    jnz 2f
    pause
2:  dec ecx
    jnz 1b
    out 0xf4, al
3:  hlt
    jmp 3b
"""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_seed_is_one_schedule(seed: int) -> None:
    one, two, other = guests(MIXED, seed, 3), guests(MIXED, seed, 3), guests(MIXED, seed + 10, 3)
    for found in (one, two, other):
        found.run()

    assert whole(one) == whole(two)
    assert one.memory.read(0x9000, 0x40) != other.memory.read(0x9000, 0x40)


@pytest.mark.parametrize("slice_", [333, 7777, 49_999])
def test_slicing_changes_nothing(slice_: int) -> None:
    undisturbed, sliced = guests(MIXED, 7, 3), guests(MIXED, 7, 3)

    undisturbed.run()
    sliced.run(slice_=slice_)

    assert whole(sliced) == whole(undisturbed)


@pytest.mark.parametrize("seed", [5, 6])
def test_state_written_back_again_and_again_changes_nothing(seed: int) -> None:
    undisturbed, moved = guests(MIXED, seed, 3), guests(MIXED, seed, 3)
    undisturbed.run()
    torn = 0

    while len(moved.done) < 3:
        moved.engine.run(moved.engine.now() + 131)
        turn = moved.engine.turn
        begun = [cpu.begun for cpu in moved.engine.cpus]
        torn += sum(size > 0 for _, size, _, _ in begun)
        for cpu in moved.engine.cpus:
            cpu.write_state(cpu.read_state())
        for cpu, half in zip(moved.engine.cpus, begun, strict=True):
            cpu.begun = half
        moved.engine.turn = turn

    assert torn > 0
    assert whole(moved) == whole(undisturbed)


def test_a_new_engine_goes_on_with_the_schedule() -> None:
    undisturbed, first = guests(MIXED, 11, 3), guests(MIXED, 11, 3)
    undisturbed.run()
    make = partial(UnicornEngine, "qemu64", 3, quantum=QUANTUM, seeded=Seeded(11))
    moved = first

    while len(moved.done) < 3:
        moved.engine.run(moved.engine.now() + 131)
        successor = Guests("hlt", 3, make())
        for old, new in zip(moved.memory.regions, successor.memory.regions, strict=True):
            new.memory[:] = old.memory[:]
        successor.engine.time = moved.engine.time
        for cpu, old_cpu in zip(successor.engine.cpus, moved.engine.cpus, strict=True):
            cpu.write_state(old_cpu.read_state())
            cpu.begun = old_cpu.begun
        successor.engine.turn = moved.engine.turn
        successor.done = moved.done
        moved = successor

    assert whole(moved) == whole(undisturbed)


def test_a_debugger_changes_nothing() -> None:
    program = MIXED.replace("xor byte ptr [rip + patched + 1], 1", "")
    undisturbed, debugged = guests(program, 4, 3), guests(program, 4, 3)
    undisturbed.run()
    at = 0x8007

    debugged.engine.debug([at], [])
    debugged.engine.debug_from_here(step=False)
    hits = []
    while len(debugged.done) < 3:
        if debugged.engine.run(10**9) is Stop.DEBUGGER:
            hits.append(debugged.engine.current)
            assert debugged.engine.hit == (Hit.BREAKPOINT, at)
            debugged.engine.debug_from_here(step=False)

    assert {cpu: hits.count(cpu) for cpu in range(3)} == {0: 2000, 1: 2000, 2: 2000}
    assert whole(debugged) == whole(undisturbed)
