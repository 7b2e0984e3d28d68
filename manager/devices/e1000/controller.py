# SPDX-License-Identifier: BSD-2-Clause
"""An 82540EM: its registers, its interrupt, its link.

Source: 317453 (registers.py). Interrupts come at once: ITR and the delay timers are kept, and
nothing waits for them.
"""

from __future__ import annotations

import struct
from dataclasses import fields

from manager.bus.clock import Clock
from manager.bus.dma import Dma
from manager.bus.ethernet import Cable
from manager.bus.lines import Line
from manager.bus.record import NEVER
from manager.devices.e1000 import phy, statistics
from manager.devices.e1000 import registers as e1000
from manager.devices.e1000.eeprom import Eeprom
from manager.devices.e1000.receive import Receiver
from manager.devices.e1000.state import DESCRIPTOR, PHY_REGISTERS, ControllerState, RingState
from manager.devices.e1000.transmit import MOST_BYTES, Transmitter
from manager.devices.nic_port import NicPort, frame_time

RING_LENGTH = 0xFFF80
_TABLES = (
    (e1000.GROUPS, e1000.GROUPS_END, "groups"),
    (e1000.ADDRESSES, e1000.ADDRESSES_END, "addresses"),
    (e1000.VLANS, e1000.VLANS_END, "vlans"),
)


