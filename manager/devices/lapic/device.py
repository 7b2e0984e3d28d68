# SPDX-License-Identifier: BSD-2-Clause
"""The local APIC of a CPU: xAPIC registers at FEE00000h, between the 8259A and INTR.

Pins carry "asserted", so polarity bits are kept and do nothing. SMI and remote reads are dropped.
Source: Intel SDM volume 3, "Advanced Programmable Interrupt Controller (APIC)".

Long because the chip is: registers, priorities, messages and commands share one record.
"""

from __future__ import annotations

from collections.abc import Callable

from manager.bus.clock import Clock
from manager.bus.grants import NO_GRANTS, Grants
from manager.bus.lines import Line
from manager.devices.device import Device
from manager.devices.lapic import priority
from manager.devices.lapic import registers as reg
from manager.devices.lapic.bus import ApicBus, Member
from manager.devices.lapic.registers import FIXED, LINT0, LINT1, LapicState
from manager.devices.lapic.timer import LVT_MASKED, LVT_VECTOR, LapicTimer
from manager.lazy import dataclass


class LintPin:
    """LINT0 or LINT1; idempotent, so that driving it again after a restore is no edge."""

    __slots__ = ("_index", "_lapic")

    def __init__(self, lapic: Lapic, index: int) -> None:
        self._lapic = lapic
        self._index = index

    def set(self, level: bool) -> None:
        """Drive the pin."""
        pins = self._lapic.state.pins
        if pins[self._index] != level:
            pins[self._index] = int(level)
            self._lapic.pin_changed(self._index)


@dataclass(frozen=True, slots=True)
class CpuPins:
    """What a local APIC does to its CPU."""

    intr: Line
    nmi: Callable[[], None]
    init: Callable[[], None] = lambda: None
    """INIT: reset it, and let it wait for a start-up message unless it is the one that boots."""
    start: Callable[[int], None] = lambda vector: None
    """A start-up message: begin at page `vector` if it waits for one."""
    sent: Callable[[], None] = lambda: None
    """It has sent something to another CPU."""


