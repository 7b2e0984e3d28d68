# SPDX-License-Identifier: BSD-2-Clause
"""What the machine needs of a CPU engine. Nothing outside this folder knows which one it is.

Three things, each a protocol of its own: what any engine does (Engine, and Cpu for one of its
CPUs), what a debugger wants (Debugging), and what a run that can be repeated wants (Exact).
Long because they are one contract, read together. What explains a fault is in witness.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from enum import Enum, auto
from mmap import mmap
from typing import NamedTuple, Protocol

from manager.bus.grants import Grants
from manager.bus.ports import PortLender
from manager.cpu.state import CpuState
from manager.cpu.witness import Witness
from manager.lazy import dataclass


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
    """What `Debugging.hit` says."""


ANY_CPU = -2
"""For a step: whichever CPU executes."""


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


@dataclass(frozen=True, slots=True)
class Seeded:
    """A schedule that a generator draws: the same seed is the same schedule."""

    seed: int
    """0 to 2^64 - 1."""
    jitter: int = 20_000
    """How long an interrupt waits at most, ns."""
    tear: bool = True
    """Whether an instruction that reads and writes memory without LOCK may be torn in two."""


class Break(NamedTuple):
    """Something came between two instructions of a CPU: another's turn, or an interrupt."""

    at: int
    """Ticks of a quarter of a nanosecond."""
    cpu: int
    address: int
    """Linear, of the instruction that it would have executed next."""
    next: int
    """The CPU whose turn began; -1 at an interrupt."""
    vector: int
    """The interrupt's; -1 at a turn."""
    torn: bool
    """That instruction has read memory already, and not written it."""
    times: int
    """How often the same came, in turn with a few others, `at` the last time."""


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


class Cpu(Protocol):
    """One CPU of an engine: its pins and its state."""

    def connect(self, platform: Platform) -> None:
        """Say where its ports and pins lead; before the first run."""

    def set_intr(self, level: bool) -> None:
        """Drive the INTR pin."""

    def nmi(self) -> None:
        """Pulse the NMI pin."""

    def can_interrupt(self) -> bool:
        """An interrupt is waiting and the CPU would take it."""

    begun: tuple[int, int, int, int]
    """What a seeded schedule has left half done: until which tick the interrupt that waits is held;
    size (0 for none), linear address and old value of what the next instruction has read."""

    waiting: bool
    """After INIT, for a start-up message: it does nothing, and NMIs wait."""

    @property
    def halted(self) -> bool:
        """In HLT."""

    @property
    def interrupts_enabled(self) -> bool:
        """RFLAGS.IF; only while not running."""

    def read_state(self) -> CpuState:
        """The architectural state; only while not running."""

    def write_state(self, state: CpuState) -> None:
        """Replace the architectural state; only while not running."""

    def write_general(self, register: int, value: int) -> None:
        """Change a general register, in the order of CpuState.gpr; only while not running."""

    def write_rip(self, value: int) -> None:
        """Go on elsewhere; only while not running."""

    def write_rflags(self, value: int) -> None:
        """Change RFLAGS; only while not running."""


