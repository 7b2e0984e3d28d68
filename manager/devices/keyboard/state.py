# SPDX-License-Identifier: BSD-2-Clause
"""The keyboard controller's record."""

from __future__ import annotations

from typing import ClassVar

from manager.bus.record import Plain, Record, flag, octets, uint
from manager.lazy import dataclass

AUX_DISABLED = 0x20
"""Of the command byte. It stays set without a device, which is how guests see that there is no
second port."""


def _with_ports(old: dict[str, Plain]) -> dict[str, Plain]:
    """A controller of version 1 had nothing plugged in."""
    return {**old, "break_code": False}


@dataclass(slots=True)
class KeyboardState(Record):
    """The controller; what is plugged in has records of its own."""

    TYPE: ClassVar[str] = "keyboard"
    VERSION: ClassVar[int] = 2
    UPGRADES = {1: _with_ports}

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
    break_code: bool = flag("the byte before, from the keyboard, was F0h, and is translated")
