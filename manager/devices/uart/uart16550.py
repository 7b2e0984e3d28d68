# SPDX-License-Identifier: BSD-2-Clause
"""The NS16550A uart, without a bus: eight registers, a line, a channel, a clock.

Source: National Semiconductor PC16550D datasheet (1995). Reception is by flow control: a byte
leaves the channel only when the receiver has room, so the host never causes an overrun. Since the
wire has no noise, PE and FE never occur.

The line runs at one of two paces. At the host's, a byte written to THR is with the channel before
the guest's next instruction, and characters come in as fast as a driver can take them. At the
divisor's ("baud"), every character takes the time that it would on a wire.

Long because the chip is: FIFOs, interrupts, loopback and both paces share one record.

>>> from manager.bus.channel import Loose
>>> from manager.bus.clock import Clock, ManualTime
>>> from manager.bus.lines import Wire
>>> uart = Uart16550(Wire(print), Loose(), Clock(ManualTime()))
>>> hex(uart.read(reg.LSR))
'0x60'
>>> uart.write(reg.IER, reg.IER_ETBEI)
True
>>> hex(uart.read(reg.IIR))
False
'0x2'
"""

from __future__ import annotations

from manager.bus.channel import Channel
from manager.bus.clock import Clock, Timer
from manager.bus.grants import NO_GRANTS, Grants
from manager.bus.lines import Line
from manager.bus.record import NEVER, Record, flag, moment, octets, uint
from manager.devices.device import Device, Takes
from manager.devices.uart import registers as reg
from manager.devices.uart.pace import TIMEOUT_CHARACTERS, Pace
from manager.lazy import dataclass

INSTANT = Pace()
"""A line that takes no time at all."""


@dataclass(slots=True)
class Uart16550State(Record):
    """A uart's registers, receiver and pending interrupts."""

    TYPE = "uart16550"

    dll: int = uint(8, "divisor latch, low byte", 12)
    dlm: int = uint(8, "divisor latch, high byte")
    ier: int = uint(4, "interrupt enable register", names="RX THRE LINE MODEM")
    fcr: int = uint(
        8,
        "FIFO control register without its self-clearing bits",
        names="FIFO - - DMA - - TRIGGER0 TRIGGER1",
    )
    lcr: int = uint(
        8, "line control register", names="WLS0 WLS1 STOP2 PARITY EVEN STICK BREAK DLAB"
    )
    mcr: int = uint(5, "modem control register", names="DTR RTS OUT1 OUT2 LOOP")
    msr: int = uint(
        8,
        "modem status register with its delta bits",
        reg.MSR_CONNECTED,
        names="DCTS DDSR TERI DDCD CTS DSR RI DCD",
    )
    scr: int = uint(8, "scratch register")
    received: bytearray = octets(0, reg.FIFO_DEPTH, "characters to be read from RBR, oldest first")
    breaks: int = uint(16, "bit n: character n of `received` is a break not yet seen in LSR")
    overrun: bool = flag("LSR OE: a looped character was lost")
    break_waiting: bool = flag("a break from the host waits for room in the receiver")
    thre_pending: bool = flag("the THR-empty interrupt has not been acknowledged")
    timeout_pending: bool = flag("the character time-out interrupt has not been acknowledged")
    timeout_at: int = moment("when the characters in the FIFO become overdue", NEVER)
    receive_at: int = moment("until when the line is busy with characters taken from it", NEVER)
    sending: bytearray = octets(
        0, reg.FIFO_DEPTH + 1, "the character in the shift register, then THR or the FIFO"
    )
    sent_at: int = moment("when the character in the shift register is out", NEVER)

    def contradiction(self) -> str:
        """A character is on its way out exactly if there is one."""
        if bool(self.sending) != (self.sent_at != NEVER):
            return "`sending` and `sent_at` do not agree on whether a character is being sent"
        return ""


