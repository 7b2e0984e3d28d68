# SPDX-License-Identifier: BSD-2-Clause
"""The two cascaded 8259A interrupt controllers of a PC, with the edge/level registers of PIIX.

Sources: Intel 8259A datasheet (231468); Intel 82371SB (PIIX3) datasheet for ELCR.
"""

from __future__ import annotations

from typing import ClassVar

from manager.bus.grants import NO_GRANTS, Grants
from manager.bus.lines import Line
from manager.bus.record import Record, nested
from manager.devices.device import Device
from manager.devices.pic.controller import Controller, ControllerState, Input
from manager.lazy import dataclass

CASCADE = 2
"""The master's input that the slave's INT drives; no device can have it."""
SPURIOUS = 7
"""The input whose vector is given when the request is gone by the time it is acknowledged."""

ELCR_MASTER = 0xF8  # IRQ 0, 1 and 2 are always edge triggered
ELCR_SLAVE = 0xDE  # and so are 8 and 13


@dataclass(slots=True)
class PicState(Record):
    """Both controllers."""

    TYPE: ClassVar[str] = "pic"

    master: ControllerState = nested(ControllerState, "IRQ 0 to 7")
    slave: ControllerState = nested(ControllerState, "IRQ 8 to 15")

    def contradiction(self) -> str:
        """Some inputs are edge triggered, whatever a guest writes."""
        if self.master.elcr & ~ELCR_MASTER or self.slave.elcr & ~ELCR_SLAVE:
            return "an input is level triggered that never is"
        return ""


class TriggerPorts:
    """ELCR: two read/write bytes, one per controller; a set bit makes the input level triggered."""

    __slots__ = ("_pic",)

    def __init__(self, pic: Pic) -> None:
        self._pic = pic

    def read_port(self, offset: int) -> int:
        """ELCR1 (master) at offset 0, ELCR2 (slave) at offset 1."""
        state = self._pic.state
        self._pic.grants.steady()
        return state.slave.elcr if offset else state.master.elcr

    def write_port(self, offset: int, value: int) -> None:
        """Bits of inputs that are always edge triggered stay 0."""
        if offset:
            self._pic.slave.set_trigger(value & ELCR_SLAVE)
        else:
            self._pic.master.set_trigger(value & ELCR_MASTER)


class Pic(Device[PicState]):
    """The pair. `master` is for ports 0x20-0x21, `slave` for 0xA0-0xA1, `elcr` for 0x4D0-0x4D1.

    `intr` goes to the CPU: high while a request is waiting, low with every acknowledge, and high
    again at once if there is another.
    """

    STATE = PicState

    def __init__(self, intr: Line, grants: Grants = NO_GRANTS) -> None:
        self._intr = intr
        self.grants = grants
        self.master = Controller(intr, 1 << CASCADE, grants)
        self.slave = Controller(Input(self.master, 1 << CASCADE), 0, grants)
        self.elcr = TriggerPorts(self)
        self.state = self.power_on()
        self.settle()

    def line(self, irq: int) -> Line:
        """The input for IRQ `irq`: 0-15 but 2. Raises ValueError for any other."""
        if irq not in range(16) or irq == CASCADE:
            raise ValueError(f"IRQ {irq} is no input of the interrupt controllers")
        return Input(self.slave if irq & 8 else self.master, 1 << (irq & 7))

    def acknowledge(self) -> int:
        """The CPU's INTA cycles: the vector (0-255) to take. Without a request a spurious one."""
        master, slave = self.master, self.slave
        irq = master.pending()
        if irq < 0:
            return master.state.vector | SPURIOUS
        master.take(irq)
        vector = master.state.vector | irq
        if irq == CASCADE:
            irq = slave.pending()
            if irq < 0:
                irq = SPURIOUS
            else:
                slave.take(irq)
                slave.update()
            vector = slave.state.vector | irq
        master.update()
        return vector

    def settle(self) -> None:
        """Take over both states and drive INTR."""
        state = self.state
        self.master.adopt(state.master, False)
        self.slave.adopt(state.slave, bool(state.master.pins & 1 << CASCADE))
        self.slave.update()
        self.master.asserted = self.master.pending() >= 0
        self._intr.set(self.master.asserted)
