# SPDX-License-Identifier: BSD-2-Clause
"""A device of a user's own that grants all that can be granted, on ports and in memory.

Tests copy it beside a machine file; a line with a mark behind it is one that they break.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from manager.bus.record import Record, moment, octets, uint
from manager.config.table import DeviceTable
from manager.devices.claims import MemoryRange, PortRange
from manager.devices.device import Device
from manager.devices.node import DeviceNode, Place
from manager.devices.services import Services

PERIOD = 70_000
MOST = 40
PORTS, WIDE, MEMORY = 0x340, 0x350, 0xE000_0000
LOG, LATCH, COUNT, FLUSH, CLOCK, NOTHING = range(6)


class GrantingTable(DeviceTable):
    """No keys."""


@dataclass(slots=True)
class GrantingState(Record):
    """What it remembers."""

    TYPE: ClassVar[str] = "granting"

    log: bytearray = octets(0, MOST, "what was written")
    lost: int = uint(32, "bytes for which there was no room")
    digest: int = uint(32, "of what was flushed")
    latch: int = uint(32, "written, and counted up by a timer")
    count: int = uint(8, "how often COUNT was read")
    due: int = moment("when it counts next")


class Granting(Device[GrantingState]):
    """Six byte ports, four wide ones, and the same in memory."""

    STATE = GrantingState

    def __init__(self, board: Services) -> None:
        self._clock = board.clock
        self._grants = board.grants
        self._timer = board.clock.timer(self._tick)
        self.load(self.power_on())

    def settle(self) -> None:
        """Arm the timer."""
        self._timer.arm(self.state.due)

    def _tick(self) -> None:
        self.state.latch = self.state.latch + 1 & 0xFFFF_FFFF
        self.state.due += PERIOD
        self.settle()

    def _add(self, size: int, value: int) -> None:
        state = self.state
        if len(state.log) + size > MOST:
            state.lost += size
            return
        state.log += value.to_bytes(size, "little")
        self._grants.absorb(state.log, MOST, size)  # most

    def read_port(self, offset: int) -> int:
        """One of the registers above."""
        state = self.state
        if offset == LOG:
            return len(state.log)  # absorbed writes change it
        if offset == LATCH:
            self._grants.steady()
            return state.latch & 0xFF
        if offset == COUNT:
            state.count = state.count + 1 & 0xFF
            return state.count
        if offset == CLOCK:
            return self._clock.now() >> 10 & 0xFF  # time changes it
        return 0xFF

    def write_port(self, offset: int, value: int) -> None:
        """One of the registers above."""
        state = self.state
        if offset == LOG:
            self._add(1, value)
        elif offset == LATCH:
            state.latch = state.latch & ~0xFF | value
        elif offset == FLUSH:
            for byte in state.log:
                state.digest = state.digest * 31 + byte & 0xFFFF_FFFF
            state.log.clear()
        elif offset == NOTHING:
            self._grants.absorb(None)

    def read_wide(self, offset: int, size: int) -> int:
        """The latch, as wide as it is asked."""
        self._grants.steady(size)
        return self.state.latch >> 8 * offset & (1 << 8 * size) - 1

    def write_wide(self, offset: int, size: int, value: int) -> None:
        """To the log, as wide as it comes."""
        self._add(size, value)

    def read_mmio(self, offset: int, size: int) -> int:
        """The latch again, and a count."""
        if offset < 4:
            return self.read_wide(offset, size)
        return self.read_port(COUNT)

    def write_mmio(self, offset: int, size: int, value: int) -> None:
        """To the log, or to the latch."""
        if offset < 4:
            self._add(size, value)
        else:
            self.state.latch = value & 0xFFFF_FFFF


class Bytes:
    """The byte ports alone."""

    def __init__(self, device: Granting) -> None:
        self.read_port = device.read_port
        self.write_port = device.write_port


class GrantingNode(DeviceNode):
    """The device."""

    __slots__ = ()

    SECTION = "lpc"

    @classmethod
    def table(cls) -> type[GrantingTable]:
        """No keys."""
        return GrantingTable

    @classmethod
    def claim(cls, table: GrantingTable, place: Place) -> GrantingNode:
        """Fixed places."""
        ports = (PortRange(PORTS, 6), PortRange(WIDE, 4))
        return cls(*place, ports=ports, memory=(MemoryRange(MEMORY, 0x10),))

    def build(self, board: Services) -> Granting:
        """The device at all its places."""
        device = Granting(board)
        board.claim(self.ports[0], Bytes(device))
        board.claim(self.ports[1], device)
        board.map(self.memory[0], device)
        return device
