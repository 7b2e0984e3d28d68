# SPDX-License-Identifier: BSD-2-Clause
"""Pictures and text of text modes, from registers and video memory."""

from __future__ import annotations

import mmap

import pytest

from manager.devices.vga import registers as r
from manager.devices.vga.planes import Planes
from manager.devices.vga.ports import FRAME
from manager.devices.vga.state import VgaState, powered_on
from manager.screen.picture import Picture
from manager.screen.screen import Screen

GLYPH = 0x80
"""The rows of every character of the font here: its leftmost dot."""
GREY, BLACK, BLUE = (170, 170, 170), (0, 0, 0), (0, 0, 170)


class Text:
    """Text mode 3 with a font whose characters are all one column of dots."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, 1 << 18)
        self.planes = Planes(self.memory)
        self.state = text_mode()
        self.now = 0
        for number in range(256):
            for row in range(16):
                self.plane_2(32 * number + row, GLYPH)
        self.memory[: 32 << 10] = b"\x20\x07" * (16 << 10)
        for index, value in ((r.CURSOR_START, r.CURSOR_OFF), (r.CURSOR_END, 0)):
            self.state.crtc[index] = value
        for number in range(256):
            if number == 0x20:
                for row in range(16):
                    self.plane_2(32 * number + row, 0)

    def plane_2(self, offset: int, value: int) -> None:
        self.planes.write(offset, self.planes.read(offset) & 0xFF00FFFF | value << 16)

    def put(self, column: int, row: int, text: str, attribute: int = 7) -> None:
        for at, character in enumerate(text.encode("cp437")):
            place = 2 * (80 * row + column + at)
            self.memory[place : place + 2] = bytes((character, attribute))

    @property
    def screen(self) -> Screen:
        return Screen(self.state, self.memory, self.now)

    def dot(self, x: int, y: int) -> tuple[int, ...]:
        return dot(self.screen.picture(), x, y)


def text_mode() -> VgaState:
    state = powered_on(b"")
    state.misc, state.attribute_index = r.TEXT_MISC, r.PALETTE_ON
    for registers, content in (
        (state.sequencer, r.TEXT_SEQUENCER),
        (state.crtc, r.TEXT_CRTC),
        (state.graphics, r.TEXT_GRAPHICS),
        (state.attribute, r.TEXT_ATTRIBUTE),
        (state.palette, r.text_palette()),
    ):
        registers[: len(content)] = content
    return state


def dot(picture: Picture, x: int, y: int) -> tuple[int, ...]:
    at = 3 * (picture.width * y + x)
    return tuple(picture.pixels[at : at + 3])


@pytest.fixture
def text() -> Text:
    return Text()


def test_characters_are_told_by_code_page_437(text: Text) -> None:
    text.put(0, 0, "Grüße")
    text.put(70, 24, "─┐")
    text.memory[2 * 80] = 1

    lines = text.screen.lines()

    assert lines is not None
    assert (len(lines), lines[0], lines[1]) == (25, "Grüße", "☺")
    assert lines[24] == " " * 70 + "─┐"
    assert text.screen.mode == "text, 80x25"


def test_the_picture_has_nine_dots_for_a_character(text: Text) -> None:
    text.put(1, 2, "A", 0x17)
    picture = text.screen.picture()

    assert (picture.width, picture.height) == (720, 400)
    assert [dot(picture, x, 32) for x in (8, 9, 10, 17, 18)] == [BLACK, GREY, BLUE, BLUE, BLACK]


def test_eight_dots_make_it_narrower(text: Text) -> None:
    text.state.sequencer[r.CLOCKING] |= r.EIGHT_DOTS

    assert text.screen.picture().width == 640


def test_lines_of_boxes_join(text: Text) -> None:
    for row in range(16):
        text.plane_2(32 * 0xC4 + row, 0x01)
        text.plane_2(32 * 0x41 + row, 0x01)
    text.put(0, 0, "─A")
    picture = text.screen.picture()

    assert [dot(picture, x, 0) for x in (7, 8, 16, 17)] == [GREY, GREY, GREY, BLACK]


def test_a_blinking_character_is_there_half_of_the_time(text: Text) -> None:
    text.put(0, 0, "A", 0x87)
    seen = []
    for frame in range(0, 64, 8):
        text.now = frame * FRAME
        seen.append(text.dot(0, 0))

    assert seen == ([GREY] * 2 + [BLACK] * 2) * 2


def test_without_blinking_there_are_sixteen_backgrounds(text: Text) -> None:
    text.state.attribute[r.MODE_REGISTER] &= ~r.BLINK
    text.put(0, 0, "A", 0x97)

    assert text.dot(1, 0) == (85, 85, 255)


def test_the_cursor_blinks_where_it_is(text: Text) -> None:
    text.state.crtc[r.CURSOR_START], text.state.crtc[r.CURSOR_END] = 13, 14
    text.state.crtc[r.CURSOR_LOW] = 81
    on = [text.dot(9 * 1 + 4, 16 + line) for line in (12, 13, 14, 15)]
    text.now = 8 * FRAME

    assert on == [BLACK, GREY, GREY, BLACK]
    assert text.dot(9 * 1 + 4, 16 + 13) == BLACK


def test_the_screen_may_begin_anywhere(text: Text) -> None:
    text.put(0, 5, "here")
    text.state.crtc[r.START_LOW], text.state.crtc[r.START_HIGH] = 400 & 0xFF, 400 >> 8

    lines = text.screen.lines()

    assert lines is not None
    assert lines[0] == "here"


def test_fifty_rows_of_eight_lines(text: Text) -> None:
    text.state.crtc[r.MAXIMUM_SCAN] = 0x47
    text.put(0, 49, "last")

    lines = text.screen.lines()

    assert lines is not None
    assert (len(lines), lines[49]) == (50, "last")
    assert text.screen.mode == "text, 80x50"


def test_the_lower_part_may_begin_anew(text: Text) -> None:
    text.put(0, 0, "status")
    text.put(0, 10, "text")
    text.state.crtc[r.START_HIGH], text.state.crtc[r.START_LOW] = 800 >> 8, 800 & 0xFF
    text.state.crtc[r.OVERFLOW] &= ~0x10
    text.state.crtc[r.MAXIMUM_SCAN] &= ~0x40
    text.state.crtc[r.LINE_COMPARE] = 159

    lines = text.screen.lines()

    assert lines is not None
    assert (lines[0], lines[10]) == ("text", "status")


def test_two_fonts_at_once(text: Text) -> None:
    text.state.sequencer[r.CHARACTER_MAP] = 0b000100  # attribute bit 3: the font at 4000h
    text.plane_2(0x4000 + 32 * 0x41, 0x40)
    text.put(0, 0, "A", 0x0F)

    assert text.dot(0, 0) == BLACK
    assert text.dot(1, 0) == (255, 255, 255)


def test_a_palette_of_eight_bits(text: Text) -> None:
    text.state.dispi[r.ENABLE] = r.EIGHT_BIT_DAC
    text.state.palette[21:24] = bytes((250, 1, 2))
    text.put(0, 0, "A")

    assert text.dot(0, 0) == (250, 1, 2)


def test_a_screen_that_is_off_is_black_and_has_its_size(text: Text) -> None:
    text.put(0, 0, "A")
    text.state.attribute_index = 0

    picture = text.screen.picture()

    assert (picture.width, picture.height) == (720, 400)
    assert not any(picture.pixels)
    assert text.screen.mode == "off"


def test_registers_without_a_mode_are_a_black_picture() -> None:
    screen = Screen(powered_on(b""), bytes(1 << 18), 0)

    picture = screen.picture()

    assert (picture.width, picture.height, any(picture.pixels)) == (640, 480, False)
    assert (screen.mode, screen.lines()) == ("off", [])