class Uart16550(Device[Uart16550State]):
    """A uart that any bus can carry: `read`, `write`, and a line that is its INTR pin.

    `channel` is the other end of the cable; its owner calls `input_ready` when it has input.
    """

    STATE = Uart16550State

    def __init__(
        self,
        line: Line,
        channel: Channel,
        clock: Clock,
        pace: Pace = INSTANT,
        grants: Grants = NO_GRANTS,
    ) -> None:
        self._grants = grants
        self._line = line
        self._channel = channel
        self._clock = clock
        self._pace = pace
        self._overdue = clock.timer(self._timed_out)
        self._receiver = clock.timer(self._line_free)
        self._transmitter = clock.timer(self._sent)
        self.load(self.power_on())

    def reset(self) -> None:
        """Power-on state; host input that still waits in the channel starts to come in."""
        super().reset()
        self.input_ready()

    def read(self, offset: int) -> int:
        """Read the register at `offset` (0-7; taken modulo 8)."""
        state = self.state
        offset &= reg.REGISTERS - 1
        if offset == reg.LSR:
            return self._read_lsr()
        latch = state.lcr & reg.LCR_DLAB
        if offset == reg.RBR and not latch:
            return self._read_rbr()
        if offset == reg.IIR:
            return self._read_iir()
        if offset == reg.MSR:
            return self._read_msr()
        self._grants.steady()
        if offset == reg.DLL:
            return state.dll
        if offset == reg.IER:
            return state.dlm if latch else state.ier
        if offset == reg.LCR:
            return state.lcr
        if offset == reg.MCR:
            return state.mcr
        return state.scr

    def write(self, offset: int, value: int) -> None:
        """Write a byte to the register at `offset` (0-7; taken modulo 8)."""
        state = self.state
        offset &= reg.REGISTERS - 1
        value &= 0xFF
        if offset == reg.THR:
            if state.lcr & reg.LCR_DLAB:
                state.dll = value
            else:
                self._write_thr(value)
        elif offset == reg.IER:
            if state.lcr & reg.LCR_DLAB:
                state.dlm = value
            else:
                self._write_ier(value)
        elif offset == reg.FCR:
            self._write_fcr(value)
        elif offset == reg.LCR:
            self._write_lcr(value)
        elif offset == reg.MCR:
            self._write_mcr(value)
        elif offset == reg.SCR:
            state.scr = value
        # LSR and MSR: for factory tests only, says the datasheet.

    def input_ready(self) -> None:
        """The channel has something: take as much as there is room for."""
        if self._pull():
            self.settle()

    def takes(self) -> Takes:
        """A break."""
        return {"break": lambda _: self.receive_break()}

    def receive_break(self) -> None:
        """The host sends a break: one character 0 with LSR BI, as soon as there is room."""
        self.state.break_waiting = True
        self.input_ready()

    def settle(self) -> None:
        """Drive the line and set the timers from the state."""
        self._drive()
        _set(self._receiver, self.state.receive_at)
        _set(self._transmitter, self.state.sent_at)

    def _drive(self) -> None:
        """The part of settle() that reception needs, a million times in a large paste."""
        state = self.state
        self._line.set(self._interrupt_output())
        wanted = NEVER
        if (
            state.ier & reg.IER_ERBFI
            and state.fcr & reg.FCR_ENABLE
            and 0 < len(state.received) < self._trigger()
        ):
            wanted = state.timeout_at
        _set(self._overdue, wanted)

    def _interrupt_output(self) -> bool:
        """The level that the uart's surroundings make of its INTR pin."""
        return self._interrupt() != reg.IIR_NONE

    def _interrupt(self) -> int:
        """The enabled interrupt of the highest priority, as IIR names it."""
        state = self.state
        ier = state.ier
        if ier & reg.IER_ELSI and (state.overrun or state.breaks & 1):
            return reg.IIR_LINE_STATUS
        if ier & reg.IER_ERBFI and state.received:
            if len(state.received) >= self._trigger():
                return reg.IIR_RECEIVED_DATA
            if state.timeout_pending:
                return reg.IIR_TIMEOUT
        if ier & reg.IER_ETBEI and state.thre_pending:
            return reg.IIR_THRE
        if ier & reg.IER_EDSSI and state.msr & reg.MSR_DELTAS:
            return reg.IIR_MODEM_STATUS
        return reg.IIR_NONE

    def _read_rbr(self) -> int:
        state = self.state
        if not state.received:
            self._grants.steady()
            return 0
        byte = state.received.pop(0)
        state.breaks >>= 1
        state.timeout_pending = False
        self._restart_timeout()
        if state.receive_at == NEVER and self._pull():
            self.settle()
        else:
            self._drive()
        return byte

    def _read_iir(self) -> int:
        state = self.state
        interrupt = self._interrupt()
        if interrupt == reg.IIR_THRE:
            state.thre_pending = False
            self.settle()
        else:
            self._grants.steady()
        return interrupt | (reg.IIR_FIFOS if state.fcr & reg.FCR_ENABLE else 0)

    def _read_lsr(self) -> int:
        state = self.state
        value = 0
        if len(state.sending) <= 1:
            value = reg.LSR_THRE if state.sending else reg.LSR_THRE | reg.LSR_TEMT
        if state.received:
            value |= reg.LSR_DR
        if state.breaks and state.fcr & reg.FCR_ENABLE:
            value |= reg.LSR_FIFO_ERROR
        if state.overrun or state.breaks & 1:
            value |= reg.LSR_OE if state.overrun else 0
            value |= reg.LSR_BI if state.breaks & 1 else 0
            state.overrun = False
            state.breaks &= ~1
            self.settle()
        else:
            self._grants.steady()
        return value

    def _read_msr(self) -> int:
        state = self.state
        value = state.msr
        if value & reg.MSR_DELTAS:
            state.msr = value & ~reg.MSR_DELTAS
            self.settle()
        else:
            self._grants.steady()
        return value

    def _write_thr(self, byte: int) -> None:
        state = self.state
        if self._pace.baud:
            self._write_paced(byte)
            return
        further = self._emit(byte)
        if not state.thre_pending:
            state.thre_pending = True
            self._drive()
        elif state.mcr & reg.MCR_LOOP:
            self._drive()
        if further is not None:
            self._grants.absorb(further)

    def _write_paced(self, byte: int) -> None:
        state = self.state
        del state.sending[self._depth() :]  # a full THR or FIFO loses its last character
        state.sending.append(byte)
        if len(state.sending) == 1:
            state.sent_at = self._clock.now() + self._character_time()
        state.thre_pending = len(state.sending) <= 1
        self.settle()

    def _sent(self) -> None:
        """The stop bit of the character in the shift register is over."""
        state = self.state
        byte, late = state.sending.pop(0), state.sent_at
        state.sent_at = late + self._character_time() if state.sending else NEVER
        self._emit(byte)
        if len(state.sending) == 1:
            state.thre_pending = True
        self.settle()

    def _emit(self, byte: int) -> bytearray | None:
        """Send a character; what further ones may be added to, as Channel.transmit has it."""
        if self.state.mcr & reg.MCR_LOOP:
            self._receive_looped(byte)
            return None
        return self._channel.transmit(byte)

    def _character_time(self, count: int = 1) -> int:
        state = self.state
        return self._pace.characters(count, state.lcr, state.dlm << 8 | state.dll)

    def _write_ier(self, value: int) -> None:
        state = self.state
        if value & ~state.ier & reg.IER_ETBEI:
            # THR is empty, and a driver starts its transmission from this interrupt.
            state.thre_pending = len(state.sending) <= 1
        state.ier = value & reg.IER_BITS
        self.settle()

    def _write_fcr(self, value: int) -> None:
        state = self.state
        if not value & reg.FCR_ENABLE:
            value = 0  # the other bits count only together with the enable bit
        if (value ^ state.fcr) & reg.FCR_ENABLE or value & reg.FCR_RESET_RECEIVER:
            state.received.clear()
            state.breaks = 0
            state.timeout_pending = False
            state.timeout_at = NEVER
        state.fcr = value & reg.FCR_STORED
        self._pull()
        self.settle()

    def _write_lcr(self, value: int) -> None:
        state = self.state
        if value & ~state.lcr & reg.LCR_BREAK and state.mcr & reg.MCR_LOOP:
            self._receive_looped(0, is_break=True)
        state.lcr = value
        self.settle()

    def _write_mcr(self, value: int) -> None:
        state = self.state
        state.mcr = value & reg.MCR_BITS
        inputs = reg.MSR_CONNECTED
        if value & reg.MCR_LOOP:
            inputs = (
                (reg.MSR_CTS if value & reg.MCR_RTS else 0)
                | (reg.MSR_DSR if value & reg.MCR_DTR else 0)
                | (reg.MSR_RI if value & reg.MCR_OUT1 else 0)
                | (reg.MSR_DCD if value & reg.MCR_OUT2 else 0)
            )
        changed = (state.msr ^ inputs) & ~reg.MSR_DELTAS
        changed &= ~(inputs & reg.MSR_RI)  # TERI is for the end of a ring only
        state.msr = inputs | state.msr & reg.MSR_DELTAS | changed >> 4
        self._pull()
        self.settle()

    def _depth(self) -> int:
        return reg.FIFO_DEPTH if self.state.fcr & reg.FCR_ENABLE else 1

    def _trigger(self) -> int:
        fcr = self.state.fcr
        return reg.TRIGGER_LEVELS[fcr >> 6] if fcr & reg.FCR_ENABLE else 1

    def _pull(self) -> bool:
        """Take what the line has while there is room; whether anything came."""
        state = self.state
        if state.mcr & reg.MCR_LOOP or state.receive_at != NEVER:
            return False  # cut off from the wire, or too early: the channel keeps its bytes
        received = state.received
        before = len(received)
        depth = min(self._depth(), before + 1) if self._pace.baud else self._depth()
        while len(received) < depth:
            if state.break_waiting:
                state.break_waiting = False
                state.breaks |= 1 << len(received)
                received.append(0)
                continue
            byte = self._channel.receive()
            if byte < 0:
                break
            received.append(byte)
        if len(received) == before:
            return False
        if self._pace.baud:
            state.receive_at = self._clock.now() + self._character_time()
        elif self._pace.host_character:
            taken = len(received) - before
            state.receive_at = self._clock.now() + taken * self._pace.host_character
        self._restart_timeout()
        return True

    def _line_free(self) -> None:
        self.state.receive_at = NEVER
        self.input_ready()

    def _receive_looped(self, byte: int, *, is_break: bool = False) -> None:
        """Receive from the uart's own transmitter, which does not wait for room."""
        state = self.state
        if len(state.received) >= self._depth():
            state.overrun = True
            if state.fcr & reg.FCR_ENABLE:
                return  # the FIFO keeps what it has; without it RBR is overwritten
            state.received.clear()
            state.breaks = 0
        if is_break:
            state.breaks |= 1 << len(state.received)
        state.received.append(byte)
        self._restart_timeout()

    def _restart_timeout(self) -> None:
        """A character came or went: the rest is overdue four character times from now."""
        state = self.state
        if not state.received or not state.fcr & reg.FCR_ENABLE:
            state.timeout_at = NEVER
        elif not state.timeout_pending:
            overdue = self._character_time(TIMEOUT_CHARACTERS)
            state.timeout_at = self._clock.now() + overdue

    def _timed_out(self) -> None:
        self.state.timeout_pending = True
        self.state.timeout_at = NEVER
        self.settle()


def _set(timer: Timer, deadline: int) -> None:
    if deadline == timer.deadline:
        return
    if deadline == NEVER:
        timer.disarm()
    else:
        timer.arm(deadline)
