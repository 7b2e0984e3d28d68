# SPDX-License-Identifier: BSD-2-Clause
"""CRT controller registers without a screen: they keep what is written, and do nothing.

Kernels move the text cursor without looking whether there is a screen, and some read its place
first: all ones, which a port without a device gives, is no place on any.
Source: IBM VGA XGA Technical Reference (1992), CRT controller registers.
"""

from __future__ import annotations

from typing import ClassVar

from manager.bus.record import Record, octets, uint
from manager.devices.device import Device
from manager.lazy import dataclass

INDEX = 0  # 3D4h
REGISTERS = 256


@dataclass(slots=True)
class CrtcState(Record):
    """The index and all that it can select."""

    TYPE: ClassVar[str] = "crtc"

    index: int = uint(8, "register that the data port is for")
    registers: bytearray = octets(REGISTERS, REGISTERS, "as written", bytes(REGISTERS))


class Crtc(Device[CrtcState]):
    """Index port at offset 0, data port at offset 1."""

    STATE = CrtcState

    def __init__(self) -> None:
        self.state = self.power_on()

    def read_port(self, offset: int) -> int:
        """The index, or the register there."""
        state = self.state
        return state.index if offset == INDEX else state.registers[state.index]

    def write_port(self, offset: int, value: int) -> None:
        """Set the index, or the register there."""
        if offset == INDEX:
            self.state.index = value
        else:
            self.state.registers[self.state.index] = value
