# SPDX-License-Identifier: BSD-2-Clause
"""When does something first hold? Runs a machine again and again, halving the virtual time."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from manager.bus.memory import AddressError
from manager.errors import UsageError
from manager.lazy import dataclass
from manager.machine.inputs import Input
from manager.machine.machine import Machine
from manager.replay.checks import seconds
from manager.replay.replay import restored
from manager.text.console_text import WINDOW, ConsoleText
from manager.text.search import Search

if TYPE_CHECKING:
    from manager.graph.nodes import Graph
    from manager.text.pattern import Pattern

SAVED_APART = 1_000_000
"""Virtual ns: steps below this are run again rather than saved."""


@dataclass(frozen=True, slots=True)
class Found:
    """The first time at which the condition holds."""

    at: int
    """Virtual ns."""
    rip: int
    """Where the CPU was then."""
    runs: int


@dataclass(slots=True)
class Question:
    """A machine, its input, and between which virtual times (ns) the answer lies."""

    graph: Graph
    good: int
    bad: int
    inputs: Sequence[Input] = ()

    def start(self, until: int) -> Machine:
        """The machine at a time, from power-on."""
        machine = Machine.power_on(self.graph)
        return self.go(machine, until)

    def go(self, machine: Machine, until: int) -> Machine:
        """Let a machine run to a time; what comes later is taken back."""
        now = machine.now()
        for item in self.inputs:
            if item.at > now:
                machine.inputs.schedule(item)
        machine.run(until)
        machine.inputs.recall()
        return machine


Holds = Callable[[Machine], bool]
"""Whether the condition holds in a machine that stands still."""


def first(question: Question, holds: Holds, folder: Path) -> Found:
    """The first virtual time at which `holds`, to the block of code.

    It must not hold at `good` and must at `bad`. Raises UsageError when that is not so.
    """
    from manager.snapshot.read import open_snapshot
    from manager.snapshot.write import write_snapshot

    low, high = question.good, question.bad
    folder.mkdir(parents=True, exist_ok=True)
    machine = question.start(low)
    if holds(machine):
        raise UsageError(f"it holds at {seconds(low)} already", help="give an earlier --good")
    saved = write_snapshot(folder / "good", machine.run_to_image()).directory
    saved_at = low
    found = question.go(restored(question.graph, open_snapshot(saved)), high)
    if not holds(found):
        raise UsageError(f"it does not hold at {seconds(high)}", help="give a later --bad")
    rip, runs = _rip(found), 2
    while high - low > 1:
        middle = (low + high) // 2
        machine = question.go(restored(question.graph, open_snapshot(saved)), middle)
        runs += 1
        if holds(machine):
            high, rip = middle, _rip(machine)
            continue
        low = middle
        if low - saved_at > SAVED_APART:
            saved = write_snapshot(folder / f"at-{low}", machine.run_to_image()).directory
            saved_at = low
    return Found(high, rip, runs)


def _rip(machine: Machine) -> int:
    state = machine.cpu.read_state()
    return state.cs.base + state.rip


def memory_holds(address: int, value: bytes) -> Holds:
    """The bytes at a guest-physical address are `value`. Raises UsageError for what is not RAM."""

    def holds(machine: Machine) -> bool:
        try:
            return machine.memory.read(address, len(value)) == value
        except AddressError as error:
            raise UsageError(str(error)) from None

    return holds


def command_holds(command: str, folder: Path) -> Holds:
    """A shell command ends with status 0.

    It finds the virtual time in ns in $VMMGR_TIME and a snapshot in $VMMGR_SNAPSHOT.
    """
    from manager.snapshot.write import write_snapshot

    count = 0

    def holds(machine: Machine) -> bool:
        nonlocal count
        count += 1
        written = write_snapshot(folder / f"probe-{count}", machine.run_to_image()).directory
        environment = {
            **os.environ,
            "VMMGR_TIME": str(machine.now()),
            "VMMGR_SNAPSHOT": str(written),
        }
        result = subprocess.run(command, shell=True, env=environment, check=False)  # noqa: S602
        return result.returncode == 0

    return holds


def first_output(question: Question, pattern: Pattern, port: str) -> Found:
    """When a port had sent what matches, to the byte; looked for in what comes after `good`.

    Raises UsageError when it is not there by `bad`.
    """
    machine = Machine.power_on(question.graph)
    sender = machine.ports[port]
    found_at: list[int] = []
    console = ConsoleText()
    search = Search(pattern)

    def heard(data: bytes) -> None:
        if machine.now() <= question.good or found_at:
            return
        console.add(data)
        if search.look(console.text, console.start) is not None:
            found_at.append(machine.now())
            machine.stop()
        elif len(console.text) > 2 * WINDOW:
            console.forget()

    sender.listeners.add(heard, sender.take_output)  # each byte as it is sent
    question.go(machine, question.bad)
    if not found_at:
        raise UsageError(f"{port} has not sent that by {seconds(question.bad)}")
    return Found(found_at[0], _rip(machine), 1)
