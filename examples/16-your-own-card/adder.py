# SPDX-License-Identifier: BSD-2-Clause
"""A PCI card that adds up bytes of RAM. BAR 0 has its registers, 32 bits each."""

from dataclasses import dataclass

from manager.bus.pci import Msi, MsiState, PciConfigState
from manager.bus.record import NEVER, Record, moment, nested, uint
from manager.devices.card import PciCard
from manager.devices.claims import UNPLACED, MemoryBar, PciIdentity
from manager.devices.node import DeviceNode

ADDRESS, LENGTH, SUM = 0, 4, 8  # writing the length starts the card
MOST = 4096  # bytes
PACE = 30_000_000  # ns for each of them


@dataclass(slots=True)
class AdderState(Record):
    """All that the card remembers."""

    TYPE = "adder"

    config: PciConfigState = nested(PciConfigState, "configuration header")
    msi: MsiState = nested(MsiState, "its interrupt")
    address: int = uint(32, "where the bytes are")
    length: int = uint(32, "how many there are")
    sum: int = uint(32, "what they come to")
    done_at: int = moment("when that is known", NEVER)


class Adder(PciCard[AdderState]):
    """Takes its time for each byte, then interrupts."""

    STATE = AdderState

    def __init__(self, header, slot, clock):
        super().__init__(header, slot, {0: self}, msi=Msi())
        self.clock = clock
        self.timer = clock.timer(self.finish)
        self.load(self.power_on())

    def settle(self):
        super().settle()
        self.timer.arm(self.state.done_at)

    def read_mmio(self, offset, size):
        state = self.state
        registers = {ADDRESS: state.address, LENGTH: state.length, SUM: state.sum}
        return registers.get(offset, 0) & (1 << 8 * size) - 1  # 1, 2 or 4 bytes of it

    def write_mmio(self, offset, size, value):
        if offset == ADDRESS:
            self.state.address = value
        elif offset == LENGTH:
            self.state.length = min(value, MOST)
            self.state.done_at = self.clock.now() + self.state.length * PACE
            self.settle()

    def finish(self):
        self.state.sum = sum(self.dma.read(self.state.address, self.state.length))
        self.state.done_at = NEVER
        self.function.signal(0)


class AdderNode(DeviceNode):
    """What a machine file, `plan` and snapshots know of the card."""

    SECTION = "slots"

    @classmethod
    def claim(cls, table, place):
        identity = PciIdentity(vendor=0x1234, device=0xADD0, class_code=0xFF0000)
        return cls(*place, pci=identity, memory_bars=(MemoryBar(0, UNPLACED, 0x1000),))

    def build(self, board):
        card = Adder(board.header(), board.slot(), board.clock)
        board.attach(card.function)
        return card

    @staticmethod
    def about(state):
        return f"adds {state['length']} bytes from {state['address']:#x} up"
