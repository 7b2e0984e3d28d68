# SPDX-License-Identifier: BSD-2-Clause
"""An 8042 keyboard controller: self-test, A20 gate, reset line, and two ports with PS/2 plugs.

Whatever is sent to a port with nothing plugged in is answered as if the device had failed to take
it, at once, so that a guest need not wait for a timeout to learn that there is none. Without a
device there (a mouse), the second port does not exist.
Sources: IBM PS/2 Hardware Interface Technical Reference; Intel 8242 datasheet.
"""

from __future__ import annotations

from collections.abc import Callable

from manager.bus.grants import NO_GRANTS, Grants
from manager.bus.lines import Line
from manager.devices.device import Device
from manager.devices.keyboard.socket import Ps2Socket
from manager.devices.keyboard.state import AUX_DISABLED, KeyboardState
from manager.devices.keyboard.translation import BREAK, translated

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
DISABLE_AUX = 0xA7
ENABLE_AUX = 0xA8
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
AUX_IRQ_ENABLE = 0x02
SYSTEM_FLAG = 0x04
KEYBOARD_DISABLED = 0x10
TRANSLATE = 0x40
AS_FIRMWARE_LEAVES_IT = IRQ_ENABLE | SYSTEM_FLAG | AUX_DISABLED | TRANSLATE

# Output port
NOT_RESET = 0x01  # low resets the CPU
GATE_A20 = 0x02
OUTPUT_IRQ = 0x10
OUTPUT_AUX_IRQ = 0x20
LINES_HIGH = 0xC0  # keyboard clock and data, idle

TEST_PASSED = 0x55
LINE_FINE = 0x00
CLOCK_LOW = 0x01
NOT_LOCKED = 0x80
RESEND = 0xFE


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
    A keyboard is plugged into `first`, a mouse into `second`. Without firmware, a controller with
    a keyboard powers on as firmware would leave it.
    """

    STATE = KeyboardState

    def __init__(
        self,
        irq: Line,
        set_a20: Callable[[bool], None],
        reset: Callable[[], None],
        grants: Grants = NO_GRANTS,
        *,
        has_firmware: bool = True,
    ) -> None:
        self._grants = grants
        self._irq = irq
        self._set_a20 = set_a20
        self._reset_cpu = reset
        self._has_firmware = has_firmware
        self.command_port = CommandPort(self)
        self.first = Ps2Socket(
            lambda: self._lets_send(KEYBOARD_DISABLED), self._from_keyboard, self.reset
        )
        self.second = Ps2Socket(
            lambda: self._lets_send(AUX_DISABLED),
            lambda byte: self._answer(byte, aux=True),
            self.reset,
        )
        self.state = self.power_on()
        self.settle()

    def reset(self) -> None:
        """Power-on state; devices go on with what they have to send."""
        super().reset()
        self._release()

    def power_on(self) -> KeyboardState:
        """The chip's own state, or what firmware would make of it for a keyboard."""
        record = KeyboardState()
        if self.first.device is not None and not self._has_firmware:
            record.ram[0] = AS_FIRMWARE_LEAVES_IT
        return record

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
        state = self.state
        state.output_full = False
        self._drive_irq()
        byte = state.output
        self._release()
        return byte

    def write_port(self, offset: int, value: int) -> None:
        """A command's data byte, or a byte for the keyboard."""
        state = self.state
        state.last_was_command = False
        command, state.awaiting = state.awaiting, 0
        if command == WRITE_RAM:
            self._set_command_byte(value)
        elif command in range(WRITE_RAM, WRITE_RAM + 32):
            state.ram[command - WRITE_RAM] = value
        elif command == WRITE_OUTPUT_PORT:
            self._write_output_port(value)
        elif command in (WRITE_KEYBOARD_OUTPUT, WRITE_AUX_OUTPUT):
            # Without a second port the byte comes back as the keyboard's.
            self._answer(value, aux=command == WRITE_AUX_OUTPUT and self._has_second)
        elif command == WRITE_AUX:
            self._send(self.second, value)
        else:
            state.ram[0] &= ~KEYBOARD_DISABLED
            self._send(self.first, value)

    def _send(self, port: Ps2Socket, value: int) -> None:
        if port.device is None:
            self._answer(RESEND, aux=port is self.second, timeout=True)
        else:
            port.device.receive(value)

    def _lets_send(self, disabled: int) -> bool:
        """Whether a device may; `disabled` is the bit of the command byte that stops it."""
        return not self.state.output_full and not self.state.ram[0] & disabled

    def _from_keyboard(self, byte: int) -> None:
        """Codes of set 2 are translated to set 1."""
        state = self.state
        if not state.ram[0] & TRANSLATE:
            self._answer(byte)
        elif byte == BREAK:
            state.break_code = True
        else:
            broken, state.break_code = state.break_code, False
            self._answer(translated(byte, broken=broken))

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
            self._answer(LINE_FINE if self._has_second else CLOCK_LOW)
        elif value == DISABLE_KEYBOARD:
            self._set_command_byte(state.ram[0] | KEYBOARD_DISABLED)
        elif value == ENABLE_KEYBOARD:
            self._set_command_byte(state.ram[0] & ~KEYBOARD_DISABLED)
        elif value == DISABLE_AUX:
            self._set_command_byte(state.ram[0] | AUX_DISABLED)
        elif value == ENABLE_AUX:
            self._set_command_byte(state.ram[0] & ~AUX_DISABLED)
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
        self.second.irq.set(False)
        self._drive_irq()

    @property
    def _has_second(self) -> bool:
        return self.second.device is not None

    def _set_command_byte(self, value: int) -> None:
        self.state.ram[0] = value if self._has_second else value | AUX_DISABLED
        self._drive_irq()
        self._release()

    def _release(self) -> None:
        """Let devices send; the keyboard goes first."""
        for port in (self.first, self.second):
            if port.device is not None and port.free:
                port.device.released()

    def _output_port(self) -> int:
        state = self.state
        value = LINES_HIGH | NOT_RESET | (GATE_A20 if state.a20 else 0)
        if not state.output_full:
            return value
        return value | (OUTPUT_AUX_IRQ if state.output_aux and self._has_second else OUTPUT_IRQ)

    def _write_output_port(self, value: int) -> None:
        self.state.a20 = bool(value & GATE_A20)
        self._set_a20(self.state.a20)
        if not value & NOT_RESET:
            self._reset_cpu()

    def _drive_irq(self) -> None:
        state = self.state
        aux = state.output_full and state.output_aux
        self._irq.set(state.output_full and not aux and bool(state.ram[0] & IRQ_ENABLE))
        self.second.irq.set(aux and bool(state.ram[0] & AUX_IRQ_ENABLE))

    def settle(self) -> None:
        """Drive the interrupts and the A20 gate."""
        self._drive_irq()
        self._set_a20(self.state.a20)
