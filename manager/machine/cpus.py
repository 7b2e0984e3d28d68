# SPDX-License-Identifier: BSD-2-Clause
"""The CPUs of a machine as its board drives them: reset, INIT and start-up messages, interrupts.

Source: Intel SDM volume 3, "Multiple-Processor (MP) Initialization".
"""

from __future__ import annotations

from collections.abc import Callable

from manager.bus.lines import Wire
from manager.cpu.engine import PcEngine
from manager.cpu.state import CpuState, Segment
from manager.devices.lapic.device import CpuPins

PAGE_SHIFT = 12


class Cpus:
    """The first CPU boots; after a reset the others wait for a start-up message.

    INIT and start-up messages come from the middle of a block of code, perhaps of the very CPU that
    they are for, so they take effect when that block is over.
    """

    __slots__ = ("_engine", "_events")

    def __init__(self, engine: PcEngine) -> None:
        self._engine = engine
        self._events: list[Callable[[], None]] = []

    def pins(self) -> list[CpuPins]:
        """What each local APIC does to its CPU."""
        return [self._pins_of(number) for number in range(len(self._engine.cpus))]

    def _pins_of(self, number: int) -> CpuPins:
        cpu = self._engine.cpus[number]
        return CpuPins(
            intr=Wire(cpu.set_intr),
            nmi=cpu.nmi,
            init=lambda: self._later(lambda: self._init(number)),
            start=lambda vector: self._later(lambda: self._start(number, vector)),
            sent=self._engine.yield_turn,
        )

    def reset(self, first: CpuState, other: CpuState) -> None:
        """The first CPU begins with `first`, each other has the state `other` and waits."""
        self._events.clear()
        for number, cpu in enumerate(self._engine.cpus):
            cpu.write_state(first if number == 0 else other)
            cpu.waiting = number > 0
        self._engine.first_turn()

    def start_and_stop(self) -> None:
        """What INIT and start-up messages asked for since the last call. Only between blocks."""
        while self._events:
            self._events.pop(0)()

    def forget(self) -> None:
        """Whatever was asked for since the last call has not been."""
        self._events.clear()

    def deaf(self) -> bool:
        """No CPU that was started can take an interrupt."""
        return not any(cpu.interrupts_enabled for cpu in self._engine.cpus if not cpu.waiting)

    def _later(self, event: Callable[[], None]) -> None:
        self._events.append(event)
        self._engine.kick()

    def _init(self, number: int) -> None:
        cpu = self._engine.cpus[number]
        state = CpuState.at_reset()
        kept = cpu.read_state()
        # INIT leaves these alone (SDM volume 3, table "IA-32 and Intel 64 Processor States").
        state.fpu, state.mxcsr, state.xmm, state.xcr0 = kept.fpu, kept.mxcsr, kept.xmm, kept.xcr0
        state.msr, state.a20 = kept.msr, kept.a20
        cpu.write_state(state)
        cpu.waiting = number > 0

    def _start(self, number: int, vector: int) -> None:
        cpu = self._engine.cpus[number]
        if not cpu.waiting:
            return
        state = cpu.read_state()
        page = vector << PAGE_SHIFT
        state.cs = Segment(page >> 4, page, 0xFFFF, 0x9B00)
        state.rip = 0
        cpu.write_state(state)
        cpu.waiting = False
