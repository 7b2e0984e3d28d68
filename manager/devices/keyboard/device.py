# SPDX-License-Identifier: BSD-2-Clause
"""An 8042 keyboard controller with nothing plugged in: self-test, A20 gate and reset line.

Whatever is sent to a device is answered as if the device had failed to take it, at once, so that
a guest need not wait for a timeout to learn that there is none. There is no second (mouse) port.
Sources: IBM PS/2 Hardware Interface Technical Reference; Intel 8242 datasheet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from manager.bus.grants import NO_GRANTS, Grants
from manager.bus.lines import Line
from manager.bus.record import Record, flag, octets, uint
from manager.devices.device import Device
from manager.lazy import dataclass

DATA = 0  # 0x60, offset of Keyboard; status and commands (0x64) are Keyboard.command_port

# Status register
STATUS_OUTPUT_FULL = 0x01
STATUS_SYSTEM = 0x04  # the self-test was passed
STATUS_COMMAND = 0x08  # the last write was a command
STATUS_UNLOCKED = 0x10  # no key lock
STATUS_AUX = 0x20  # the output byte is from the second port
STATUS_TIMEOUT = 0x40  # the device did not answer

# Commands
READ_RAM = 0x20  # to 0x3F; 0x20 is the command byte
WRITE_RAM = 0x60  # to 0x7F
TEST_AUX = 0xA9
SELF_TEST = 0xAA
TEST_KEYBOARD = 0xAB
DISABLE_KEYBOARD = 0xAD
ENABLE_KEYBOARD = 0xAE
READ_INPUT_PORT = 0xC0
READ_OUTPUT_PORT = 0xD0
WRITE_OUTPUT_PORT = 0xD1
WRITE_KEYBOARD_OUTPUT = 0xD2
WRITE_AUX_OUTPUT = 0xD3
WRITE_AUX = 0xD4
DISABLE_A20 = 0xDD
ENABLE_A20 = 0xDF
PULSE = 0xF0  # to 0xFF: a 0 among the low four bits pulses that output low
TAKES_DATA = (WRITE_OUTPUT_PORT, WRITE_KEYBOARD_OUTPUT, WRITE_AUX_OUTPUT, WRITE_AUX)

# Command byte
IRQ_ENABLE = 0x01
SYSTEM_FLAG = 0x04
KEYBOARD_DISABLED = 0x10
AUX_DISABLED = 0x20  # stays set, which is how guests see that there is no second port

# Output port
NOT_RESET = 0x01  # low resets the CPU
GATE_A20 = 0x02
OUTPUT_IRQ = 0x10
LINES_HIGH = 0xC0  # keyboard clock and data, idle

TEST_PASSED = 0x55
LINE_FINE = 0x00
CLOCK_LOW = 0x01
NOT_LOCKED = 0x80
RESEND = 0xFE


@dataclass(slots=True)
class KeyboardState(Record):
    """The controller; there is no keyboard."""

    TYPE: ClassVar[str] = "keyboard"

    ram: bytearray = octets(
        32, 32, "controller memory; byte 0 is the command byte", bytes([AUX_DISABLED, *bytes(31)])
    )
    output: int = uint(8, "last byte put into the output buffer")
    output_full: bool = flag("the guest has not read it yet")
    output_aux: bool = flag("it claims to be from the second port")
    output_timeout: bool = flag("it tells of a device that does not answer")
    last_was_command: bool = flag("the last write was to the command port")
    awaiting: int = uint(8, "command that the next data byte belongs to; 0 for none")
    a20: bool = flag("the A20 gate is open; a power-on default of the chip", True)


class CommandPort:
    """Port 64h: status when read, command when written."""

    __slots__ = ("_keyboard",)

    def __init__(self, keyboard: Keyboard) -> None:
        self._keyboard = keyboard

    def read_port(self, offset: int) -> int:
        """The status register. The controller is never busy."""
        return self._keyboard.status()

    def write_port(self, offset: int, value: int) -> None:
        """A command."""
        self._keyboard.command(value)


class Keyboard(Device[KeyboardState]):
    """The data port (0x60) itself; `command_port` is for port 0x64.

    `irq` is IRQ 1. `set_a20` hears the gate at every change and restore, `reset` the reset line.
    """

    STATE = KeyboardState

    def __init__(
        self,
        irq: Line,
        set_a20: Callable[[bool], None],
        reset: Callable[[], None],
        grants: Grants = NO_GRANTS,
    ) -> None:
        self._grants = grants
        self._irq = irq
        self._set_a20 = set_a20
        self._reset_cpu = reset
        self.command_port = CommandPort(self)
        self.state = self.power_on()
        self.settle()

    def status(self) -> int:
        """The status register."""
        state = self.state
        status = STATUS_UNLOCKED
        if state.output_full:
            status |= STATUS_OUTPUT_FULL
            status |= STATUS_AUX if state.output_aux else 0
            status |= STATUS_TIMEOUT if state.output_timeout else 0
        if state.ram[0] & SYSTEM_FLAG:
            status |= STATUS_SYSTEM
        if state.last_was_command:
            status |= STATUS_COMMAND
        self._grants.steady()
        return status

    def read_port(self, offset: int) -> int:
        """Empty the output buffer; read again, it gives the same byte."""
        self.state.output_full = False
        self._drive_irq()
        return self.state.output

    def write_port(self, offset: int, value: int) -> None:
        """A command's data byte, or a byte for the keyboard."""
        state = self.state
        state.last_was_command = False
        command, state.awaiting = state.awaiting, 0
        if command in range(WRITE_RAM, WRITE_RAM + 32):
            # There is no second port to enable.
            state.ram[command - WRITE_RAM] = value | (AUX_DISABLED if command == WRITE_RAM else 0)
            self._drive_irq()
        elif command == WRITE_OUTPUT_PORT:
            self._write_output_port(value)
        elif command in (WRITE_KEYBOARD_OUTPUT, WRITE_AUX_OUTPUT):
            # Without a second port the byte comes back as the keyboard's.
            self._answer(value)
        else:
            if command != WRITE_AUX:
                state.ram[0] &= ~KEYBOARD_DISABLED
            self._answer(RESEND, aux=command == WRITE_AUX, timeout=True)

    def command(self, value: int) -> None:
        """A write to the command port; commands that are not known do nothing."""
        state = self.state
        state.last_was_command = True
        state.awaiting = 0
        if value in TAKES_DATA or value in range(WRITE_RAM, WRITE_RAM + 32):
            state.awaiting = value
        elif value in range(READ_RAM, READ_RAM + 32):
            self._answer(state.ram[value - READ_RAM])
        elif value == SELF_TEST:
            state.ram[0] |= SYSTEM_FLAG
            self._answer(TEST_PASSED)
        elif value == TEST_KEYBOARD:
            self._answer(LINE_FINE)
        elif value == TEST_AUX:
            self._answer(CLOCK_LOW)
        elif value == DISABLE_KEYBOARD:
            state.ram[0] |= KEYBOARD_DISABLED
        elif value == ENABLE_KEYBOARD:
            state.ram[0] &= ~KEYBOARD_DISABLED
        elif value == READ_INPUT_PORT:
            self._answer(NOT_LOCKED)
        elif value == READ_OUTPUT_PORT:
            self._answer(self._output_port())
        elif value in (DISABLE_A20, ENABLE_A20):
            state.a20 = value == ENABLE_A20
            self._set_a20(state.a20)
        elif value >= PULSE and not value & NOT_RESET:
            self._reset_cpu()

    def _answer(self, value: int, *, aux: bool = False, timeout: bool = False) -> None:
        state = self.state
        state.output, state.output_full = value, True
        state.output_aux, state.output_timeout = aux, timeout
        self._irq.set(False)  # a new byte is a new edge
        self._drive_irq()

    def _output_port(self) -> int:
        state = self.state
        value = LINES_HIGH | NOT_RESET | (GATE_A20 if state.a20 else 0)
        return value | (OUTPUT_IRQ if state.output_full else 0)

    def _write_output_port(self, value: int) -> None:
        self.state.a20 = bool(value & GATE_A20)
        self._set_a20(self.state.a20)
        if not value & NOT_RESET:
            self._reset_cpu()

    def _drive_irq(self) -> None:
        state = self.state
        asserted = state.output_full and not state.output_aux
        self._irq.set(asserted and bool(state.ram[0] & IRQ_ENABLE))

    def settle(self) -> None:
        """Drive IRQ 1 and the A20 gate."""
        self._drive_irq()
        self._set_a20(self.state.a20)
