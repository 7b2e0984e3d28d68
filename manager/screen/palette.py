# SPDX-License-Identifier: BSD-2-Clause
"""From the numbers of colours to red, green and blue."""

from __future__ import annotations

from manager.devices.vga import registers as r
from manager.devices.vga.state import VgaState


def dac(state: VgaState) -> tuple[bytes, bytes, bytes]:
    """Red, green and blue of the 256 colours of the palette, 8 bits each."""
    red, green, blue = (bytes(state.palette[n::3]) for n in range(3))
    if not state.dispi[r.ENABLE] & r.EIGHT_BIT_DAC:
        wide = bytes((n & 0x3F) << 2 | (n & 0x3F) >> 4 for n in range(256))
        red, green, blue = red.translate(wide), green.translate(wide), blue.translate(wide)
    mask = bytes(n & state.pel_mask for n in range(256))
    return mask.translate(red), mask.translate(green), mask.translate(blue)


def attribute_colours(state: VgaState) -> bytes:
    """The palette's numbers of the 16 colours of text and planar modes."""
    attribute = state.attribute
    select, enabled = attribute[r.COLOUR_SELECT], attribute[r.PLANE_ENABLE]
    found = bytearray()
    for number in range(16):
        colour = attribute[number & enabled] & 0x3F
        if attribute[r.MODE_REGISTER] & r.COLOUR_SELECT_ON:
            colour = colour & 0x0F | select << 4 & 0x30
        found.append(colour | select << 4 & 0xC0)
    return bytes(found)


def sixteen(state: VgaState) -> tuple[bytes, bytes, bytes]:
    """Red, green and blue of the 16 colours, as tables for bytes.translate."""
    numbers = attribute_colours(state) * 16
    red, green, blue = dac(state)
    return numbers.translate(red), numbers.translate(green), numbers.translate(blue)


def to_rgb(dots: bytes, tables: tuple[bytes, bytes, bytes]) -> bytes:
    """Pixels of dots that are numbers of colours."""
    pixels = bytearray(3 * len(dots))
    for place, table in enumerate(tables):
        pixels[place::3] = dots.translate(table)
    return bytes(pixels)
