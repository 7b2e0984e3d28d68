# SPDX-License-Identifier: BSD-2-Clause
"""What the machine needs of a CPU engine. Nothing outside this folder knows which one it is."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum, auto
from mmap import mmap
from typing import Protocol

from manager.cpu.state import CpuState


class Stop(Enum):
    """Why `run` came back."""

    DEADLINE = auto()
    KICK = auto()
    HALT = auto()
    SHUTDOWN = auto()
    """Triple fault."""
    FAULT = auto()
    """The engine cannot execute what the guest asks for."""
    DEBUGGER = auto()
    """What `Engine.hit` says."""


class Hit(Enum):
    """What a debugger on the host's side was waiting for."""

    BREAKPOINT = 1
    WATCHPOINT = 2
    STEP = 3


@dataclass(frozen=True, slots=True)
class Watchpoint:
    """Bytes that a debugger watches."""

    address: int
    """Linear."""
    length: int
    reads: bool
    writes: bool


class Platform(Protocol):
    """What a CPU asks of the machine around it. Sizes are 1, 2 or 4 bytes."""

    def read_port(self, port: int, size: int) -> int:
        """IN."""

    def write_port(self, port: int, size: int, value: int) -> None:
        """OUT."""

    def acknowledge(self) -> int:
        """The interrupt controller's answer to INTA: the vector."""

    def read_msr(self, number: int) -> int:
        """RDMSR of a register that the local APIC has."""

    def write_msr(self, number: int, value: int) -> None:
        """WRMSR to a register that the local APIC has."""

    def read_cr8(self) -> int:
        """The task priority, 0-15."""

    def write_cr8(self, value: int) -> None:
        """Set the task priority, 0-15."""


MmioRead = Callable[[int, int], int]
"""(offset, size in bytes) -> value."""
MmioWrite = Callable[[int, int, int], None]
"""(offset, size in bytes, value)."""


class Engine(Protocol):
    """One x86 CPU and its physical address space.

    Time is virtual: it passes by what the CPU executes, never by the host's clock. A run stops
    between blocks of code only, so the guest sees no difference between one long run and many
    short ones.
    """

    time: tuple[int, int]
    """Ticks since power-on, and how many of them were spent on other things than code: what
    a snapshot has to keep. The rest of this protocol speaks of nanoseconds."""

    def now(self) -> int:
        """The present virtual time, ns."""

    def advance(self, time: int) -> None:
        """Sleep until `time` (ns); only while not running."""

    def run(self, deadline: int) -> Stop:
        """Execute until `deadline`, HLT, a kick, or the end.

        Raises whatever the platform raised.
        """

    def limit(self, deadline: int) -> None:
        """From a callback: stop this run no later than `deadline`."""

    def kick(self) -> None:
        """From a callback: stop this run at the next block."""

    def set_intr(self, level: bool) -> None:
        """Drive the INTR pin."""

    def nmi(self) -> None:
        """Pulse the NMI pin."""

    def can_interrupt(self) -> bool:
        """An interrupt is waiting and the CPU would take it."""

    def set_a20(self, enabled: bool) -> None:
        """Open or close the A20 gate."""

    def map_ram(self, base: int, memory: mmap, offset: int, length: int) -> None:
        """Make `memory[offset:offset + length]` the RAM at physical address `base`."""

    def map_rom(self, base: int, memory: mmap) -> None:
        """Make `memory`, whole pages, readable and executable at `base`; stores are dropped."""

    def map_mmio(self, base: int, length: int, read: MmioRead, write: MmioWrite) -> None:
        """Put a device's registers at physical addresses [base, base + length), whole pages."""

    def map_hole(self, base: int, length: int) -> None:
        """Physical addresses where nothing answers: all ones."""

    def watch_msrs(self, watch: Callable[[int, int, int, int], None]) -> None:
        """Call `watch(number, value, written, refused)` at every RDMSR and WRMSR.

        What is refused becomes #GP and has no effect.
        """

    def invalidate(self, start: int, end: int) -> None:
        """The host wrote to RAM in [start, end): forget code translated from it."""

    def read_state(self) -> CpuState:
        """The architectural state; only while not running."""

    def write_state(self, state: CpuState) -> None:
        """Replace the architectural state; only while not running."""

    def debug(self, breakpoints: Collection[int], watchpoints: Collection[Watchpoint]) -> None:
        """Stop before the instructions at these linear addresses, and after these accesses.

        The guest cannot tell: what it does, and when, is the same.
        """

    def debug_from_here(self, step: bool) -> None:
        """The next run ignores a breakpoint at its first instruction; `step`: it is the only one.

        A step may take several runs, as deadlines come first.
        """

    def undebugged(self) -> AbstractContextManager[None]:
        """No breakpoints and watchpoints while this lasts."""

    @property
    def hit(self) -> tuple[Hit, int]:
        """After Stop.DEBUGGER: what happened, and the linear address of the break- or watchpoint.

        The next instruction is that of a breakpoint, or the one after an access or a step.
        """

    @property
    def in_block(self) -> bool:
        """Stopped by the debugger where the engine alone would not stop.

        Until the rest of the block has run nothing else may happen to the guest: a run to the
        present time does that.
        """

    def write_general(self, register: int, value: int) -> None:
        """Change a general register, in the order of CpuState.gpr; only while not running."""

    def write_rip(self, value: int) -> None:
        """Go on elsewhere; only while not running."""

    def write_rflags(self, value: int) -> None:
        """Change RFLAGS; only while not running."""

    @property
    def halted(self) -> bool:
        """The CPU is in HLT."""

    @property
    def interrupts_enabled(self) -> bool:
        """RFLAGS.IF; only while not running."""

    @property
    def fault(self) -> str:
        """After Stop.FAULT: why, in the engine's words."""
