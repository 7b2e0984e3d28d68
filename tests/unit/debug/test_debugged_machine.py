# SPDX-License-Identifier: BSD-2-Clause
"""A machine that a debugger has stopped again and again is the machine that ran undisturbed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from manager.cpu.engine import Hit, Watchpoint
from manager.graph.build import load_graph
from manager.machine.machine import Machine

pytestmark = pytest.mark.guest

HELLO = Path(__file__).parents[3] / "machines/hello.toml"
END = 60_000_000
"""Virtual ns: a few ticks of the guest's timer, and commands."""


def machine() -> Machine:
    machine = Machine.power_on(load_graph(HELLO))
    machine.run(20_000_000)
    for text in (b"p\n", b"u\n", b"h\n"):
        machine.ports["lpc.com1"].feed(text)
    return machine


def outcome(machine: Machine) -> object:
    ram = [bytes(region.memory) for region in machine.memory.regions]
    return machine.now(), machine.records(), ram, machine.ports["lpc.com1"].take_output()


def places(machine: Machine) -> list[int]:
    """Addresses that the guest executes."""
    found: list[int] = []
    machine.on_hit = lambda hit, address: found.append(address)
    for _ in range(3000):
        machine.engine.debug_from_here(step=True)
        machine.run(END)
    return sorted(set(found))


@pytest.mark.parametrize("seed", range(4))
def test_stops_leave_no_trace(seed: int) -> None:
    chance = random.Random(seed)
    undisturbed, debugged = machine(), machine()
    undisturbed.run(END)
    hits: list[Hit] = []
    debugged.on_hit = lambda hit, address: hits.append(hit)
    stack = debugged.cpu.read_state().gpr[4]
    debugged.engine.debug(
        chance.sample(places(machine()), 5),
        [Watchpoint(stack - 16 - chance.randrange(4), 16, reads=True, writes=True)],
    )

    while debugged.now() < END:
        debugged.engine.debug_from_here(step=chance.random() < 0.3)
        debugged.run(min(END, debugged.now() + chance.randrange(1, 1_000_000)))

    assert {Hit.BREAKPOINT, Hit.WATCHPOINT, Hit.STEP} <= set(hits)
    assert len(hits) > 50
    assert outcome(debugged) == outcome(undisturbed)


def test_snapshot_of_a_machine_in_the_middle_of_a_block_is_between_two() -> None:
    debugged, undisturbed = machine(), machine()
    seen: list[int] = []
    debugged.on_hit = lambda hit, address: seen.append(address)
    while not debugged.engine.in_block:
        debugged.engine.debug_from_here(step=True)
        debugged.run(END)

    image = debugged.run_to_image()

    undisturbed.run(image.virtual_time)
    assert not debugged.engine.in_block
    assert image.records == undisturbed.records()


def test_step_in_hlt_ends_at_the_handler() -> None:
    waiting = Machine.power_on(load_graph(HELLO))
    while waiting.idle_until() is None:
        waiting.run(waiting.now() + 10_000)
    hits: list[Hit] = []
    waiting.on_hit = lambda hit, address: hits.append(hit)
    behind_hlt = waiting.cpu.read_state().rip

    waiting.engine.debug_from_here(step=True)
    waiting.run(waiting.now() + 1_000_000_000)

    state = waiting.cpu.read_state()
    assert hits == [Hit.STEP]
    saved_eip = int.from_bytes(waiting.memory.read(state.gpr[4], 4), "little")
    assert saved_eip == behind_hlt
    assert state.rip != behind_hlt
