# SPDX-License-Identifier: BSD-2-Clause
"""One 8259A interrupt controller. A PC has two (manager/devices/pic/device.py).

Source: Intel 8259A datasheet (231468). As on PIIX, ICW1's LTIM bit does nothing, ELCR replaces it,
and ICW3 is taken but fixed by the wiring.
"""

from __future__ import annotations

from typing import ClassVar

from manager.bus.grants import NO_GRANTS, Grants
from manager.bus.lines import Line
from manager.bus.record import Record, flag, integer, uint
from manager.lazy import dataclass

NOTHING = -1

# Port offset 0, written
ICW1 = 0x10
ICW1_IC4 = 0x01  # ICW4 will follow
ICW1_SNGL = 0x02  # no cascade: ICW3 will not follow
OCW3 = 0x08
OCW3_RIS = 0x01  # with RR: read ISR instead of IRR
OCW3_RR = 0x02
OCW3_P = 0x04  # the next read polls
OCW3_SMM = 0x20  # with ESMM: special mask mode on
OCW3_ESMM = 0x40
OCW2_LEVEL = 0x07
OCW2_EOI = 0x20
OCW2_SL = 0x40  # the level is in the low three bits
OCW2_R = 0x80  # rotate

# Port offset 1, written while initializing
ICW2_VECTOR = 0xF8
ICW4_AEOI = 0x02
ICW4_SFNM = 0x10

POLL_INTERRUPT = 0x80  # a polled request, number in the low three bits

# What a write to port offset 1 means: the next word of the initialization sequence.
READY = 0
AWAIT_ICW2 = 2
AWAIT_ICW3 = 3
AWAIT_ICW4 = 4


INPUTS = " ".join(f"IR{n}" for n in range(8))


@dataclass(slots=True)
class ControllerState(Record):
    """One 8259A."""

    TYPE: ClassVar[str] = "pic-controller"

    pins: int = uint(8, "levels of IR0 to IR7, one bit each", names=INPUTS)
    irr: int = uint(8, "interrupt request register: requests not yet acknowledged", names=INPUTS)
    isr: int = uint(8, "in-service register: acknowledged, EOI outstanding", names=INPUTS)
    imr: int = uint(8, "interrupt mask register: a set bit masks the input", names=INPUTS)
    elcr: int = uint(
        8, "inputs that are level triggered; the others are edge triggered", names=INPUTS
    )
    vector: int = uint(8, "vector of IR0, a multiple of 8 (ICW2)")
    highest: int = uint(3, "input that has the highest priority now")
    step: int = integer(0, 4, "0 initialized; 2, 3, 4: ICW2, ICW3, ICW4 is the next data write")
    icw4_follows: bool = flag("ICW1 announced an ICW4")
    single: bool = flag("ICW1 announced that no ICW3 comes")
    auto_eoi: bool = flag("an acknowledged interrupt does not stay in service (AEOI)")
    rotate_on_auto_eoi: bool = flag("an automatic EOI makes the input lowest in priority")
    special_fully_nested: bool = flag("the slave may interrupt while one of its own is in service")
    special_mask: bool = flag("a masked input in service does not hold back the others")
    read_isr: bool = flag("port offset 0 reads ISR, not IRR")
    poll: bool = flag("the next read acknowledges and reports the highest request")


