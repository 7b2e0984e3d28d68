# SPDX-License-Identifier: BSD-2-Clause
"""Text modes: the characters on the screen, and the dots of them."""

from __future__ import annotations

from functools import lru_cache
from mmap import mmap

from manager.devices.vga import registers as r
from manager.devices.vga.planes import plane
from manager.devices.vga.ports import FRAME
from manager.devices.vga.state import VgaState
from manager.lazy import dataclass
from manager.screen.layout import Frame, frame

_LOW = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼"
CHARACTERS = _LOW + bytes(range(32, 127)).decode() + "⌂" + bytes(range(128, 256)).decode("cp437")
"""What the 256 characters of a PC's font look like: code page 437."""
CHARACTERS = CHARACTERS.replace("\xa0", " ")
FONTS = (0x0000, 0x4000, 0x8000, 0xC000, 0x2000, 0x6000, 0xA000, 0xE000)
"""Where in plane 2 the eight fonts are."""
GLYPH = 32
CURSOR_FRAMES, BLINK_FRAMES = 8, 16
"""How long the cursor, and blinking characters, are on and then off."""
LINE_DRAWING = range(0xC0, 0xE0)
"""Characters whose ninth dot is that of the eighth."""
PLANE_MASK = 0xFFFF


@dataclass(frozen=True, slots=True)
class Cells:
    """Characters and attributes of both planes, 64 KiB each."""

    characters: bytes
    attributes: bytes


def lines(state: VgaState, memory: bytes | mmap) -> list[str]:
    """The rows of the screen as text, without blanks at their ends."""
    shown = frame(state)
    characters = plane(memory, 0, state.interleaved)
    first, *others = shown.rows()
    starts = [first[0], *(address for address, scan in others if scan == 0)]
    rows = (_wrapped(characters, start, shown.columns) for start in starts)
    return ["".join(map(CHARACTERS.__getitem__, row)).rstrip() for row in rows]


def dots(state: VgaState, memory: bytes | mmap, now: int) -> tuple[int, int, bytes]:
    """Width, height, and a number of one of the 16 colours for each dot."""
    shown = frame(state)
    cells = Cells(plane(memory, 0, state.interleaved), plane(memory, 1, state.interleaved))
    drawn = _Drawing(state, plane(memory, 2, state.interleaved), cells, shown, now)
    rows = b"".join(drawn.line(address, scan) for address, scan in shown.rows())
    return shown.columns * drawn.width, shown.lines, rows


class _Drawing:
    """What all lines of a frame have in common."""

    def __init__(self, state: VgaState, fonts: bytes, cells: Cells, shown: Frame, now: int) -> None:
        self.width = 8 if state.sequencer[r.CLOCKING] & r.EIGHT_DOTS else 9
        self._cells = cells
        self._glyphs: dict[int, tuple[bytes, ...]] = {}
        self._rows: dict[int, list[tuple[bytes, ...]]] = {}
        self._columns = shown.columns
        self._fonts = fonts
        select = state.sequencer[r.CHARACTER_MAP]
        self._first = FONTS[select & 3 | select >> 2 & 4]
        self._second = FONTS[select >> 2 & 3 | select >> 3 & 4]
        mode = state.attribute[r.MODE_REGISTER]
        self._blinks = bool(mode & r.BLINK)
        self._joins = bool(mode & r.LINE_GRAPHICS)
        count = now // FRAME
        self._hidden = self._blinks and count // BLINK_FRAMES & 1 == 1
        crtc = state.crtc
        start, end = crtc[r.CURSOR_START], crtc[r.CURSOR_END] & 0x1F
        visible = not start & r.CURSOR_OFF and count // CURSOR_FRAMES & 1 == 0
        self._cursor = range(start & 0x1F, end + 1) if visible else range(0)
        self._cursor_at = crtc[r.CURSOR_HIGH] << 8 | crtc[r.CURSOR_LOW]

    def line(self, address: int, scan: int) -> bytes:
        """The dots of one line of a row of characters."""
        pieces = [glyph[scan] for glyph in self._row(address)]
        column = self._cursor_at - address & PLANE_MASK
        if scan in self._cursor and column < self._columns:
            attribute = self._cells.attributes[self._cursor_at & PLANE_MASK]
            pieces[column] = bytes((attribute & 0xF,)) * self.width
        return b"".join(pieces)

    def _row(self, address: int) -> list[tuple[bytes, ...]]:
        """The characters of a row, which all of its lines share."""
        if address not in self._rows:
            characters = _wrapped(self._cells.characters, address, self._columns)
            attributes = _wrapped(self._cells.attributes, address, self._columns)
            self._rows[address] = list(map(self._glyph, characters, attributes))
        return self._rows[address]

    def _glyph(self, character: int, attribute: int) -> tuple[bytes, ...]:
        """The dots of each line of a character."""
        key = character << 8 | attribute
        if key not in self._glyphs:
            foreground, background = attribute & 0xF, attribute >> 4
            if self._blinks:
                background &= 7
                if attribute & 0x80 and self._hidden:
                    foreground = background
            start = (self._second if attribute & 8 else self._first) + GLYPH * character
            joins = self._joins and character in LINE_DRAWING
            self._glyphs[key] = tuple(
                _dots(bits, foreground, background, self.width, joins)
                for bits in self._fonts[start : start + GLYPH]
            )
        return self._glyphs[key]


@lru_cache(maxsize=1 << 14)
def _dots(bits: int, foreground: int, background: int, width: int, joins: bool) -> bytes:
    """The dots of eight bits, and of the ninth."""
    colours = (background, foreground)
    ninth = colours[bits & 1 if joins else 0]
    return bytes([*(colours[bits >> at & 1] for at in range(7, -1, -1)), ninth][:width])


def _wrapped(content: bytes, start: int, length: int) -> bytes:
    """Bytes of a plane, which begins again behind its end."""
    start &= PLANE_MASK
    part = content[start : min(start + length, PLANE_MASK + 1)]
    return part + content[: length - len(part)]
