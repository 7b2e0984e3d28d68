# SPDX-License-Identifier: BSD-2-Clause
"""Going backwards: the machine is taken back by its record, and run forward to just before.

A place in a run is the virtual time in ticks, the CPU whose turn it is, the program counter, and
whether the block there has begun: its time is charged then, and no two of its instructions have
one address.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from manager.cpu.engine import ANY_CPU, Hit, Watchpoint
from manager.debug.registers import program_counter
from manager.errors import WrongStateError

if TYPE_CHECKING:
    from manager.debug.target import Target
    from manager.machine.inputs import Input
    from manager.machine.machine import Machine

Place = tuple[int, int, bool, int]
"""(ticks, linear address of the next instruction, in the middle of a block, CPU)."""
STEP_WINDOWS = (2_000, 200_000, 20_000_000, 2_000_000_000)
"""Virtual ns to go back for the instruction before, one after the other."""
CONTINUE_WINDOWS = (1_000_000, 100_000_000, 10_000_000_000)
NEAR = 2_000
"""Virtual ns before a place from which it is looked for instruction by instruction."""
MOST_HITS = 100_000


def place_of(machine: Machine) -> Place:
    """Where the machine is."""
    engine = machine.engine
    address = program_counter(machine.cpu.read_state())
    return engine.time[0], address, engine.in_block, engine.current


def _order(place: Place) -> tuple[int, int, bool]:
    """What comes later is greater: at one time the rest of a block, upwards, then what follows."""
    ticks, address, in_block, _ = place
    return ticks, address if in_block else 1 << 64, in_block


class Reverse:
    """Takes the target's machine back. Raises WrongStateError where there is no way back."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._hits: list[tuple[Hit, int]] = []
        history = target.history()
        if history is None:
            raise WrongStateError(
                "this run is not recorded, or the machine is not ready yet: there is no way back",
                help="`vmmgr up` records, unless `[record]` says no; `vmmgr run` does not",
            )
        self._start: int = history[0]
        self._recorded: list[Input] = history[1]
        self._wanted = place_of(target.machine)
        self._now = target.machine.now()
        self._halted = target.machine.cpu.halted

    def step(self) -> bool:
        """To the instruction before; false at the beginning of the record."""
        for begin in self._beginnings(STEP_WINDOWS):
            machine = self._go_back(begin)
            near = self._last_busy_time(machine)
            if near is None:
                continue
            machine = self._go_back(near)
            count = 0
            while not self._is_there(machine) and not self._is_past(machine):
                if not self._step(machine):
                    break
                count += 1
            if count == 0 or not self._is_there(machine):
                continue
            machine = self._go_back(near)
            for _ in range(count - 1):
                self._step(machine)
            return True
        self._go_back(self._start)
        return False

    def run(
        self, breakpoints: Collection[int], watchpoints: Collection[Watchpoint]
    ) -> tuple[Hit, int] | None:
        """To the last hit before; None at the beginning of the record.

        A watched access is undone: the machine is before the instruction that makes it.
        """
        for begin in self._beginnings(CONTINUE_WINDOWS):
            count = self._hits_from(begin, breakpoints, watchpoints, None)
            if count:
                self._hits_from(begin, breakpoints, watchpoints, count)
                found = self._hits[-1]
                if found[0] is Hit.WATCHPOINT:
                    machine = self._target.machine
                    self._wanted, self._now = place_of(machine), machine.now()
                    self._halted = False
                    self.step()
                return found
        self._go_back(self._start)
        return None

    def _beginnings(self, windows: Collection[int]) -> list[int]:
        """Times to go back to, none twice; the last is where the record begins."""
        times = [max(self._now - window, self._start) for window in windows]
        return sorted({*times, self._start}, reverse=True)

    def _go_back(self, to: int) -> Machine:
        self._target.rewind(back=None, to=to, inputs=None)
        machine = self._target.machine
        for item in self._recorded:
            if item.at > to:
                machine.inputs.schedule(item)
        self._hits.clear()
        machine.on_hit = lambda hit, address: self._hits.append((hit, address))
        return machine

    def _last_busy_time(self, machine: Machine) -> int | None:
        """The latest time, near before the place, at which the CPU has something to do."""
        busy = None
        while (now := machine.now()) < self._now:
            until = machine.idle_until()
            if until is None:
                busy, until = now, now + NEAR
            if until >= self._now or machine.run(until) is not None:
                break
        return busy

    def _is_there(self, machine: Machine) -> bool:
        """At the place; in HLT, anywhere in the time that is slept through."""
        if self._halted and machine.cpu.halted:
            return (machine.idle_until() or 0) > self._now
        return place_of(machine) == self._wanted

    def _is_past(self, machine: Machine) -> bool:
        return _order(place_of(machine)) > _order(self._wanted)

    def _step(self, machine: Machine) -> bool:
        """One instruction. HLT is one, and what comes with the interrupt that ends it another."""
        self._hits.clear()
        was_halted = machine.cpu.halted
        machine.engine.debug_from_here(step=True, cpu=ANY_CPU)
        while not self._hits:
            if machine.run(max(machine.idle_until() or 0, machine.now()) + 1) is not None:
                return False
            if machine.cpu.halted and not was_halted:
                break
        return True

    def _hits_from(
        self,
        begin: int,
        breakpoints: Collection[int],
        watchpoints: Collection[Watchpoint],
        wanted: int | None,
    ) -> int:
        """Run forward from `begin` to the place, or to the `wanted`-th hit; how many there were."""
        machine = self._go_back(begin)
        machine.engine.debug(breakpoints, watchpoints)
        machine.engine.debug_from_here(step=False)
        count = 0
        while not self._is_past(machine) and count < MOST_HITS:
            before = len(self._hits)
            ended = machine.run(self._now + 1)
            if len(self._hits) == before:
                break
            if self._is_past(machine) or self._is_there(machine):
                break
            count += 1
            if count == wanted or ended is not None:
                break
            machine.engine.debug_from_here(step=False)
        return count
