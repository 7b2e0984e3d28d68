# SPDX-License-Identifier: BSD-2-Clause
"""The engine on the stock PyPI wheel of Unicorn 2.1.4: see library.py for how it is loaded."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from mmap import mmap
from typing import TYPE_CHECKING

from manager.cpu.engine import Break, Hit, Seeded, Stop, Watchpoint
from manager.cpu.unicorn import library
from manager.cpu.unicorn.cpu import A20Gate, UnicornCpu
from manager.cpu.witness import Delivery, Kind, RefusedMsr
from manager.names import CPU_MODELS

if TYPE_CHECKING:
    from manager.cpu.unicorn._native import Engine as NativeEngine

CODE_BUFFER = 256 << 20
QUANTUM = 50_000


class UnicornEngine:
    """manager.cpu.engine.Engine on Unicorn. See that protocol for what the methods do."""

    def __init__(
        self,
        model: str,
        count: int = 1,
        *,
        quantum: int = QUANTUM,
        seeded: Seeded | None = None,
        code_buffer: int = CODE_BUFFER,
        keep_tlbs: bool = True,
    ) -> None:
        """`count` CPUs of a model, which run in turns of `quantum` ns while several are busy, or in
        turns that a seed decides.

        `code_buffer`: bytes of translated code to keep; when it is full, all is forgotten.
        `keep_tlbs`: whether a CPU finds its soft TLB again at its next turn. It is faster, and a
        test compares it with the plain way.

        Raises HostError when the wheel or our native half is not there, or not what it should be.
        """
        native = library.load()
        with library.refusals():
            engine: NativeEngine = native.Engine(
                CPU_MODELS.index(model), count, quantum, code_buffer, keep_tlbs
            )
        self._engine = engine
        if seeded is not None:
            self.follow_seed(seeded)
        self._gate = A20Gate(engine)
        self.cpus = tuple(UnicornCpu(cpu, native, self._gate) for cpu in engine.cpus)
        self._stops = {
            native.STOP_DEADLINE: Stop.DEADLINE,
            native.STOP_KICK: Stop.KICK,
            native.STOP_HALT: Stop.HALT,
            native.STOP_SHUTDOWN: Stop.SHUTDOWN,
            native.STOP_FAULT: Stop.FAULT,
            native.STOP_DEBUGGER: Stop.DEBUGGER,
        }
        # Called often: bound once, straight to the native methods.
        self.now = engine.now
        self.idle = engine.idle
        self.first_turn = engine.first_turn
        self.yield_turn = engine.yield_turn
        self.advance = engine.advance
        self.limit = engine.limit
        self.kick = engine.kick
        self.set_a20 = self._gate.set
        self.abandon = engine.abandon
        self.map_rom = engine.map_rom
        self.place_ram = engine.place_ram
        self.place_part = engine.place_part
        self.touched = engine.touched
        self.map_mmio = engine.map_mmio
        self.unmap_mmio = engine.unmap_mmio
        self.map_hole = engine.map_hole
        self.watch_msrs = engine.watch_msrs
        self.lend_port = engine.lend_port
        self.steady = engine.steady
        self.absorb = engine.absorb
        self.watch_bios_calls = engine.watch_bios_calls
        self.invalidate = engine.invalidate
        self.forget_mark = engine.forget_mark
        self.back_memory = engine.back_memory
        self._a20_at_mark = True
        self._debugged: tuple[Collection[int], Collection[Watchpoint]] = ((), ())

    def run(self, deadline: int) -> Stop:
        """Execute until `deadline`, HLT, a kick, or the end."""
        return self._stops[self._engine.run(deadline)]

    def map_ram(self, base: int, memory: mmap, offset: int, length: int) -> None:
        """Make part of `memory` the RAM at physical address `base`."""
        self._engine.map_ram(base, memory, offset, length)

    def close(self) -> None:
        """Free the engine; nothing but the time can be asked for any more."""
        self._engine.close()

    @property
    def time(self) -> tuple[int, int]:
        """Ticks since power-on, and those of them that are no code."""
        time: tuple[int, int] = self._engine.time
        return time

    @time.setter
    def time(self, time: tuple[int, int]) -> None:
        self._engine.time = time

    def follow_seed(self, seeded: Seeded) -> None:
        """Turns and interrupts are as this seed draws them, from its first number on."""
        self._engine.follow_seed(seeded.seed, seeded.jitter, seeded.tear)

    def mark(self) -> None:
        """Come back to this point from now on."""
        self._engine.mark()
        self._a20_at_mark = self._gate.open

    def back_cpus(self) -> None:
        """CPUs, turns and time as they were at the mark."""
        self._engine.back_cpus()
        self._gate.open = self._a20_at_mark

    @property
    def crashed(self) -> bool:
        """It died in the middle of a run."""
        crashed: bool = self._engine.crashed
        return crashed

    @property
    def current(self) -> int:
        """The number of the CPU whose turn it is."""
        return self._engine.current

    @property
    def turn(self) -> tuple[int, int, int]:
        """The CPU whose turn it is, the tick at which the turn ends, and how much was drawn."""
        return self._engine.turn

    @turn.setter
    def turn(self, turn: tuple[int, int, int]) -> None:
        self._engine.turn = turn

    @property
    def breaks(self) -> list[Break]:
        """The last ends of turns and interrupts."""
        return sorted(Break(*item) for item in self._engine.breaks)

    @property
    def fault(self) -> str:
        """After Stop.FAULT: why, in Unicorn's words."""
        fault: str = self._engine.fault
        return fault

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """What was last on its way into the IDT, each caused by the one before."""
        return tuple(Delivery(Kind(kind), *rest) for kind, *rest in self._engine.deliveries)

    @property
    def refused_msr(self) -> RefusedMsr | None:
        """The last RDMSR or WRMSR that was refused."""
        refused = self._engine.refused_msr
        return RefusedMsr(*refused) if refused is not None else None

    # -- a debugger on the host's side ----------------------------------------------------

    def debug(self, breakpoints: Collection[int], watchpoints: Collection[Watchpoint]) -> None:
        """Stop at these instructions and after these accesses."""
        self._debugged = (breakpoints, watchpoints)
        self._engine.set_breakpoints(tuple(breakpoints))
        self._engine.set_watchpoints(
            tuple(
                (item.address, item.length, item.reads | item.writes << 1) for item in watchpoints
            )
        )

    def debug_from_here(self, step: bool, cpu: int | None = None) -> None:
        """Ignore a breakpoint at the next instruction; with `step` stop behind one of `cpu`."""
        self._engine.pass_here(step, -1 if cpu is None else cpu)

    @contextmanager
    def undebugged(self) -> Iterator[None]:
        """No breakpoints and watchpoints while this lasts."""
        debugged = self._debugged
        self.debug((), ())
        try:
            yield
        finally:
            self.debug(*debugged)

    @property
    def hit(self) -> tuple[Hit, int]:
        """After Stop.DEBUGGER: what happened, and where."""
        kind, address = self._engine.hit
        return Hit(kind), address

    @property
    def in_block(self) -> bool:
        """Stopped by the debugger where the engine alone would not stop."""
        return self._engine.in_block