class Lapic(Device[LapicState]):
    """`lint0` is for the INTR of the 8259A, `lint1` for NMI sources.

    `pic_acknowledge` fetches the vector of the 8259A, `eoi_broadcast` tells the I/O APIC that a
    level-triggered vector was served. `virtual_wire` powers it on as firmware hands over the APIC
    of the CPU that boots: enabled, the 8259A reaching the CPU through LINT0; else as hardware
    resets. The CPU that boots is the one with APIC id 0.
    """

    STATE = LapicState

    def __init__(  # noqa: PLR0913  what it is wired to
        self,
        clock: Clock,
        cpu: CpuPins,
        *,
        bus: ApicBus,
        apic_id: int = 0,
        pic_acknowledge: Callable[[], int],
        eoi_broadcast: Callable[[int], None],
        virtual_wire: bool = True,
        grants: Grants = NO_GRANTS,
    ) -> None:
        self._grants = grants
        self.apic_id = apic_id
        self.nmi = cpu.nmi
        self._cpu = cpu
        self._intr = cpu.intr
        self._bus = bus
        self._pic_acknowledge = pic_acknowledge
        self._eoi_broadcast = eoi_broadcast
        self._virtual_wire = virtual_wire
        self._asserted = False
        self._timer = LapicTimer(clock, self._raise_edge)
        bus.members.append(self)
        self.lint0 = LintPin(self, 0)
        self.lint1 = LintPin(self, 1)
        self.state = self.power_on()
        self.settle()

    def power_on(self) -> LapicState:
        """Hardware reset, and virtual wire mode on top if asked for."""
        state = LapicState()
        if self._virtual_wire:
            state.svr |= reg.SVR_ENABLE
            state.lvt[LINT0], state.lvt[LINT1] = reg.EXTINT, reg.NMI
        return state

    # -- interrupts in ----------------------------------------------------------------------

    @property
    def accepts(self) -> bool:
        """Whether it takes vectors at all."""
        return self.state.enabled and bool(self.state.svr & reg.SVR_ENABLE)

    def accept(self, vector: int, level: bool) -> bool:
        """Request `vector` (0-255), from the I/O APIC or an IPI. False if it was turned away."""
        state = self.state
        if not self.accepts:
            return False
        if vector < reg.FIRST_VECTOR:
            self._error(reg.ERROR_RECEIVE_VECTOR)
            return False
        priority.request(state, vector, level)
        self._update()
        return True

    def is_addressed(self, destination: int, logical: bool) -> bool:
        """Whether a message to that 8-bit destination is for this APIC."""
        if destination == reg.BROADCAST:
            return True
        if not logical:
            return destination == self.apic_id
        state = self.state
        if state.dfr == reg.DFR_FLAT:
            return bool(destination & state.ldr)
        same_cluster = destination >> 4 in (state.ldr >> 4, 0xF)
        return same_cluster and bool(destination & state.ldr & 0xF)

    def init(self) -> None:
        """An INIT message: registers as after a reset, but where it is and whether it is enabled
        (SDM volume 3, "Local APIC State After It Receives an INIT-Deassert IPI" and before).
        """
        kept = self.state
        self.state = LapicState(enabled=kept.enabled, pins=kept.pins)
        self.settle()
        self._cpu.init()

    def start(self, vector: int) -> None:
        """A start-up message."""
        self._cpu.start(vector)

    def pin_changed(self, pin: int) -> None:
        """LINT0 (0) or LINT1 (1) has a new level in the state."""
        state = self.state
        if not state.enabled:  # the pins are INTR and NMI then
            if pin and state.pins[pin]:
                self.nmi()
        elif state.pins[pin]:
            self._local(LINT0 + pin)
        self._update()

    def _local(self, index: int) -> None:
        """An event of an LVT entry other than the timer's; ExtINT is seen to in _extint."""
        lvt = self.state.lvt
        entry = lvt[index]
        if entry & (LVT_MASKED | reg.LVT_REMOTE_IRR):
            return
        if entry & reg.DELIVERY == reg.NMI:
            self.nmi()
        elif entry & reg.DELIVERY == FIXED:
            level = bool(entry & reg.LVT_LEVEL)
            if self.accept(entry & LVT_VECTOR, level) and level:
                lvt[index] |= reg.LVT_REMOTE_IRR

    @property
    def may_send_nmi(self) -> bool:
        """Whether LINT0 is programmed to; nothing drives LINT1."""
        state = self.state
        return state.enabled and state.lvt[LINT0] & (LVT_MASKED | reg.DELIVERY) == reg.NMI

    def _retry_pins(self) -> None:
        """Level-triggered LINT pins that are still high request again."""
        state = self.state
        for pin in (0, 1):
            entry = state.lvt[LINT0 + pin]
            if state.pins[pin] and entry & reg.LVT_LEVEL and entry & reg.DELIVERY == FIXED:
                self._local(LINT0 + pin)

    def _raise_edge(self, vector: int) -> None:
        self.accept(vector, False)

    def _error(self, error: int) -> None:
        """Note an error; its interrupt comes once until the guest writes ESR."""
        if not self.state.errors & error:
            self.state.errors |= error
            self._local(reg.ERROR)

    # -- interrupts out ---------------------------------------------------------------------

    def _extint(self) -> bool:
        """The 8259A requests, and its request gets through."""
        state = self.state
        if not state.pins[0]:
            return False
        return not state.enabled or state.lvt[LINT0] & (LVT_MASKED | reg.DELIVERY) == reg.EXTINT

    def _update(self) -> None:
        """Drive INTR as the state says."""
        wanted = priority.deliverable(self.state) > 0 or self._extint()
        if wanted != self._asserted:
            self._asserted = wanted
            self._intr.set(wanted)

    def acknowledge(self) -> int:
        """The CPU takes an interrupt: its vector (0-255). Without a request the spurious one."""
        vector = priority.deliverable(self.state)
        if vector:
            priority.take(self.state, vector)
            self._update()
        elif self._extint():
            vector = self._pic_acknowledge()
        else:
            vector = self.state.svr & LVT_VECTOR
        return vector

    def _end_of_interrupt(self) -> None:
        state = self.state
        vector = priority.finish(state)
        if vector:
            for index in (LINT0, LINT1):
                if state.lvt[index] & LVT_VECTOR == vector:
                    state.lvt[index] &= ~reg.LVT_REMOTE_IRR
            self._retry_pins()
            self._eoi_broadcast(vector)
        self._update()

    # -- the CPU's own registers ------------------------------------------------------------

    def read_cr8(self) -> int:
        """CR8: the task priority class, 0-15."""
        return self.state.tpr >> 4

    def write_cr8(self, value: int) -> None:
        """Set the task priority class; the subclass becomes 0."""
        self.state.tpr = (value & 0xF) << 4
        self._update()

    def read_base(self) -> int:
        """IA32_APIC_BASE: where it is, that this is the boot CPU, and whether it is enabled."""
        flags = reg.MSR_BSP if self.apic_id == 0 else 0
        return reg.BASE | flags | (reg.MSR_ENABLE if self.state.enabled else 0)

    def write_base(self, value: int) -> None:
        """Only the enable bit changes; the base stays. Disabling loses the registers."""
        enabled = bool(value & reg.MSR_ENABLE)
        if not enabled and self.state.enabled:
            pins, self.state = self.state.pins, LapicState()
            self.state.pins = pins
        self.state.enabled = enabled
        self.settle()

    def read_tsc_deadline(self) -> int:
        """IA32_TSC_DEADLINE, in TSC ticks; 0 when disarmed."""
        return self._timer.read_tsc_deadline()

    def write_tsc_deadline(self, value: int) -> None:
        """Arm the timer in TSC-deadline mode."""
        self._timer.write_tsc_deadline(value)

    # -- registers in memory ----------------------------------------------------------------

    def read_mmio(self, offset: int, size: int) -> int:
        """Read a register, or bytes of it. All ones while IA32_APIC_BASE disables the APIC."""
        if not self.state.enabled:
            return (1 << 8 * size) - 1
        if offset & 0xC:
            return 0
        register = offset & 0xFF0
        value = self._read(register) >> 8 * (offset & 3)
        if register in reg.STEADY:
            self._grants.steady(size)
        return value & (1 << 8 * size) - 1

    def _read(self, register: int) -> int:
        state = self.state
        if register == reg.CURRENT_COUNT:
            return self._timer.current()
        if reg.ISR <= register < reg.ESR:
            bank = (state.isr, state.tmr, state.irr)[(register - reg.ISR) >> 7]
            first = (register & 0x70) >> 2
            return int.from_bytes(bank[first : first + 4], "little")
        if register in reg.LVT_OTHERS:
            return state.lvt[register - reg.LVT_OTHERS.start >> 4]
        values = {
            reg.ID_REGISTER: self.apic_id << reg.DESTINATION_SHIFT,
            reg.VERSION_REGISTER: reg.VERSION,
            reg.TPR: state.tpr,
            reg.PPR: priority.processor_priority(state),
            reg.LDR: state.ldr << reg.LDR_SHIFT,
            reg.DFR: state.dfr << reg.DFR_SHIFT | reg.DFR_RESERVED,
            reg.SVR: state.svr,
            reg.ESR: state.esr,
            reg.ICR_LOW: state.icr_low,
            reg.ICR_HIGH: state.icr_destination << reg.DESTINATION_SHIFT,
            reg.LVT_TIMER: state.timer.lvt,
            reg.INITIAL_COUNT: state.timer.initial,
            reg.DIVIDE: state.timer.divide,
        }
        if register not in values and register not in reg.READ_AS_ZERO:
            self._error(reg.ERROR_REGISTER)
        return values.get(register, 0)

    def write_mmio(self, offset: int, size: int, value: int) -> None:
        """Write a register. Anything but an aligned 32-bit write does nothing."""
        if size == 4 and not offset & 0xF and self.state.enabled:
            self._write(offset, value & 0xFFFF_FFFF)

    def _write(self, register: int, value: int) -> None:
        state = self.state
        if register == reg.EOI:
            self._end_of_interrupt()
        elif register == reg.INITIAL_COUNT:
            self._timer.write_initial(value)
        elif register == reg.TPR:
            state.tpr = value & 0xFF
            self._update()
        elif register == reg.ICR_LOW:
            self._send(value)
        elif register == reg.ICR_HIGH:
            state.icr_destination = value >> reg.DESTINATION_SHIFT
        elif register == reg.LVT_TIMER:
            self._timer.write_lvt(value | self._forced_mask())
        elif register in reg.LVT_OTHERS:
            self._write_lvt(register - reg.LVT_OTHERS.start >> 4, value)
        elif register == reg.SVR:
            self._write_svr(value)
        elif register == reg.ESR:
            state.esr, state.errors = state.errors, 0
        elif register == reg.LDR:
            state.ldr = value >> reg.LDR_SHIFT
        elif register == reg.DFR:
            state.dfr = value >> reg.DFR_SHIFT
        elif register == reg.DIVIDE:
            self._timer.write_divide(value)
        elif register not in reg.READ_ONLY:
            self._error(reg.ERROR_REGISTER)

    def _send(self, value: int) -> None:
        """An inter-processor interrupt."""
        state = self.state
        state.icr_low = value & reg.ICR_BITS
        mode, vector = value & reg.DELIVERY, value & LVT_VECTOR
        if mode in (FIXED, reg.LOWEST_PRIORITY) and vector < reg.FIRST_VECTOR:
            self._error(reg.ERROR_SEND_VECTOR)
            return
        if mode == reg.INIT and value & (reg.ICR_LEVEL | reg.ICR_ASSERT) == reg.ICR_LEVEL:
            return  # INIT de-assert, which APICs since the Pentium 4 ignore
        addressed = self._addressed(value)
        self._bus.send(mode, vector, False, addressed)
        if any(one is not self for one in addressed):
            self._cpu.sent()

    def _addressed(self, command: int) -> list[Member]:
        """Whom an interrupt command is for."""
        members = self._bus.members
        match command & reg.SHORTHAND:
            case reg.SHORTHAND_NONE:
                destination = self.state.icr_destination
                logical = bool(command & reg.ICR_LOGICAL)
                return [one for one in members if one.is_addressed(destination, logical)]
            case reg.SHORTHAND_SELF:
                return [self]
            case reg.SHORTHAND_ALL:
                return members
        return [one for one in members if one is not self]

    def _forced_mask(self) -> int:
        """While disabled by software all LVT entries stay masked."""
        return 0 if self.state.svr & reg.SVR_ENABLE else LVT_MASKED

    def _write_lvt(self, index: int, value: int) -> None:
        lvt = self.state.lvt
        kept = lvt[index] & reg.LVT_REMOTE_IRR
        value = value & reg.LVT_BITS[index] | self._forced_mask()
        if value & reg.LVT_LEVEL and value & reg.DELIVERY == FIXED:
            value |= kept
        lvt[index] = value
        self._retry_pins()
        self._update()

    def _write_svr(self, value: int) -> None:
        state = self.state
        state.svr = value & reg.SVR_BITS
        if not value & reg.SVR_ENABLE:
            state.lvt[:] = [entry | LVT_MASKED for entry in state.lvt]
            self._timer.write_lvt(state.timer.lvt | LVT_MASKED)
        self._update()

    def settle(self) -> None:
        """Take over the timer's state, arm it, and drive INTR."""
        self._timer.adopt(self.state.timer)
        self._asserted = priority.deliverable(self.state) > 0 or self._extint()
        self._intr.set(self._asserted)