class Engine(Protocol):
    """x86 CPUs and their one physical address space. Times are virtual, in ns since power-on."""

    @property
    def cpus(self) -> Sequence[Cpu]:
        """Its CPUs; the first is the one that boots."""

    @property
    def current(self) -> int:
        """The number of the CPU whose turn it is: they run one after the other."""

    def idle(self) -> bool:
        """No CPU has anything to do until an interrupt comes."""

    def yield_turn(self) -> None:
        """From a callback: at the next block another CPU has its turn, if one waits."""

    def first_turn(self) -> None:
        """The first CPU has its turn, which begins now; only while not running."""

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

    def abandon(self) -> None:
        """From a port's or a device's callback: stop this run with the access under way.

        No instruction behind it is executed.
        """

    def set_a20(self, enabled: bool) -> None:
        """Open or close the A20 gate."""

    def map_ram(self, base: int, memory: mmap, offset: int, length: int) -> None:
        """Make `memory[offset:offset + length]` the RAM at physical address `base`.

        A base beyond 40 bits, which no guest can name, is a home for memory of a device: the guest
        sees it where `place_ram` puts it, and nowhere before.
        """

    def place_ram(self, home: int, base: int | None) -> None:
        """Show the memory whose home that is at `base` from now on, or nowhere.

        RAM comes first where both are, then memory in the order of mapping.
        """

    def place_part(self, home: int, offset: int, length: int, base: int | None) -> None:
        """Show a part of the memory of that home, whole pages, at `base` as well, or nowhere else.

        Of each memory there is one such part: the last one that was said.
        """

    def touched(self, home: int) -> bytes:
        """Which pages of the memory of that home the guest has stored to since the last call.

        One byte for each page, 1 or 0. What the host has stored is not among it.
        """

    def map_rom(self, base: int, memory: mmap) -> None:
        """Make `memory`, whole pages, readable and executable at `base`; stores are dropped."""

    def map_mmio(self, base: int, length: int, read: MmioRead, write: MmioWrite) -> None:
        """Put a device's registers at physical addresses [base, base + length), multiples of 4.

        They have to lie in a hole; where there is memory it comes first. Raises ValueError where
        there are registers already.
        """

    def unmap_mmio(self, base: int) -> None:
        """Take away the registers that begin at `base`. Raises ValueError if there are none."""

    def map_hole(self, base: int, length: int) -> None:
        """Whole pages of physical addresses without memory: all ones but where devices answer."""

    def watch_msrs(self, watch: Callable[[int, int, int, int], None]) -> None:
        """Call `watch(number, value, written, refused)` at every RDMSR and WRMSR.

        What is refused becomes #GP and has no effect.
        """

    def watch_bios_calls(self, watch: Callable[[int], None]) -> None:
        """Call `watch(number)` at an INT n in real mode whose vector is 0000:0000.

        It goes there unless the run is abandoned.
        """

    def invalidate(self, start: int, end: int) -> None:
        """The host is about to write to RAM in [start, end): forget code translated from it."""

    @property
    def fault(self) -> str:
        """After Stop.FAULT: why, in the engine's words."""

    def close(self) -> None:
        """Free the engine; nothing but the time can be asked for any more."""


class Debugging(Protocol):
    """What a debugger on the host's side wants. The guest cannot tell: what it does, and when, is
    the same with it and without.
    """

    def debug(self, breakpoints: Collection[int], watchpoints: Collection[Watchpoint]) -> None:
        """Stop before the instructions at these linear addresses, and after these accesses."""

    def debug_from_here(self, step: bool, cpu: int | None = None) -> None:
        """The next run ignores a breakpoint at its first instruction.

        With `step` it stops behind the next instruction of `cpu`, by default of the one whose turn
        it is; ANY_CPU is whichever executes. A step may take several runs, as deadlines come first.
        """

    def undebugged(self) -> AbstractContextManager[None]:
        """No breakpoints and watchpoints while this lasts."""

    @property
    def hit(self) -> tuple[Hit, int]:
        """After Stop.DEBUGGER: what happened, and the linear address of the break- or watchpoint.

        The next instruction is that of a breakpoint, or the one after an access or a step.
        """

    @property
    def breaks(self) -> Sequence[Break]:
        """The last ends of turns and the last interrupts, a few dozen, the latest last."""

    @property
    def in_block(self) -> bool:
        """Stopped by the debugger where the engine alone would not stop.

        Until the rest of the block has run nothing else may happen to the guest: a run to the
        present time does that.
        """


class Exact(Protocol):
    """What makes a run repeatable: time passes by what the CPUs execute, and a run stops between
    blocks of code only, so that one long run is to the guest the same as many short ones.
    """

    time: tuple[int, int]
    """For snapshots: ticks of 1/4 ns since power-on, and how many of them code did not take."""

    def follow_seed(self, seeded: Seeded) -> None:
        """Turns and interrupts are as this seed draws them, from its first number on."""

    def mark(self) -> None:
        """Come back to this point from now on, in place of any before; only while not running.

        As after a restore the TLBs are empty. Host writes to RAM say so to `invalidate` before.
        Raises MemoryError.
        """

    def forget_mark(self) -> None:
        """Nothing will come back."""

    def back_memory(self) -> int:
        """All memory as it was at the mark, translations of the rest kept: how many pages were not.

        Then `back_cpus` comes. Raises MemoryError when not all could be kept.
        """

    def back_cpus(self) -> None:
        """CPUs, turns and time as they were at the mark. Again once devices have driven lines."""

    @property
    def crashed(self) -> bool:
        """It died in the middle of a run: it can neither go on nor back."""

    turn: tuple[int, int, int]
    """For snapshots: the CPU whose turn it is, the tick at which the turn ends (2^64 - 1 while no
    other waits), and the numbers that a seeded schedule has drawn."""


class PcEngine(Engine, Debugging, Exact, PortLender, Grants, Witness, Protocol):
    """All that a machine of ours asks of its engine."""