class Controller:
    """The registers in BAR 0, for `MmioDevice`; `line` is the interrupt."""

    def __init__(
        self, dma: Dma, clock: Clock, cable: Cable, line: Line, eeprom: Eeprom, address: bytes
    ) -> None:
        self.state = ControllerState()
        self.port = NicPort(self, clock, cable)
        self._eeprom = eeprom
        self._address = address
        self._clock = clock
        self._line = line
        self._receiver = Receiver(dma)
        self._transmitter = Transmitter(dma, self._send)
        self._timer = clock.timer(self._due)

    def power_on(self) -> ControllerState:
        """The registers after a reset: the first address comes from the EEPROM."""
        low, high = struct.unpack("<IH", self._address)
        state = ControllerState(phy=phy.at_reset(PHY_REGISTERS))
        state.addresses[:2] = low, high | e1000.ADDRESS_VALID
        return state

    def adopt(self, state: ControllerState) -> None:
        """Take over a state."""
        self.state = self._receiver.state = self._transmitter.state = state
        self._eeprom.state = state.eeprom

    def settle(self) -> None:
        """Make timers and line agree with the record."""
        if self.state.due == NEVER:
            self._timer.disarm()
        else:
            self._timer.arm(self.state.due)
        self.port.settle()
        self._drive()

    def reset(self) -> None:
        """What the driver's reset does; the PHY and the I/O ports stay as they are."""
        state, fresh = self.state, self.power_on()
        for item in fields(ControllerState):
            if item.name not in ("phy", "selected"):
                setattr(state, item.name, getattr(fresh, item.name))
        self.port.drop()
        self.adopt(state)
        self.settle()

    # -- registers ------------------------------------------------------------------------------

    def read_mmio(self, offset: int, size: int) -> int:
        """Read 1, 2 or 4 bytes."""
        value = self._read(offset & ~3) >> 8 * (offset & 3)
        return value & (1 << 8 * size) - 1

    def write_mmio(self, offset: int, size: int, value: int) -> None:
        """Write a whole register; parts of one are dropped."""
        if size == 4:
            self._write(offset, value)

    def _read(self, offset: int) -> int:
        state = self.state
        if offset == e1000.ICR:
            found, state.causes = state.causes, 0
            self._drive()
            return found
        if (name := e1000.PLAIN.get(offset)) is not None:
            plain: int = getattr(state, name)
            return plain
        if e1000.STATISTICS <= offset < e1000.STATISTICS_END:
            return statistics.read(state.counters, (offset - e1000.STATISTICS) // 4)
        if (ring := self._ring(offset)) is not None:
            return _read_ring(ring, offset & 0xFF)
        for start, end, table in _TABLES:
            if start <= offset < end:
                entries: list[int] = getattr(state, table)
                return entries[(offset - start) // 4]
        return self._read_special(offset)

    def _read_special(self, offset: int) -> int:
        state = self.state
        if offset in (e1000.CTRL, e1000.CTRL_COPY):
            return state.control
        if offset == e1000.STATUS:
            return e1000.STATUS_ALWAYS | (e1000.STATUS_LINK if self._has_link() else 0)
        if offset == e1000.EECD:
            return self._eeprom.read_lines()
        if offset == e1000.EERD:
            return state.eeprom.read
        if offset == e1000.MDIC:
            return state.mdi
        return state.mask if offset == e1000.IMS else 0

    def _write(self, offset: int, value: int) -> None:
        state = self.state
        if (name := e1000.PLAIN.get(offset)) is not None:
            setattr(state, name, value & ~e1000.RESERVED.get(name, 0))
            if offset == e1000.TCTL:
                self._begin()
            elif offset == e1000.RCTL:
                self.port.has_room()
        elif offset == e1000.IMS:
            state.mask |= value & e1000.CAUSES
            self._drive()
        elif offset == e1000.IMC:
            state.mask &= ~value
            self._drive()
        elif offset == e1000.ICS:
            self._raise(value)
        elif offset == e1000.ICR:
            state.causes &= ~value
            self._drive()
        elif (ring := self._ring(offset)) is not None:
            _write_ring(ring, offset & 0xFF, value)
            self._begin()
            self.port.has_room()
        else:
            self._write_special(offset, value)

    def _write_special(self, offset: int, value: int) -> None:
        state = self.state
        if offset in (e1000.CTRL, e1000.CTRL_COPY):
            self._control(value)
        elif offset == e1000.EECD:
            self._eeprom.write_lines(value)
        elif offset == e1000.EERD:
            self._eeprom.write_read(value)
        elif offset == e1000.MDIC:
            self._manage(value)
        for start, end, table in _TABLES:
            if start <= offset < end:
                getattr(state, table)[(offset - start) // 4] = value

    def _ring(self, offset: int) -> RingState | None:
        for base, ring in (
            (e1000.RECEIVE_RING, self.state.receive),
            (e1000.TRANSMIT_RING, self.state.transmit),
        ):
            if base <= offset < base + e1000.RING_END:
                return ring
        return None

    def _control(self, value: int) -> None:
        linked = self._has_link()
        if value & e1000.CTRL_PHY_RESET:
            self.state.phy = phy.at_reset(PHY_REGISTERS)
        if value & e1000.CTRL_RESET:
            self.reset()
            return
        self.state.control = value & ~e1000.CTRL_PHY_RESET
        self._link_may_have_changed(linked)

    def _manage(self, value: int) -> None:
        """A read or write of the PHY, which is over at once."""
        linked = self._has_link()
        number = value >> phy.REGISTER_SHIFT & PHY_REGISTERS - 1
        there = value >> phy.ADDRESS_SHIFT & PHY_REGISTERS - 1 == phy.ADDRESS
        value &= ~phy.ERROR
        if not there:
            value |= phy.ERROR
        elif value & phy.READ:
            found = phy.read(self.state.phy, number, self._is_plugged())
            value = value & ~phy.DATA | found
        elif value & phy.WRITE:
            phy.write(self.state.phy, number, value & phy.DATA)
        self.state.mdi = value | phy.READY
        if value & phy.INTERRUPT:
            self._raise(e1000.MDIO_DONE)
        self._link_may_have_changed(linked)

    # -- interrupt and link -----------------------------------------------------------------------

    def _drive(self) -> None:
        self._line.set(bool(self.state.causes & self.state.mask))

    def _raise(self, causes: int) -> None:
        self.state.causes |= causes & e1000.CAUSES
        self._drive()

    def _is_plugged(self) -> bool:
        return self.port.state.up and not phy.is_down(self.state.phy)

    def _has_link(self) -> bool:
        return self._is_plugged() and bool(self.state.control & e1000.CTRL_SET_LINK_UP)

    def _link_may_have_changed(self, before: bool) -> None:
        if self._has_link() != before:
            self._raise(e1000.LINK_CHANGED)

    def link_changed(self) -> None:
        """The driver is to look, if it could see a link."""
        if self.state.control & e1000.CTRL_SET_LINK_UP and not phy.is_down(self.state.phy):
            self._raise(e1000.LINK_CHANGED)

    # -- out --------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Take the next packet, unless one is under way."""
        state = self.state
        if state.due != NEVER or not state.transmit_control & e1000.TRANSMIT_ENABLE:
            return
        length = self._transmitter.next_length()
        if length is not None:
            state.due = self._clock.now() + frame_time(min(length, MOST_BYTES))
            self._timer.arm(state.due)

    def _due(self) -> None:
        state = self.state
        state.due = NEVER
        if state.transmit_control & e1000.TRANSMIT_ENABLE:
            causes = e1000.SENT if self._transmitter.send_next() else 0
            self._begin()
            self._raise(causes | (0 if state.transmit.available else e1000.QUEUE_EMPTY))

    def _send(self, frame: bytes) -> None:
        if self.state.receive_control & e1000.LOOPBACK:
            self.port.arrive(frame)
        elif self._has_link():
            self.port.send(frame)

    # -- in ---------------------------------------------------------------------------------------

    def listens(self) -> bool:
        """Whether the receiver is on."""
        return bool(self.state.receive_control & e1000.RECEIVE_ENABLE)

    def receive(self, frame: bytes) -> bool:
        """Take a frame in; it waits while there are not enough buffers."""
        if self.listens():
            causes = self._receiver.receive(frame)
            if causes is None:
                return False
            self._raise(causes)
        return True


def _read_ring(ring: RingState, offset: int) -> int:
    return {
        e1000.BASE_LOW: ring.base & 0xFFFF_FFFF,
        e1000.BASE_HIGH: ring.base >> 32,
        e1000.LENGTH: ring.length,
        e1000.HEAD: ring.head,
        e1000.TAIL: ring.tail,
    }.get(offset, 0)


def _write_ring(ring: RingState, offset: int, value: int) -> None:
    if offset == e1000.BASE_LOW:
        ring.base = ring.base >> 32 << 32 | value & -DESCRIPTOR & 0xFFFF_FFFF
    elif offset == e1000.BASE_HIGH:
        ring.base = ring.base & 0xFFFF_FFFF | value << 32
    elif offset == e1000.LENGTH:
        ring.length = value & RING_LENGTH
    elif offset == e1000.HEAD:
        ring.head = value & 0xFFFF
    elif offset == e1000.TAIL:
        ring.tail = value & 0xFFFF
