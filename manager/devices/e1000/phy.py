# SPDX-License-Identifier: BSD-2-Clause
"""The PHY of an 82540EM, which is a Marvell 88E1011: what its driver reads of the link.

Source: IEEE 802.3, clause 22 and 40 (registers 0-15); 317453, section 13.4.8 (MDIC) and 11.
"""

from __future__ import annotations

from collections.abc import Sequence

ADDRESS = 1
DATA, REGISTER_SHIFT, ADDRESS_SHIFT = 0xFFFF, 16, 21
WRITE, READ, READY, INTERRUPT, ERROR = 1 << 26, 1 << 27, 1 << 28, 1 << 29, 1 << 30

CONTROL, STATUS, SPECIFIC_STATUS = 0, 1, 17
PARTNER, EXPANSION, GIGABIT_STATUS = 5, 6, 10
AT_RESET = {CONTROL: 0x1140, 4: 0x01E1, 9: 0x0300, 16: 0x0068, 20: 0x0D60}
"""What can be written: control (negotiates, 1000, full duplex), and what is advertised."""
CONSTANT = {2: 0x0141, 3: 0x0C20, 15: 0x3000}
"""Who made it, and that it knows 1000BASE-T."""
STATUS_ALWAYS, STATUS_LINK = 0x7949, 0x0024
"""What it can do; that negotiation is over and there is a link."""
LINKED = {PARTNER: 0x45E1, EXPANSION: 0x0001, GIGABIT_STATUS: 0x3C00, SPECIFIC_STATUS: 0xAC00}
"""What is known of the other end while there is a link: 1000 Mbit/s, full duplex."""
RESET, RESTART, POWER_DOWN = 0x8000, 0x0200, 0x0800


def at_reset(count: int) -> list[int]:
    """The registers after a reset."""
    return [AT_RESET.get(number, 0) for number in range(count)]


def is_down(registers: Sequence[int]) -> bool:
    """Whether it has no power, so that there is no link."""
    return bool(registers[CONTROL] & POWER_DOWN)


def read(registers: Sequence[int], number: int, linked: bool) -> int:
    """A register's value."""
    if number == STATUS:
        return STATUS_ALWAYS | (STATUS_LINK if linked else 0)
    if number in LINKED:
        return LINKED[number] if linked else 0
    return CONSTANT.get(number, registers[number])


def write(registers: list[int], number: int, value: int) -> None:
    """Write a register."""
    if number == CONTROL and value & RESET:
        registers[:] = at_reset(len(registers))
    elif number == CONTROL:
        registers[CONTROL] = value & ~RESTART
    else:
        registers[number] = value
