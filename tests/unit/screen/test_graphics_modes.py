# SPDX-License-Identifier: BSD-2-Clause
"""Pictures of graphics modes, from registers and video memory."""

from __future__ import annotations

import mmap
import random

import pytest

from manager.bus.record import to_plain
from manager.devices.vga import registers as r
from manager.devices.vga.planes import Planes
from manager.devices.vga.state import VIDEO_MEMORY, VgaState, powered_on
from manager.screen.picture import Picture
from manager.screen.screen import Screen

MODE_12H = {
    "misc": 0xE3,
    "sequencer": "0301 0f00 06".replace(" ", ""),
    "crtc": "5f4f508254800b3e0040000000000000ea8cdf2800e704e3ff",
    "graphics": "000000000000050fff",
    "attribute": "000102030405143738393a3b3c3d3e3f01000f0000",
}
"""640x480 in 16 colours (IBM VGA XGA Technical Reference)."""
MODE_13H = {
    "misc": 0x63,
    "sequencer": "03010f000e",
    "crtc": "5f4f50825480bf1f00410000000000009c8e8f284096b9a3ff",
    "graphics": "000000000040050fff",
    "attribute": "000102030405060708090a0b0c0d0e0f41000f0000",
}
"""320x200 in 256 colours."""


class Card:
    """Registers, memory and a palette whose colour n is n, 0, 63 - n."""

    def __init__(self, mode: dict[str, str | int] | None = None) -> None:
        self.memory = mmap.mmap(-1, VIDEO_MEMORY)
        self.state = powered_on(b"")
        self.state.attribute_index = r.PALETTE_ON
        for number in range(256):
            self.state.palette[3 * number : 3 * number + 3] = bytes(
                (number & 63, 0, 63 - (number & 63))
            )
        for name, content in (mode or {}).items():
            if isinstance(content, int):
                setattr(self.state, name, content)
            else:
                registers = bytes.fromhex(content)
                getattr(self.state, name)[: len(registers)] = registers
        self.planes = Planes(self.memory)
        self.planes.interleaved = self.state.interleaved

    def dispi(self, width: int, height: int, depth: int) -> None:
        self.state.dispi[1:5] = [width, height, depth, 1]

    @property
    def picture(self) -> Picture:
        return Screen(self.state, self.memory, 0).picture()


def dot(picture: Picture, x: int, y: int) -> tuple[int, ...]:
    at = 3 * (picture.width * y + x)
    return tuple(picture.pixels[at : at + 3])


def colour(number: int) -> tuple[int, int, int]:
    """Of the palette of a Card, 8 bits each."""
    red, blue = number & 63, 63 - (number & 63)
    return red << 2 | red >> 4, 0, blue << 2 | blue >> 4


def test_mode_12h_takes_a_bit_of_each_plane() -> None:
    card = Card(MODE_12H)
    card.planes.write(80 * 3 + 1, 0x80 | 0x80 << 16 | 0x01 << 24)
    picture = card.picture

    assert (picture.width, picture.height) == (640, 480)
    attribute = card.state.attribute
    assert dot(picture, 8, 3) == colour(attribute[0b0101])
    assert dot(picture, 15, 3) == colour(attribute[0b1000])
    assert dot(picture, 9, 3) == colour(attribute[0])


def test_mode_12h_pans_by_dots() -> None:
    card = Card(MODE_12H)
    card.planes.write(0, 0x10)
    card.state.attribute[r.PIXEL_PANNING] = 3

    assert dot(card.picture, 0, 0) == colour(card.state.attribute[1])


def test_mode_13h_is_a_byte_for_a_dot() -> None:
    card = Card(MODE_13H)
    card.memory[:64000] = bytes(n * 7 & 0xFF for n in range(64000))
    picture = card.picture

    assert (picture.width, picture.height) == (320, 200)
    for x, y in ((0, 0), (319, 0), (5, 100), (319, 199)):
        assert dot(picture, x, y) == colour((320 * y + x) * 7 & 0xFF)


