# SPDX-License-Identifier: BSD-2-Clause
"""The window at A0000h-BFFFFh: what a program's accesses do to the planes.

Where the graphics controller changes nothing on the way, the window is video memory itself, which
the CPU reaches without us. A read there loads no latches.
Source: IBM VGA XGA Technical Reference, graphics controller and sequencer.
"""

from __future__ import annotations

from manager.bus.pci import BarMemory
from manager.devices.vga.planes import Planes
from manager.devices.vga.registers import (
    A0000_64K,
    BANK,
    BIT_MASK,
    CHAIN_4,
    COLOUR_CARE,
    COLOUR_COMPARE,
    COUNT,
    ENABLE_SET_RESET,
    FUNCTION,
    MAP_MASK,
    MEMORY_MAP,
    MEMORY_MAP_SHIFT,
    MEMORY_MODE,
    MISC_RAM,
    MISCELLANEOUS,
    MODE,
    NO_ODD_EVEN,
    ODD_EVEN_READ,
    READ_MAP,
    READ_MODE_1,
    ROTATE,
    SET_RESET,
    WRITE_MODE,
)
from manager.devices.vga.state import VgaState

BASE, LENGTH = 0xA0000, 0x20000
MAPS = ((0, 0x20000), (0, 0x10000), (0x10000, 0x8000), (0x18000, 0x8000))
"""Offset and length in the window, by the memory map of the graphics controller."""
BYTES = 0x0101_0101
ALL_PLANES = 0xF
ONES = 0xFFFF_FFFF
SPREAD = tuple(sum(0xFF << 8 * bit for bit in range(4) if n >> bit & 1) for n in range(16))
"""Four bits, one for each plane, as a byte of ones or zeros for each."""
Shown = tuple[int, int, int]
"""Offset in video memory, length, and address."""


class Window:
    """Registers in memory, 128 KiB; `show` puts video memory over them where it can."""

    def __init__(self, planes: Planes, behind: BarMemory) -> None:
        self.state = VgaState()
        self._planes = planes
        self._behind = behind
        self._shown: Shown | None = None

    def show(self) -> None:
        """Agree with the state."""
        shown = shown_part(self.state)
        if shown != self._shown:
            hidden = (0, self._shown[1], None) if self._shown is not None else None
            part = shown if shown is not None else hidden
            if part is not None:
                self._behind.overlay(*part)
            self._shown = shown

    def read_mmio(self, offset: int, size: int) -> int:
        """Bytes one after the other, as the 8-bit planes have them."""
        value = 0
        for at in range(size):
            value |= self._read(offset + at) << 8 * at
        return value

    def write_mmio(self, offset: int, size: int, value: int) -> None:
        """Bytes one after the other."""
        for at in range(size):
            self._write(offset + at, value >> 8 * at & 0xFF)

    def _place(self, offset: int) -> int | None:
        """Where in the present map an offset in the window is; None where it is not open."""
        state = self.state
        map = state.graphics[MISCELLANEOUS] >> MEMORY_MAP_SHIFT & MEMORY_MAP
        start, length = MAPS[map]
        if not state.misc & MISC_RAM or not start <= offset < start + length:
            return None
        bank = state.dispi[BANK] << 16 if map == A0000_64K and state.extended else 0
        return offset - start + bank

    def _read(self, offset: int) -> int:
        at = self._place(offset)
        if at is None:
            return 0xFF
        state = self.state
        graphics = state.graphics
        plane = graphics[READ_MAP] & 3
        if state.sequencer[MEMORY_MODE] & CHAIN_4:
            at, plane = at >> 2, at & 3
        elif graphics[MODE] & ODD_EVEN_READ:
            at, plane = at >> 1, plane & 2 | at & 1
        latch = state.latch = self._planes.read(at)
        if not graphics[MODE] & READ_MODE_1:
            return latch >> 8 * plane & 0xFF
        unlike = (latch ^ SPREAD[graphics[COLOUR_COMPARE] & 0xF]) & SPREAD[
            graphics[COLOUR_CARE] & 0xF
        ]
        return ~(unlike | unlike >> 8 | unlike >> 16 | unlike >> 24) & 0xFF

    def _write(self, offset: int, value: int) -> None:
        at = self._place(offset)
        if at is None:
            return
        state = self.state
        planes = state.sequencer[MAP_MASK] & ALL_PLANES
        if state.sequencer[MEMORY_MODE] & CHAIN_4:
            at, planes = at >> 2, planes & 1 << (at & 3)
        elif not state.sequencer[MEMORY_MODE] & NO_ODD_EVEN:
            at, planes = at >> 1, planes & (0b0101 << (at & 1))
        if planes:
            written = SPREAD[planes]
            old = self._planes.read(at)
            self._planes.write(at, old & ~written | self._composed(value) & written)

    def _composed(self, value: int) -> int:
        """What the four planes get for a byte from the CPU."""
        graphics, latch = self.state.graphics, self.state.latch
        mode = graphics[MODE] & WRITE_MODE
        if mode == 1:
            return latch
        mask = graphics[BIT_MASK]
        if mode == 2:
            data = SPREAD[value & 0xF]
        else:
            count = graphics[ROTATE] & COUNT
            value = (value >> count | value << 8 - count) & 0xFF
            fixed = SPREAD[graphics[SET_RESET] & 0xF]
            if mode == 0:
                chosen = SPREAD[graphics[ENABLE_SET_RESET] & 0xF]
                data = value * BYTES & ~chosen | fixed & chosen
            else:
                data, mask = fixed, mask & value
        function = (graphics[ROTATE] & FUNCTION) >> 3
        if function == 1:
            data &= latch
        elif function == 2:
            data |= latch
        elif function == 3:
            data ^= latch
        bits = mask * BYTES
        return data & bits | latch & (bits ^ ONES)


def shown_part(state: VgaState) -> Shown | None:
    """The part of video memory that the window is, if it is just that."""
    graphics, sequencer = state.graphics, state.sequencer
    changes = (
        graphics[MODE] & (WRITE_MODE | READ_MODE_1)
        or graphics[ENABLE_SET_RESET] & 0xF
        or graphics[ROTATE] & (FUNCTION | COUNT)
        or graphics[BIT_MASK] != 0xFF
        or not state.misc & MISC_RAM
    )
    if changes:
        return None
    map = graphics[MISCELLANEOUS] >> MEMORY_MAP_SHIFT & MEMORY_MAP
    start, length = MAPS[map]
    planes = sequencer[MAP_MASK] & ALL_PLANES
    if sequencer[MEMORY_MODE] & CHAIN_4:
        bank = state.dispi[BANK] << 16 if map == A0000_64K and state.extended else 0
        return (bank, length, BASE + start) if planes == ALL_PLANES else None
    text = (
        planes == 0b0011
        and not sequencer[MEMORY_MODE] & NO_ODD_EVEN
        and graphics[MODE] & ODD_EVEN_READ
        and not graphics[READ_MAP] & 2
        and not state.extended
    )
    return (0, length, BASE + start) if text else None
