# SPDX-License-Identifier: BSD-2-Clause
"""A DP8390, the controller of an NE2000: registers, remote DMA, frames out and in.

Source: DP8390D datasheet (registers.py). A frame takes the time that it has on a wire of 10 Mbit/s.
What comes in while the ring is full is lost, as there. It has no register for the state of the
link: frames that are sent without one have lost their carrier.
"""

from __future__ import annotations

from manager.bus.clock import Clock
from manager.bus.ethernet import ADDRESS, MAX_FRAME, Cable, checksum
from manager.bus.lines import Line
from manager.bus.record import NEVER
from manager.devices.ne2k import registers as ne
from manager.devices.ne2k import ring
from manager.devices.ne2k.memory import PAGE, BoardMemory
from manager.devices.ne2k.state import Dp8390State
from manager.devices.nic_port import NicPort

BYTE_TIME = 800
"""ns, at 10 Mbit/s."""
WIRE_EXTRA = 24
"""Bytes of preamble, checksum and the gap between frames."""
TAIL = 3
"""Bytes that the FIFO has of a frame's length after what is left of the frame."""


def wire_time(length: int) -> int:
    """How many ns a frame of so many bytes takes."""
    return BYTE_TIME * (length + WIRE_EXTRA)


class Dp8390:
    """The controller on a board with `memory`, plugged into `cable`; `line` is its interrupt."""

    def __init__(self, clock: Clock, cable: Cable, memory: BoardMemory, line: Line) -> None:
        self.state = Dp8390State()
        self.port = NicPort(self, clock, cable, wire_time)
        self._memory = memory
        self._clock = clock
        self._line = line
        self._timer = clock.timer(self._sent)

    def settle(self) -> None:
        """Make timers and line agree with the record."""
        if self.state.due == NEVER:
            self._timer.disarm()
        else:
            self._timer.arm(self.state.due)
        self.port.settle()
        self._drive()

    def reset(self) -> None:
        """A reset by the board: the registers that the datasheet names, and what is under way."""
        state = self.state
        state.command = ne.STOP | ne.REMOTE_ABORT
        state.interrupts |= ne.IN_RESET
        state.mask = 0
        state.transmit_configuration &= ~ne.LOOPBACK
        state.due = NEVER
        self._timer.disarm()
        self.port.drop()
        self._drive()

    def _drive(self) -> None:
        self._line.set(bool(self.state.interrupts & self.state.mask))

    def _raise(self, reasons: int) -> None:
        self.state.interrupts |= reasons
        self._drive()

    # -- registers ------------------------------------------------------------------------------

    def read(self, offset: int) -> int:
        """Read one of the 16 registers of the page that is selected."""
        state = self.state
        page = state.command >> ne.PAGE_SHIFT
        if offset == ne.COMMAND:
            return state.command
        if (found := ne.READ[page].get(offset)) is not None:
            name, shift = found
            value: int = getattr(state, name)
            return value >> shift & 0xFF
        if page == 0:
            return self._read_and_change(offset)
        if page == 1:
            if offset >= ne.MULTICAST:
                return state.multicast[offset - ne.MULTICAST]
            return state.physical[offset - ne.PHYSICAL]
        return ne.CONSTANT.get((page, offset), 0)

    def _read_and_change(self, offset: int) -> int:
        """The registers of page 0 that a read changes; the tallies have a page of their own."""
        state = self.state
        if offset == ne.FIFO:
            value = state.fifo[state.fifo_at]
            state.fifo_at = state.fifo_at + 1 & 7
            return value
        if offset >= ne.COUNTERS:
            value = state.tallies[offset - ne.COUNTERS]
            state.tallies[offset - ne.COUNTERS] = 0
            return value
        return ne.CONSTANT.get((0, offset), 0)

    def write(self, offset: int, value: int) -> None:
        """Write one of the 16 registers of the page that is selected."""
        state = self.state
        page = state.command >> ne.PAGE_SHIFT
        if offset == ne.COMMAND:
            self._command(value)
        elif (found := ne.WRITE[page].get(offset)) is not None:
            name, shift = found
            before: int = getattr(state, name)
            now = before & ~(0xFF << shift) | value << shift
            setattr(state, name, now & ne.WRITABLE.get(name, 0xFFFF))
            self._drive()
        elif page == 0 and offset == ne.INTERRUPT_STATUS:
            state.interrupts &= ~value | ne.IN_RESET
            self._drive()
        elif page == 1 and offset >= ne.MULTICAST:
            state.multicast[offset - ne.MULTICAST] = value
        elif page == 1:
            state.physical[offset - ne.PHYSICAL] = value
        elif page == 3:
            self._configure(offset, value)

    def _configure(self, offset: int, value: int) -> None:
        """Registers of the RTL8029AS: writable while 9346CR says so."""
        state = self.state
        if offset == ne.EEPROM_COMMAND:
            state.eeprom_command = value & ne.CONFIG_WRITABLE
        elif state.eeprom_command == ne.CONFIG_WRITABLE and offset == ne.CONFIG2:
            state.config2 = value & ne.CONFIG2_BITS
        elif state.eeprom_command == ne.CONFIG_WRITABLE and offset == ne.CONFIG3:
            state.config3 = value & ne.CONFIG3_BITS

    def _command(self, value: int) -> None:
        state = self.state
        sending, started = state.command & ne.TRANSMIT, state.command & ne.START
        state.command = value & ~ne.TRANSMIT | sending
        if value & ne.STOP:
            state.command &= ~ne.START
            state.interrupts |= ne.IN_RESET
            self.port.drop()
        else:
            state.command |= started  # only STOP ends it, and a reset
        if state.command & ne.START:
            state.interrupts &= ~ne.IN_RESET
        if value & ne.TRANSMIT and not sending and not value & ne.STOP:
            state.command |= ne.TRANSMIT
            state.due = self._clock.now() + wire_time(state.transmit_count)
            self._timer.arm(state.due)
        if value & ne.REMOTE_ABORT:
            return
        if value & ne.REMOTE == ne.SEND_PACKET:
            header = self._memory.read(state.boundary * PAGE, ring.HEADER)
            state.remote_address = state.boundary * PAGE
            state.remote_count = int.from_bytes(header[2:], "little")
        if value & ne.REMOTE and not state.remote_count:
            self._raise(ne.REMOTE_DONE)

    # -- remote DMA -----------------------------------------------------------------------------

    def read_data(self, size: int) -> int:
        """The next `size` bytes for the driver. Word-wide, a byte is the first half of a word."""
        state = self.state
        reading = state.command & (ne.REMOTE_ABORT | ne.REMOTE_READ) == ne.REMOTE_READ
        if not reading or not state.remote_count:
            return (1 << 8 * size) - 1
        data = self._memory.read(state.remote_address, size)
        self._advance(self._step(size))
        return int.from_bytes(data, "little")

    def write_data(self, size: int, value: int) -> None:
        """The next `size` bytes from the driver."""
        state = self.state
        if state.command & (ne.REMOTE_ABORT | ne.REMOTE) != ne.REMOTE_WRITE:
            return
        if state.remote_count:
            step = self._step(size)
            self._memory.write(state.remote_address, value.to_bytes(step, "little"))
            self._advance(step)

    def _step(self, size: int) -> int:
        return 2 if size == 1 and self.state.data_configuration & ne.WORD_WIDE else size

    def _advance(self, step: int) -> None:
        """At the end of the ring, remote DMA goes on at its beginning."""
        state = self.state
        state.remote_address = state.remote_address + step & 0xFFFF
        if state.remote_address == state.page_stop * PAGE:
            state.remote_address = state.page_start * PAGE
        state.remote_count = max(state.remote_count - step, 0)
        if not state.remote_count:
            if state.command & ne.REMOTE == ne.SEND_PACKET:
                state.boundary = self._memory.read(state.boundary * PAGE, ring.HEADER)[1]
            self._raise(ne.REMOTE_DONE)

    # -- out ------------------------------------------------------------------------------------

    def _sent(self) -> None:
        """The frame is out."""
        state = self.state
        state.due = NEVER
        state.command &= ~ne.TRANSMIT
        length = state.transmit_count
        frame = self._memory.read(state.transmit_page * PAGE, min(length, MAX_FRAME + 1))
        state.transmit_status = ne.SENT_WHOLE
        if self._loops_back():
            self._loop_back(frame)
        elif self.port.state.up:
            self.port.send(frame)
        else:
            state.transmit_status |= ne.NO_CARRIER
        self._raise(ne.SENT)

    def _loops_back(self) -> bool:
        return bool(self.state.transmit_configuration & ne.LOOPBACK)

    def _loop_back(self, frame: bytes) -> None:
        """The FIFO gets the end of the frame and its length; the ring gets nothing."""
        state = self.state
        if not state.transmit_configuration & ne.NO_CRC:
            frame += checksum(frame)
        length = state.transmit_count.to_bytes(2, "little")
        tail = frame[TAIL - len(state.fifo) :].rjust(len(state.fifo) - TAIL, b"\0")
        state.fifo[:] = tail + length + length[1:]
        state.fifo_at = 0
        wanted = len(frame) >= ADDRESS and ring.is_wanted(state, frame)
        state.receive_status = ne.RECEIVED_WHOLE if wanted else 0

    # -- in -------------------------------------------------------------------------------------

    def listens(self) -> bool:
        """Whether it is started, and not on itself."""
        return bool(self.state.command & ne.START) and not self._loops_back()

    def receive(self, frame: bytes) -> bool:
        """Take a frame in; one that the ring has no room for is lost."""
        if self.listens() and ring.is_wanted(self.state, frame):
            ring.store(self.state, self._memory, frame)
            self._drive()
        return True

    def link_changed(self) -> None:
        """Nothing tells the driver."""
