# SPDX-License-Identifier: BSD-2-Clause
"""A bare CPU with RAM and a port to talk through: for tests of the engine alone."""

from __future__ import annotations

import mmap
from collections.abc import Callable

from manager.boot import modes
from manager.bus.memory import PAGE, Memory
from manager.cpu.engine import Stop
from manager.cpu.state import CpuState
from manager.cpu.unicorn.engine import UnicornEngine
from support.assembler import assemble

LOAD = 0x8000
DONE = 0xF4
"""A write to this port ends the guest."""
SAY = 0xE9
"""Values written to this port are collected in `said`."""
ENTER = {16: lambda memory, entry: modes.real_mode(entry), 32: modes.protected_mode,
         64: modes.long_mode}  # fmt: skip


class Guest:
    """An engine, 4 MiB of RAM, and a program at 0x8000."""

    def __init__(
        self,
        source: str,
        bits: int = 64,
        *,
        memory: Memory | None = None,
        state: CpuState | None = None,
        rom: dict[int, bytes] | None = None,
        mmio: int | None = None,
        engine: UnicornEngine | None = None,
    ) -> None:
        self.said: list[int] = []
        self.reads: list[int] = []
        self.done = False
        self.vector = 0x20
        self.msrs: dict[int, int] = {}
        self.cr8 = 0
        self.on_read: Callable[[int], int] = lambda port: 0xFF
        self.on_write: Callable[[int, int], None] = lambda port, value: None
        self.engine = engine or UnicornEngine("qemu64")
        self.cpu = self.engine.cpus[0]
        self.cpu.connect(self)
        self.memory = memory or Memory.blank(4 << 20)
        for region in self.memory.regions:
            self.engine.map_ram(region.base, region.memory, 0, region.length)
        self.mmio_writes: list[tuple[int, int, int]] = []
        taken = []
        for base, content in (rom or {}).items():
            chip = mmap.mmap(-1, PAGE)
            chip[: len(content)] = content
            self.engine.map_rom(base, chip)
            taken.append((base, PAGE))
        if mmio is not None:
            self.engine.map_mmio(mmio, PAGE, lambda offset, size: offset, self._mmio_write)
        for base, length in self.memory.holes(taken):
            self.engine.map_hole(base, length)
        if state is None:
            self.memory.write(LOAD, assemble(source, LOAD, bits))
            state = ENTER[bits](self.memory, LOAD)
        self.cpu.write_state(state)

    def run(self, limit: int = 10_000_000, slice_: int | None = None) -> Stop:
        """Run until the guest writes DONE, stops by itself, or `limit` ns have passed."""
        end = self.engine.now() + limit
        while True:
            stop = self.engine.run(min(end, self.engine.now() + (slice_ or limit)))
            if self.done or stop not in (Stop.DEADLINE, Stop.KICK) or self.engine.now() >= end:
                return stop

    def read_port(self, port: int, size: int) -> int:
        self.reads.append(port)
        return self.on_read(port)

    def write_port(self, port: int, size: int, value: int) -> None:
        if port == DONE:
            self.done = True
            self.engine.kick()
        elif port == SAY:
            self.said.append(value)
        else:
            self.on_write(port, value)

    def acknowledge(self) -> int:
        self.cpu.set_intr(False)
        return self.vector

    def _mmio_write(self, offset: int, size: int, value: int) -> None:
        self.mmio_writes.append((offset, size, value))

    def read_msr(self, number: int) -> int:
        return self.msrs.get(number, 0)

    def write_msr(self, number: int, value: int) -> None:
        self.msrs[number] = value

    def read_cr8(self) -> int:
        return self.cr8

    def write_cr8(self, value: int) -> None:
        self.cr8 = value