def test_mode_x_shows_what_lies_in_the_planes() -> None:
    card = Card(MODE_13H)
    card.state.sequencer[r.MEMORY_MODE] = 0x06
    card.planes.interleaved = False
    card.planes.write(80, 0x04030201)
    card.state.crtc[r.START_LOW] = 80

    assert [dot(card.picture, x, 0) for x in range(4)] == [colour(n + 1) for n in range(4)]


def test_cga_rows_are_in_two_banks() -> None:
    card = Card(MODE_13H)
    card.state.sequencer[r.MEMORY_MODE] = 0x02
    card.planes.interleaved = False
    crtc = card.state.crtc
    crtc[r.HORIZONTAL_END], crtc[r.ROW_OFFSET] = 39, 20
    crtc[r.MAXIMUM_SCAN], crtc[r.MODE_CONTROL] = 0xC1, 0xA2
    card.state.graphics[r.MODE] = 0x30
    card.memory[0] = 0b00_01_10_11
    card.memory[1] = 0b11_00_00_00
    card.memory[0x2000] = 0b01_00_00_00
    picture = card.picture

    assert (picture.width, picture.height) == (320, 200)
    assert [dot(picture, x, 0) for x in range(5)] == [colour(n) for n in (0, 1, 2, 3, 3)]
    assert dot(picture, 0, 1) == colour(1)
    assert dot(picture, 0, 2) == colour(0)


@pytest.mark.parametrize(
    ("depth", "content", "expected"),
    [
        (8, b"\x2a", colour(0x2A)),
        (15, (21 << 10 | 2 << 5 | 31).to_bytes(2, "little"), (173, 16, 255)),
        (16, (21 << 11 | 33 << 5 | 1).to_bytes(2, "little"), (173, 134, 8)),
        (24, b"\x01\x02\x03", (3, 2, 1)),
        (32, b"\x01\x02\x03\xff", (3, 2, 1)),
    ],
)
def test_linear_modes(depth: int, content: bytes, expected: tuple[int, ...]) -> None:
    card = Card()
    card.dispi(640, 480, depth)
    at = (640 * 2 + 5) * len(content)
    card.memory[at : at + len(content)] = content

    picture = card.picture

    assert (picture.width, picture.height) == (640, 480)
    assert dot(picture, 5, 2) == expected


def test_pixels_may_be_big_endian() -> None:
    card = Card()
    card.dispi(640, 480, 32)
    card.state.big_endian = True
    card.memory[:4] = b"\0\x09\x08\x07"

    assert dot(card.picture, 0, 0) == (9, 8, 7)


def test_sixteen_colours_in_a_dispi_mode() -> None:
    card = Card(MODE_12H)
    card.dispi(800, 600, 4)
    card.planes.interleaved = True
    card.planes.write(100 * 599 + 99, 0x01 | 0x01 << 8)
    picture = card.picture

    assert (picture.width, picture.height) == (800, 600)
    assert dot(picture, 799, 599) == colour(card.state.attribute[3])


def test_a_virtual_screen_pans() -> None:
    card = Card()
    card.dispi(640, 480, 8)
    card.state.dispi[r.VIRTUAL_WIDTH] = 1000
    card.state.dispi[r.X_OFFSET], card.state.dispi[r.Y_OFFSET] = 7, 9
    card.memory[1000 * 9 + 7] = 5

    assert dot(card.picture, 0, 0) == colour(5)


def test_a_picture_is_no_larger_than_a_monitor_whatever_the_registers_hold() -> None:
    chance = random.Random(1)
    memory = mmap.mmap(-1, VIDEO_MEMORY)
    for _ in range(25):
        state = VgaState()
        for name, value in to_plain(state).items():
            if isinstance(value, bytes) and name != "rom":
                setattr(state, name, bytearray(chance.randbytes(len(value))))
        state.dispi = [chance.choice((0, 1, 4, 640, 0x7FFF, 0xFFFF)) for _ in state.dispi]
        state.attribute_index = chance.choice((0, 0x20))
        screen = Screen(state, memory, chance.getrandbits(62))

        picture = screen.picture()

        assert len(picture.pixels) == 3 * picture.width * picture.height
        assert picture.width <= 2560
        assert picture.height <= 1600
        assert isinstance(screen.mode, str)
        assert screen.lines() is None or len(screen.lines() or ()) <= 1024
