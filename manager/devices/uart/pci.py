# SPDX-License-Identifier: BSD-2-Clause
"""A 16550A as a PCI function: eight I/O ports behind a BAR, a level-triggered INTx pin.

Unlike on an ISA card, OUT2 does not gate the interrupt.
"""

from __future__ import annotations

from manager.bus.channel import Channel
from manager.bus.clock import Clock
from manager.bus.grants import NO_GRANTS, Grants
from manager.bus.lines import Line
from manager.bus.pci import PciConfigState, PciFunction, PciHeader, PciSlot
from manager.bus.pci.state import upgrade_nested
from manager.bus.ports import PortBus
from manager.bus.record import Record, nested
from manager.devices.device import Device, Takes
from manager.devices.uart.pace import Pace
from manager.devices.uart.registers import REGISTERS
from manager.devices.uart.uart16550 import INSTANT, Uart16550, Uart16550State
from manager.lazy import dataclass


@dataclass(slots=True)
class PciUartState(Record):
    """A PCI uart: its configuration header and its registers."""

    TYPE = "pci-uart"
    VERSION = 2
    UPGRADES = {1: upgrade_nested(1)}

    config: PciConfigState = nested(PciConfigState, "configuration header")
    uart: Uart16550State = nested(Uart16550State, "the uart behind the BARs")


class PciUart(Device[PciUartState]):
    """A uart whose ports the guest can move. Every BAR of the header leads to the same uart.

    `function` is what `PciBus.attach` takes. `line` is what the interrupt pin is wired to; for the
    clock input see Uart16550.
    """

    STATE = PciUartState

    def __init__(
        self,
        header: PciHeader,
        ports: PortBus,
        line: Line,
        channel: Channel,
        clock: Clock,
        pace: Pace = INSTANT,
        grants: Grants = NO_GRANTS,
    ) -> None:
        behind = {bar.index: self for bar in header.bars}
        self.function = PciFunction(header, PciSlot(ports=ports, line=line), behind)
        self.uart = Uart16550(self.function, channel, clock, pace, grants)
        self.load(self.power_on())

    def power_on(self) -> PciUartState:
        """BARs and command register as the header says firmware left them."""
        return PciUartState(config=self.function.power_on(), uart=self.uart.power_on())

    def load(self, record: PciUartState) -> None:
        """Take over both halves before either drives the line."""
        self.function.state = record.config
        self.uart.state = record.uart
        super().load(record)

    def reset(self) -> None:
        """Power-on state, BARs back in their first place."""
        super().reset()
        self.input_ready()

    def settle(self) -> None:
        """Drive the line, set the time-out, claim the ports."""
        self.uart.settle()
        self.function.settle()

    def input_ready(self) -> None:
        """The channel has something: take as much as there is room for."""
        self.uart.input_ready()

    def takes(self) -> Takes:
        """What the uart takes."""
        return self.uart.takes()

    def read_port(self, offset: int) -> int:
        """IN from the port at `offset` in a BAR; past the registers nothing answers."""
        return self.uart.read(offset) if offset < REGISTERS else 0xFF

    def write_port(self, offset: int, value: int) -> None:
        """OUT to the port at `offset` in a BAR."""
        if offset < REGISTERS:
            self.uart.write(offset, value)
