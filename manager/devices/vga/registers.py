# SPDX-License-Identifier: BSD-2-Clause
"""Registers of a VGA: their indices, bits, and what they hold in text mode 3.

Source: IBM VGA XGA Technical Reference (1992), video subsystem. Bochs's VBE extensions ("dispi")
are as QEMU's docs/specs/standard-vga and SeaBIOS's vgasrc/bochsvga.h describe them.
"""

from __future__ import annotations

# Ports; a colour adapter has the CRT controller at 3Dxh, a monochrome one at 3Bxh.
ATTRIBUTE, ATTRIBUTE_READ = 0x3C0, 0x3C1
MISC_WRITE, MISC_READ = 0x3C2, 0x3CC
SEQUENCER, SEQUENCER_DATA = 0x3C4, 0x3C5
PEL_MASK, DAC_READ_INDEX, DAC_WRITE_INDEX, DAC_DATA = 0x3C6, 0x3C7, 0x3C8, 0x3C9
FEATURE_READ = 0x3CA
GRAPHICS, GRAPHICS_DATA = 0x3CE, 0x3CF
CRTC, CRTC_DATA, STATUS_1 = 0x3D4, 0x3D5, 0x3DA
MONOCHROME_AWAY = 0x20  # 3Dxh less this is 3Bxh
DISPI_INDEX, DISPI_DATA = 0x1CE, 0x1CF

# Miscellaneous output
MISC_COLOUR = 0x01  # the CRT controller is at 3Dxh
MISC_RAM = 0x02  # the window is open

# Input status 1
DISPLAY_OFF = 0x01  # the beam is outside of the picture
RETRACE = 0x08

# Sequencer
CLOCKING, MAP_MASK, CHARACTER_MAP, MEMORY_MODE = 1, 2, 3, 4
EIGHT_DOTS = 0x01  # of CLOCKING: characters are 8 wide, not 9
SCREEN_OFF = 0x20
NO_ODD_EVEN = 0x04  # of MEMORY_MODE
CHAIN_4 = 0x08

# CRT controller
HORIZONTAL_END, OVERFLOW, PRESET_ROW, MAXIMUM_SCAN = 0x01, 0x07, 0x08, 0x09
CURSOR_START, CURSOR_END = 0x0A, 0x0B
START_HIGH, START_LOW, CURSOR_HIGH, CURSOR_LOW = 0x0C, 0x0D, 0x0E, 0x0F
RETRACE_END, VERTICAL_END, ROW_OFFSET = 0x11, 0x12, 0x13
MODE_CONTROL, LINE_COMPARE = 0x17, 0x18
PROTECTED = 0x80  # of RETRACE_END: registers 0 to 7 keep their values
PROTECT_END = 7
LINE_COMPARE_8 = 0x10  # of OVERFLOW, the one bit there that is not protected
CURSOR_OFF = 0x20
DOUBLE_SCAN = 0x80  # of MAXIMUM_SCAN
NO_CGA_ROWS = 0x01  # of MODE_CONTROL: the row scan counter is no address bit
BYTE_MODE = 0x40

# Graphics controller
SET_RESET, ENABLE_SET_RESET, COLOUR_COMPARE, ROTATE = 0, 1, 2, 3
READ_MAP, MODE, MISCELLANEOUS, COLOUR_CARE, BIT_MASK = 4, 5, 6, 7, 8
FUNCTION = 0x18  # of ROTATE: replace, and, or, xor
COUNT = 0x07
WRITE_MODE, READ_MODE_1, ODD_EVEN_READ = 0x03, 0x08, 0x10
INTERLEAVED_SHIFT, SHIFT_256 = 0x20, 0x40
GRAPHICS_MODE = 0x01  # of MISCELLANEOUS
MEMORY_MAP_SHIFT, MEMORY_MAP = 2, 0x03
A0000_64K = 1

# Attribute controller
PALETTE_ON = 0x20  # of the index: the screen shows the picture
MODE_REGISTER, PLANE_ENABLE, PIXEL_PANNING, COLOUR_SELECT = 0x10, 0x12, 0x13, 0x14
LINE_GRAPHICS, BLINK, COLOUR_SELECT_ON = 0x04, 0x08, 0x80

# dispi
ID, X, Y, BPP, ENABLE, BANK = 0, 1, 2, 3, 4, 5
VIRTUAL_WIDTH, VIRTUAL_HEIGHT, X_OFFSET, Y_OFFSET, MEMORY_64K = 6, 7, 8, 9, 10
DISPI_REGISTERS = 11
FIRST_ID, LAST_ID = 0xB0C0, 0xB0C5
ENABLED, CAPABILITIES, EIGHT_BIT_DAC, LINEAR, NO_CLEAR = 0x01, 0x02, 0x20, 0x40, 0x80
MOST_X, MOST_Y, MOST_BPP = 2560, 1600, 32
DEPTHS = (4, 8, 15, 16, 24, 32)

# Text mode 3: 80x25, 16 colours, 9x16 dots.
TEXT_MISC = 0x67
TEXT_SEQUENCER = bytes.fromhex("0300030002")
TEXT_CRTC = bytes.fromhex("5f4f508255 81bf1f004f0d0e00000000 9c8e8f281f96b9a3ff")
TEXT_GRAPHICS = bytes.fromhex("0000000000100e00ff")
TEXT_ATTRIBUTE = bytes.fromhex("000102030405140738393a3b3c3d3e3f0c000f0800")


def text_palette() -> bytes:
    """The 64 colours of an EGA: bits 0-2 are two thirds of blue, green, red, bits 3-5 one third."""
    full, part = 42, 21
    colours = (
        full * (n >> bit & 1) + part * (n >> bit + 3 & 1) for n in range(64) for bit in (2, 1, 0)
    )
    return bytes(colours)
