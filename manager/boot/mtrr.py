# SPDX-License-Identifier: BSD-2-Clause
"""Memory types as PC firmware programs them: RAM write-back, video memory and devices uncached.

The types have no effect on the emulated CPU; kernels look at them, and take what firmware left
disabled for broken. Sources: Intel SDM vol. 3, 12.11; SeaBIOS, which chooses the same.
"""

from __future__ import annotations

from manager.bus.memory import ABOVE_VGA, ADDRESS_SPACE, FOUR_GIB, LOW_LIMIT, VGA_WINDOW
from manager.cpu.state import Msrs

UNCACHED, WRITE_PROTECTED, WRITE_BACK = 0, 5, 6
ENABLED, FIXED_ENABLED, VALID = 1 << 11, 1 << 10, 1 << 11
FIXED = ((8, 0x10000), (16, 0x4000), (64, 0x1000))
"""How many ranges of which size the fixed registers are for, ascending from 0."""
PER_REGISTER = 8


def program(msrs: Msrs) -> None:
    """Set the registers."""
    types, address = [], 0
    for count, size in FIXED:
        for _ in range(count):
            types.append(_type_at(address))
            address += size
    registers = range(0, len(types), PER_REGISTER)
    msrs.mtrr_fixed = [_packed(types[at : at + PER_REGISTER]) for at in registers]
    msrs.mtrr_base[0] = LOW_LIMIT | UNCACHED
    msrs.mtrr_mask[0] = ADDRESS_SPACE - (FOUR_GIB - LOW_LIMIT) | VALID
    msrs.mtrr_default = ENABLED | FIXED_ENABLED | WRITE_BACK


def _type_at(address: int) -> int:
    if address < VGA_WINDOW:
        return WRITE_BACK
    return UNCACHED if address < ABOVE_VGA else WRITE_PROTECTED


def _packed(types: list[int]) -> int:
    return int.from_bytes(bytes(types), "little")
