# SPDX-License-Identifier: BSD-2-Clause
"""What the machine needs of a CPU engine. Nothing outside this folder knows which one it is."""

from __future__ import annotations

from collections.abc import Callable
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


PortRead = Callable[[int, int], int]
"""(port, size in bytes) -> value."""
PortWrite = Callable[[int, int, int], None]
"""(port, size in bytes, value)."""
Acknowledge = Callable[[], int]
"""The interrupt controller's answer to INTA: the vector."""


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

        Raises whatever a port or acknowledge callback raised.
        """

    def limit(self, deadline: int) -> None:
        """From a callback: stop this run no later than `deadline`."""

    def kick(self) -> None:
        """From a callback: stop this run at the next block."""

    def set_intr(self, level: bool) -> None:
        """Drive the INTR pin."""

    def can_interrupt(self) -> bool:
        """INTR is high and the CPU would take it."""

    def set_a20(self, enabled: bool) -> None:
        """Open or close the A20 gate."""

    def map_ram(self, base: int, memory: mmap, offset: int, length: int) -> None:
        """Make `memory[offset:offset + length]` the RAM at physical address `base`."""

    def map_hole(self, base: int, length: int) -> None:
        """Physical addresses where nothing answers: all ones."""

    def invalidate(self, start: int, end: int) -> None:
        """The host wrote to RAM in [start, end): forget code translated from it."""

    def read_state(self) -> CpuState:
        """The architectural state; only while not running."""

    def write_state(self, state: CpuState) -> None:
        """Replace the architectural state; only while not running."""

    @property
    def halted(self) -> bool:
        """The CPU is in HLT."""

    @property
    def fault(self) -> str:
        """After Stop.FAULT: why, in the engine's words."""