class Controller:
    """One 8259A: its two ports, and the inputs and the output it has. Owned by a Pic."""

    __slots__ = ("_cascade", "_grants", "_output", "asserted", "state")

    def __init__(self, output: Line, cascade: int, grants: Grants = NO_GRANTS) -> None:
        """`cascade` is the mask of the input with a slave on it, or 0."""
        self._grants = grants
        self.state = ControllerState()
        self.asserted = False
        """Level of the INT output; follows from the state."""
        self._output = output
        self._cascade = cascade

    def pending(self) -> int:
        """The input whose request INT is asserted for, or NOTHING."""
        state = self.state
        requests = state.irr & ~state.imr
        if not requests or state.step:
            return NOTHING
        served = state.isr
        if state.special_mask:
            served &= ~state.imr
        if state.special_fully_nested:
            served &= ~self._cascade
        first = state.highest
        if first:
            requests = _rotate(requests, first)
            served = _rotate(served, first)
        request = requests & -requests
        if served and served & -served <= request:
            return NOTHING
        return request.bit_length() - 1 + first & 7

    def update(self) -> None:
        """Drive INT as the state says."""
        wanted = self.pending() >= 0
        if wanted != self.asserted:
            self.asserted = wanted
            self._output.set(wanted)

    def take(self, irq: int) -> None:
        """Acknowledge one input. INT falls with it; `update` raises it again if need be."""
        state = self.state
        bit = 1 << irq
        if not state.elcr & bit:
            state.irr &= ~bit
        if not state.auto_eoi:
            state.isr |= bit
        elif state.rotate_on_auto_eoi:
            state.highest = irq + 1 & 7
        self.asserted = False
        self._output.set(False)

    def adopt(self, state: ControllerState, asserted: bool) -> None:
        """Work on another state from now on, INT being at the level given."""
        self.state = state
        self.asserted = asserted

    def read_port(self, offset: int) -> int:
        """Poll byte if one was asked for; else IRR or ISR at offset 0, IMR at offset 1."""
        state = self.state
        if state.poll:
            state.poll = False
            return self._poll()
        self._grants.steady()
        if offset:
            return state.imr
        return state.isr if state.read_isr else state.irr

    def _poll(self) -> int:
        irq = self.pending()
        if irq < 0:
            return 0
        self.take(irq)
        self.update()
        return POLL_INTERRUPT | irq

    def write_port(self, offset: int, value: int) -> None:
        """ICW1, OCW2 and OCW3 at offset 0, told apart by bits 4 and 3; the others at offset 1."""
        if offset:
            self._write_data(value)
        elif value & ICW1:
            self._initialize(value)
        elif value & OCW3:
            self._operate(value)
        else:
            self._end_of_interrupt(value)
        self.update()

    def _write_data(self, value: int) -> None:
        state = self.state
        if state.step == READY:
            state.imr = value
        elif state.step == AWAIT_ICW2:
            state.vector = value & ICW2_VECTOR
            state.step = AWAIT_ICW3 if not state.single else self._after_icw3()
        elif state.step == AWAIT_ICW3:
            state.step = self._after_icw3()
        else:
            state.auto_eoi = bool(value & ICW4_AEOI)
            state.special_fully_nested = bool(value & ICW4_SFNM)
            state.step = READY

    def _after_icw3(self) -> int:
        return AWAIT_ICW4 if self.state.icw4_follows else READY

    def _initialize(self, value: int) -> None:
        state = self.state
        # The edge latches are cleared: an input must fall and rise to request again.
        state.irr = state.pins & state.elcr
        state.isr = state.imr = state.highest = 0
        state.auto_eoi = state.special_fully_nested = state.rotate_on_auto_eoi = False
        state.special_mask = state.read_isr = state.poll = False
        state.icw4_follows = bool(value & ICW1_IC4)
        state.single = bool(value & ICW1_SNGL)
        state.step = AWAIT_ICW2

    def _operate(self, value: int) -> None:
        state = self.state
        if value & OCW3_P:
            state.poll = True
        elif value & OCW3_RR:
            state.read_isr = bool(value & OCW3_RIS)
        if value & OCW3_ESMM:
            state.special_mask = bool(value & OCW3_SMM)

    def _end_of_interrupt(self, value: int) -> None:
        state = self.state
        rotate = bool(value & OCW2_R)
        if not value & OCW2_EOI:
            if not value & OCW2_SL:
                state.rotate_on_auto_eoi = rotate
            elif rotate:  # set priority
                state.highest = value + 1 & 7
            return
        irq = value & OCW2_LEVEL if value & OCW2_SL else self._highest_in_service()
        if irq >= 0:
            state.isr &= ~(1 << irq)
            if rotate:
                state.highest = irq + 1 & 7

    def _highest_in_service(self) -> int:
        state = self.state
        # In special mask mode a masked input takes a specific EOI only.
        served = state.isr & ~state.imr if state.special_mask else state.isr
        served = _rotate(served, state.highest)
        if not served:
            return NOTHING
        return (served & -served).bit_length() - 1 + state.highest & 7

    def set_trigger(self, elcr: int) -> None:
        """Make the inputs in the mask level triggered and the others edge triggered."""
        state = self.state
        state.elcr = elcr
        state.irr |= state.pins & elcr
        self.update()


class Input:
    """One interrupt input; idempotent, so that driving it again after a restore is no edge."""

    __slots__ = ("_bit", "_controller")

    def __init__(self, controller: Controller, bit: int) -> None:
        self._controller = controller
        self._bit = bit

    def set(self, level: bool) -> None:
        """Drive the pin. A request that is withdrawn before its acknowledge is gone."""
        controller, bit = self._controller, self._bit
        state = controller.state
        if bool(state.pins & bit) == level:
            return
        state.pins ^= bit
        if level:
            state.irr |= bit
        else:
            state.irr &= ~bit
        controller.update()


def _rotate(bits: int, by: int) -> int:
    """Eight bits rotated right."""
    return (bits >> by | bits << 8 - by) & 0xFF
