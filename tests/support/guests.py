# SPDX-License-Identifier: BSD-2-Clause
"""Bare CPUs with RAM and ports to talk through: for tests of an engine with several of them."""

from __future__ import annotations

from collections.abc import Callable

from manager.boot import modes
from manager.bus.memory import Memory
from manager.cpu.engine import Stop
from manager.cpu.unicorn.engine import UnicornEngine
from support.assembler import assemble
from support.guest import DONE, LOAD, SAY

STACK = 0x107000
STACK_APART = 0x10000


class OnePlatform:
    """What one CPU finds around it; a write to DONE halts all, SAY is noted with the CPU."""

    def __init__(self, guests: Guests, number: int) -> None:
        self._guests = guests
        self._number = number
        self.vector = 0x20
        self.msrs: dict[int, int] = {}
        self.cr8 = 0

    def read_port(self, port: int, size: int) -> int:
        return self._number if port == 0x99 else 0xFF

    def write_port(self, port: int, size: int, value: int) -> None:
        guests = self._guests
        if port == DONE:
            guests.done.add(self._number)
            guests.engine.kick()
        elif port == SAY:
            guests.said.append((self._number, value))
        else:
            guests.on_write(self._number, port, value)

    def acknowledge(self) -> int:
        self._guests.engine.cpus[self._number].set_intr(False)
        return self.vector

    def read_msr(self, number: int) -> int:
        return self.msrs.get(number, 0)

    def write_msr(self, number: int, value: int) -> None:
        self.msrs[number] = value

    def read_cr8(self) -> int:
        return self.cr8

    def write_cr8(self, value: int) -> None:
        self.cr8 = value


class Guests:
    """`count` CPUs that all begin at 0x8000 in 64-bit mode, EBX their number, RSP their own."""

    def __init__(self, source: str, count: int = 2, engine: UnicornEngine | None = None) -> None:
        self.done: set[int] = set()
        self.said: list[tuple[int, int]] = []
        self.on_write: Callable[[int, int, int], None] = lambda cpu, port, value: None
        self.engine = engine or UnicornEngine("qemu64", count)
        self.memory = Memory.blank(4 << 20)
        for region in self.memory.regions:
            self.engine.map_ram(region.base, region.memory, 0, region.length)
        for base, length in self.memory.holes([]):
            self.engine.map_hole(base, length)
        self.memory.write(LOAD, assemble(source, LOAD, 64))
        self.platforms = []
        for number, cpu in enumerate(self.engine.cpus):
            self.platforms.append(OnePlatform(self, number))
            cpu.connect(self.platforms[-1])
            state = modes.long_mode(self.memory, LOAD)
            state.gpr[3] = number
            state.gpr[4] = STACK + number * STACK_APART
            cpu.write_state(state)

    def run(self, limit: int = 100_000_000, slice_: int | None = None, *, wanted: int = 0) -> Stop:
        """Run until `wanted` CPUs (by default all) wrote to DONE, or `limit` ns have passed."""
        wanted = wanted or len(self.engine.cpus)
        end = self.engine.now() + limit
        while True:
            stop = self.engine.run(min(end, self.engine.now() + (slice_ or limit)))
            if (
                len(self.done) >= wanted
                or stop not in (Stop.DEADLINE, Stop.KICK)
                or self.engine.now() >= end
            ):
                return stop
