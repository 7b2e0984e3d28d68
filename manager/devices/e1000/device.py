# SPDX-License-Identifier: BSD-2-Clause
"""An 82540EM in a PCI slot: registers in memory, and two I/O ports that reach them as well."""

from __future__ import annotations

from manager.bus.clock import Clock
from manager.bus.ethernet import Cable
from manager.bus.pci import PciConfigState, PciHeader, PciSlot
from manager.bus.record import Record, nested
from manager.devices.card import PciCard
from manager.devices.device import Takes
from manager.devices.e1000.controller import Controller
from manager.devices.e1000.eeprom import Eeprom, content
from manager.devices.e1000.registers import IO_ADDRESS, IO_DATA, PORTS_BAR, REGISTERS_BAR
from manager.devices.e1000.state import ControllerState
from manager.devices.nic_port import NicPortState
from manager.lazy import dataclass

PACKET_BUFFER = 0x10000
"""The I/O ports reach the registers below it."""


@dataclass(slots=True)
class E1000State(Record):
    """An 82540EM."""

    TYPE = "e1000"

    config: PciConfigState = nested(PciConfigState, "configuration header")
    controller: ControllerState = nested(ControllerState, "registers and rings")
    port: NicPortState = nested(NicPortState, "link, and frames on their way in")


class E1000(PciCard[E1000State]):
    """The controller behind its function."""

    STATE = E1000State

    def __init__(
        self, header: PciHeader, slot: PciSlot, clock: Clock, cable: Cable, address: bytes
    ) -> None:
        who = header.identity
        eeprom = Eeprom(content(address, who.vendor, who.device, who.subsystem_device))
        self.controller = Controller(slot.dma, clock, cable, self, eeprom, address)
        super().__init__(header, slot, {REGISTERS_BAR: self.controller, PORTS_BAR: self})
        self.load(self.power_on())

    def power_on(self) -> E1000State:
        """The cable stays as it is."""
        record = super().power_on()
        record.controller = self.controller.power_on()
        record.port = self.controller.port.power_on()
        return record

    def load(self, record: E1000State) -> None:
        """Take over all parts before any drives its line."""
        self.controller.adopt(record.controller)
        self.controller.port.adopt(record.port)
        super().load(record)

    def settle(self) -> None:
        """Claim the BARs, set timers and line."""
        super().settle()
        self.controller.settle()

    def takes(self) -> Takes:
        """What the port takes."""
        return self.controller.port.takes()

    # -- ports --------------------------------------------------------------------------------

    def read_wide(self, offset: int, size: int) -> int:
        """IN: the register's offset, or its value."""
        selected = self.state.controller.selected
        if size == 4 and offset == IO_ADDRESS:
            return selected
        if size == 4 and offset == IO_DATA and _is_register(selected):
            return self.controller.read_mmio(selected, 4)
        return 0

    def write_wide(self, offset: int, size: int, value: int) -> None:
        """OUT, of 32 bits."""
        state = self.state.controller
        if size == 4 and offset == IO_ADDRESS:
            state.selected = value
        elif size == 4 and offset == IO_DATA and _is_register(state.selected):
            self.controller.write_mmio(state.selected, 4, value)


def _is_register(offset: int) -> bool:
    return offset < PACKET_BUFFER and not offset & 3
