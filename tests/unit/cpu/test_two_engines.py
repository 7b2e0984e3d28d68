# SPDX-License-Identifier: BSD-2-Clause
"""Engines of one process do not disturb each other, run in turns or touched in a callback."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.guest import Guest
from support.small_machine import MILLISECOND, hello

from manager.cpu.engine import Stop
from manager.machine.machine import Machine

pytestmark = pytest.mark.guest

FUNCTION = 0x90000
CALLS = f"""
    mov rsp, 0x107000
    mov rdi, {FUNCTION:#x}
    mov dword ptr [rdi], 0x90c301b0     # mov al, 1; ret; nop
    call rdi
    out 0xe9, al
    out 0x10, al
    mov byte ptr [rdi + 1], 2
    call rdi
    out 0xe9, al
    out 0xf4, al
1:  jmp 1b
"""


def test_two_machines_run_in_turns_as_they_run_alone(tmp_path: Path) -> None:
    graph = hello(tmp_path)
    alone = Machine.power_on(graph)
    alone.run(50 * MILLISECOND)
    one, two = Machine.power_on(graph), Machine.power_on(graph)

    for turn in range(1, 51):
        one.run(turn * MILLISECOND)
        two.run(turn * MILLISECOND + 777)
    two.run(two.now())

    assert one.records() == alone.records()
    assert one.ports["lpc.com1"].take_output() == alone.ports["lpc.com1"].take_output()
    assert two.now() > one.now()


def test_code_of_another_engine_changes_while_this_one_runs() -> None:
    one, two = Guest(CALLS), Guest(CALLS)
    two.run()
    two.said.clear()

    def change_the_other(port: int, value: int) -> None:
        two.memory.write(FUNCTION, b"\xb0\x07\xc3")
        two.engine.invalidate(FUNCTION, FUNCTION + 3)

    one.on_write = change_the_other
    one.run()
    state = two.cpu.read_state()
    state.rip = state.gpr[7]
    state.gpr[4] = 0x106FF8
    two.memory.write(0x106FF8, (0x8100).to_bytes(8, "little"))
    two.memory.write(0x8100, b"\xe6\xe9\xe6\xf4\xeb\xfe")  # out 0xe9, al; out 0xf4, al; jmp $
    two.done = False
    two.cpu.write_state(state)
    two.run()

    assert one.said == [1, 2]
    assert two.said == [7]


def test_no_engine_runs_inside_another() -> None:
    outer, inner = Guest(CALLS), Guest(CALLS)
    outer.on_write = lambda port, value: inner.run() and None

    with pytest.raises(RuntimeError, match="already running"):
        outer.run()

    assert inner.run() in (Stop.DEADLINE, Stop.KICK)


def test_a_closed_engine_says_so() -> None:
    guest, other = Guest(CALLS), Guest(CALLS)
    guest.run()
    time = guest.engine.time

    guest.engine.close()
    other.run()

    assert guest.engine.time == time
    for ask in (
        guest.cpu.read_state,
        guest.cpu.nmi,
        guest.cpu.can_interrupt,
        lambda: guest.cpu.set_intr(True),
        lambda: guest.engine.set_a20(False),
        lambda: guest.engine.invalidate(0, 1),
        lambda: guest.engine.debug([1], []),
        lambda: guest.engine.debug_from_here(True),
        lambda: guest.engine.map_hole(0xD0000000, 0x1000),
        lambda: guest.engine.run(1),
    ):
        with pytest.raises(RuntimeError, match="closed"):
            ask()
