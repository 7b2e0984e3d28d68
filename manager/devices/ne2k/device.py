# SPDX-License-Identifier: BSD-2-Clause
"""An NE2000 in a PCI slot: 32 I/O ports for the controller, remote DMA and reset."""

from __future__ import annotations

from manager.bus.clock import Clock
from manager.bus.ethernet import Cable
from manager.bus.pci import PciConfigState, PciHeader, PciSlot
from manager.bus.record import Record, nested
from manager.devices.card import PciCard
from manager.devices.device import Takes
from manager.devices.ne2k.dp8390 import Dp8390
from manager.devices.ne2k.memory import BoardMemory, BoardState
from manager.devices.ne2k.registers import DATA, PORTS_BAR, RESET
from manager.devices.ne2k.state import Dp8390State
from manager.devices.nic_port import NicPortState
from manager.lazy import dataclass


@dataclass(slots=True)
class Ne2kState(Record):
    """An NE2000."""

    TYPE = "ne2k"

    config: PciConfigState = nested(PciConfigState, "configuration header")
    controller: Dp8390State = nested(Dp8390State, "the DP8390")
    memory: BoardState = nested(BoardState, "the memory on the board")
    port: NicPortState = nested(NicPortState, "link, and frames on their way in")


class Ne2k(PciCard[Ne2kState]):
    """The board behind its function."""

    STATE = Ne2kState

    def __init__(
        self, header: PciHeader, slot: PciSlot, clock: Clock, cable: Cable, address: bytes
    ) -> None:
        self.memory = BoardMemory(address)
        self.controller = Dp8390(clock, cable, self.memory, self)
        super().__init__(header, slot, {PORTS_BAR: self})
        self.load(self.power_on())

    def power_on(self) -> Ne2kState:
        """The cable stays as it is."""
        record = super().power_on()
        record.port = self.controller.port.power_on()
        return record

    def load(self, record: Ne2kState) -> None:
        """Take over all parts before any drives its line."""
        self.controller.state = record.controller
        self.controller.port.adopt(record.port)
        self.memory.state = record.memory
        super().load(record)

    def settle(self) -> None:
        """Claim the BAR, set timers and line."""
        super().settle()
        self.controller.settle()

    def takes(self) -> Takes:
        """What the port takes."""
        return self.controller.port.takes()

    # -- ports --------------------------------------------------------------------------------

    def read_wide(self, offset: int, size: int) -> int:
        """IN: wide accesses are for remote DMA, others are bytes one after the other."""
        if DATA <= offset < RESET:
            return self.controller.read_data(size)
        return sum(self._read(offset + n) << 8 * n for n in range(size))

    def _read(self, offset: int) -> int:
        if offset < DATA:
            return self.controller.read(offset)
        if offset >= RESET:
            self.controller.reset()
        return 0

    def write_wide(self, offset: int, size: int, value: int) -> None:
        """OUT: as for IN."""
        if DATA <= offset < RESET:
            self.controller.write_data(size, value)
            return
        for n in range(size):
            if offset + n < DATA:
                self.controller.write(offset + n, value >> 8 * n & 0xFF)
