# SPDX-License-Identifier: BSD-2-Clause
"""Graphics modes: planes, CGA's four colours, 256 colours, and the linear modes of the dispi."""

from __future__ import annotations

import struct
from itertools import chain
from mmap import mmap

from manager.devices.vga import dispi
from manager.devices.vga import registers as r
from manager.devices.vga.planes import plane
from manager.devices.vga.state import VgaState
from manager.screen.layout import Frame, frame
from manager.screen.palette import dac, sixteen, to_rgb
from manager.screen.picture import Picture

Tables = tuple[bytes, bytes, bytes]
PLANE = 1 << 16
_EIGHT = tuple(bytes(n >> bit & 1 for bit in range(7, -1, -1)) for n in range(256))
"""The eight dots of a byte."""
_PAIRS = tuple(bytes(n >> bit & 3 for bit in (6, 4, 2, 0)) for n in range(256))
"""The four dots of a byte of two bits each."""


def standard(state: VgaState, memory: bytes | mmap) -> tuple[int, int, bytes, Tables]:
    """Width, height, a number for each dot, and what colours these are, in a mode of a VGA."""
    shown = frame(state)
    if state.graphics[r.MODE] & r.SHIFT_256:
        return _chunky(state, memory, shown)
    planes = [plane(memory, n, state.interleaved) * 2 for n in range(4)]
    if state.graphics[r.MODE] & r.INTERLEAVED_SHIFT:
        return *_cga(planes, shown), sixteen(state)
    rows = [_planar(planes, address, shown.columns + 1) for address, _ in shown.rows()]
    panned = state.attribute[r.PIXEL_PANNING] & 7
    width = 8 * shown.columns
    dots = b"".join(row[panned : panned + width] for row in rows)
    return width, shown.lines, dots, sixteen(state)


def _planar(planes: list[bytes], start: int, length: int) -> bytes:
    """The dots of `length` bytes of four planes."""
    parts = (
        b"".join(map(_EIGHT.__getitem__, content[start : start + length])) for content in planes
    )
    size = 8 * length
    number = sum(int.from_bytes(dots, "little") << bit for bit, dots in enumerate(parts))
    return number.to_bytes(size, "little")


def _cga(planes: list[bytes], shown: Frame) -> tuple[int, int, bytes]:
    """Two bits for each dot: four from a byte of plane 0, then four from one of plane 1."""
    rows = []
    for address, _ in shown.rows():
        end = address + shown.columns
        pairs = zip(planes[0][address:end], planes[1][address:end], strict=True)
        rows.append(b"".join(map(_PAIRS.__getitem__, chain.from_iterable(pairs))))
    return 8 * shown.columns, shown.lines, b"".join(rows)


def _chunky(state: VgaState, memory: bytes | mmap, shown: Frame) -> tuple[int, int, bytes, Tables]:
    """A byte for each dot, from the four planes in turn: mode 13h and what is made of it."""
    planes = [plane(memory, n, state.interleaved) * 2 for n in range(4)]
    dots = bytearray(8 * PLANE)
    for number, content in enumerate(planes):
        dots[number::4] = content
    width = 4 * shown.columns
    panned = state.attribute[r.PIXEL_PANNING] >> 1 & 3
    starts = (4 * address + panned for address, _ in shown.rows())
    return width, shown.lines, b"".join(dots[at : at + width] for at in starts), dac(state)


def extended(state: VgaState, memory: bytes | mmap) -> Picture:
    """A mode of the dispi. Bytes of a pixel are blue, green, red; the first is the lowest."""
    mode = dispi.mode_of(state.dispi)
    if mode.depth == 4:
        return _extended_planar(state, memory, mode)
    size = (mode.depth + 7) // 8
    starts = range(mode.y * mode.pitch + mode.x * size, 1 << 30, mode.pitch)[: mode.height]
    rows = b"".join(memory[at : at + mode.width * size] for at in starts)
    if mode.depth == 8:
        pixels = to_rgb(rows, dac(state))
    elif size == 2:
        pixels = _of_words(rows, mode.depth, state.big_endian)
    else:
        pixels = _of_bytes(rows, size, state.big_endian)
    return Picture(mode.width, mode.height, pixels)


def _extended_planar(state: VgaState, memory: bytes | mmap, mode: dispi.Mode) -> Picture:
    planes = [memory[n::4] for n in range(4)]
    rows = []
    for line in range(mode.y, mode.y + mode.height):
        start = line * mode.pitch + (mode.x >> 3)
        dots = _planar(planes, start, mode.width // 8 + 1)
        rows.append(dots[mode.x & 7 : (mode.x & 7) + mode.width])
    return Picture(mode.width, mode.height, to_rgb(b"".join(rows), sixteen(state)))


def _of_bytes(rows: bytes, size: int, big_endian: bool) -> bytes:
    pixels = bytearray(len(rows) // size * 3)
    for place in range(3):
        pixels[place::3] = rows[size - 3 + place if big_endian else 2 - place :: size]
    return bytes(pixels)


def _of_words(rows: bytes, depth: int, big_endian: bool) -> bytes:
    """Five bits of each colour, or six of green."""
    words = struct.unpack(f"{'>' if big_endian else '<'}{len(rows) // 2}H", rows)
    green = 6 if depth == 16 else 5
    five = bytes(n << 3 | n >> 2 for n in range(32))
    middle = bytes(n << 2 | n >> 4 for n in range(64)) if green == 6 else five
    pixels = bytearray(3 * len(words))
    pixels[0::3] = bytes(five[word >> 5 + green & 31] for word in words)
    pixels[1::3] = bytes(middle[word >> 5 & (1 << green) - 1] for word in words)
    pixels[2::3] = bytes(five[word & 31] for word in words)
    return bytes(pixels)
