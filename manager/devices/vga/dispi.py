# SPDX-License-Identifier: BSD-2-Clause
"""Bochs's VBE extensions: modes with a linear frame buffer, set by a few 16-bit registers.

Values that no mode has become ones that are near, as in Bochs and QEMU, so that a guest finds in
the registers what it got.
"""

from __future__ import annotations

from manager.devices.vga.registers import (
    A0000_64K,
    BANK,
    BPP,
    CAPABILITIES,
    CHAIN_4,
    DEPTHS,
    DISPI_REGISTERS,
    ENABLE,
    ENABLED,
    FIRST_ID,
    GRAPHICS_MODE,
    ID,
    INTERLEAVED_SHIFT,
    LAST_ID,
    MAP_MASK,
    MEMORY_64K,
    MEMORY_MAP,
    MEMORY_MAP_SHIFT,
    MEMORY_MODE,
    MISCELLANEOUS,
    MODE,
    MOST_BPP,
    MOST_X,
    MOST_Y,
    NO_ODD_EVEN,
    SHIFT_256,
    VIRTUAL_HEIGHT,
    VIRTUAL_WIDTH,
    X_OFFSET,
    Y_OFFSET,
    X,
    Y,
)
from manager.devices.vga.state import VIDEO_MEMORY, VgaState
from manager.lazy import dataclass

BANKS = VIDEO_MEMORY >> 16
LEAST_X = 8


@dataclass(frozen=True, slots=True)
class Mode:
    """A mode that fits into video memory."""

    width: int
    height: int
    depth: int
    virtual_width: int
    x: int
    y: int

    @property
    def pitch(self) -> int:
        """Bytes from one row to the next; of one plane, if there are planes."""
        return row_bytes(self.virtual_width, self.depth)


def row_bytes(width: int, depth: int) -> int:
    """Bytes of `width` pixels: of each plane where the depth is 4."""
    return width // 8 if depth == 4 else width * ((depth + 7) // 8)


def mode_of(dispi: list[int]) -> Mode:
    """What the registers ask for, or what is nearest to it."""
    depth = dispi[BPP] if dispi[BPP] in DEPTHS else 8
    width = min(max(dispi[X] & ~7, LEAST_X), MOST_X)
    virtual = min(max(dispi[VIRTUAL_WIDTH] & ~7, width), 0x4000)
    room = VIDEO_MEMORY // (4 if depth == 4 else 1)
    rows = room // row_bytes(virtual, depth)
    if rows == 0:
        virtual = width
        rows = room // row_bytes(virtual, depth)
    height = min(max(dispi[Y], 1), MOST_Y, rows)
    x = min(dispi[X_OFFSET], virtual - width)
    return Mode(width, height, depth, virtual, x, min(dispi[Y_OFFSET], rows - height))


def read(state: VgaState, index: int) -> int:
    """A register, 16 bits; 0 for one that does not exist."""
    if index >= DISPI_REGISTERS:
        return 0
    if index == MEMORY_64K:
        return BANKS
    if state.dispi[ENABLE] & CAPABILITIES:
        limits = {X: MOST_X, Y: MOST_Y, BPP: MOST_BPP}
        return limits.get(index, state.dispi[index])
    if index == VIRTUAL_HEIGHT and state.extended:
        mode = mode_of(state.dispi)
        return min(VIDEO_MEMORY // (4 if mode.depth == 4 else 1) // mode.pitch, 0xFFFF)
    return state.dispi[index]


def write(state: VgaState, index: int, value: int) -> bool:
    """Change a register. True if video memory is to be cleared."""
    if index >= DISPI_REGISTERS or index in (MEMORY_64K, VIRTUAL_HEIGHT):
        return False
    dispi, before = state.dispi, state.extended
    if index == ID:
        dispi[ID] = value if FIRST_ID <= value <= LAST_ID else dispi[ID]
        return False
    if index == BANK:
        dispi[BANK] = value if value < BANKS else dispi[BANK]
        return False
    dispi[index] = value
    if index == ENABLE:
        dispi[BANK] = 0
        if value & ENABLED and not before:
            dispi[VIRTUAL_WIDTH] = dispi[X_OFFSET] = dispi[Y_OFFSET] = 0
    if state.extended:
        _settle(state)
    return index == ENABLE and state.extended and not before and not value & 0x80


def _settle(state: VgaState) -> None:
    """The mode that there is, in its own registers and in those of the VGA that have a part."""
    dispi, mode = state.dispi, mode_of(state.dispi)
    dispi[X], dispi[Y], dispi[BPP] = mode.width, mode.height, mode.depth
    dispi[VIRTUAL_WIDTH], dispi[X_OFFSET], dispi[Y_OFFSET] = mode.virtual_width, mode.x, mode.y
    graphics, sequencer = state.graphics, state.sequencer
    kept = graphics[MISCELLANEOUS] & ~(MEMORY_MAP << MEMORY_MAP_SHIFT)
    graphics[MISCELLANEOUS] = kept | A0000_64K << MEMORY_MAP_SHIFT | GRAPHICS_MODE
    graphics[MODE] &= ~(INTERLEAVED_SHIFT | SHIFT_256)
    sequencer[MEMORY_MODE] |= NO_ODD_EVEN
    if mode.depth == 4:
        sequencer[MEMORY_MODE] &= ~CHAIN_4
    else:
        graphics[MODE] |= SHIFT_256
        sequencer[MEMORY_MODE] |= CHAIN_4
        sequencer[MAP_MASK] |= 0xF
