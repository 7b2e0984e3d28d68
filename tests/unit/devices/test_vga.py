# SPDX-License-Identifier: BSD-2-Clause
"""A VGA as a program sees it through its ports and its window."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.whole_board import SCREEN, screen_graph

from manager.devices import vga
from manager.devices.vga.device import Vga
from manager.devices.vga.ports import FRAME, beam
from manager.errors import HostError
from manager.graph.build import check
from manager.testing.bench import Bench

WINDOW, TEXT = 0xA0000, 0xB8000
BAR = 0x10
DISPI_INDEX, DISPI_DATA = 0x1CE, 0x1CF
ONES = 0xFF


class Program:
    """Pokes at the card as a program of the 1990s does."""

    def __init__(self) -> None:
        self.bench = Bench(screen_graph())
        device = self.bench.device("slots.2")
        assert isinstance(device, Vga)
        self.vga = device
        self.outb, self.inb = (
            lambda port, value: self.bench.board.io.write(port, 1, value),
            lambda port: self.bench.board.io.read(port, 1),
        )

    def indexed(self, port: int, index: int, value: int) -> None:
        self.bench.board.io.write(port, 2, value << 8 | index)

    def sequencer(self, index: int, value: int) -> None:
        self.indexed(0x3C4, index, value)

    def graphics(self, index: int, value: int) -> None:
        self.indexed(0x3CE, index, value)

    def store(self, offset: int, value: int, size: int = 1) -> None:
        self.bench.board.addresses.write(WINDOW + offset, size, value)

    def load(self, offset: int, size: int = 1) -> int:
        return self.bench.board.addresses.read(WINDOW + offset, size)

    def planes(self, offset: int) -> list[int]:
        return [self.vga.planes.read(offset) >> 8 * n & 0xFF for n in range(4)]

    def dispi(self, index: int, value: int | None = None) -> int:
        self.bench.board.io.write(DISPI_INDEX, 2, index)
        if value is not None:
            self.bench.board.io.write(DISPI_DATA, 2, value)
        return self.bench.board.io.read(DISPI_DATA, 2)


@pytest.fixture
def program() -> Program:
    return Program()


@pytest.fixture
def planar(program: Program) -> Program:
    """In mode 12h, as far as the window is concerned."""
    program.outb(0x3C2, 0xE3)
    program.sequencer(2, 0x0F)
    program.sequencer(4, 0x06)
    program.graphics(5, 0x00)
    program.graphics(6, 0x05)
    program.graphics(8, 0xFF)
    return program


@pytest.fixture
def text(program: Program) -> Program:
    """In text mode 3, as the machine leaves it at power-on without firmware."""
    program.vga.start_text_mode()
    return program


def test_it_is_the_card_that_drivers_know(program: Program) -> None:
    pci = program.bench.board.pci

    assert pci.read(2, 0, 0, 4) == 0x1111_1234
    assert pci.read(2, 0, 8, 4) == 0x0300_0002
    pci.write(2, 0, BAR, 4, 0xFFFF_FFFF)
    assert pci.read(2, 0, BAR, 4) == 0xFF00_0008  # 16 MiB, prefetchable
    pci.write(2, 0, 0x30, 4, 0xFFFF_FFFE)
    assert pci.read(2, 0, 0x30, 4) == 0xFFFF_0000


def test_registers_keep_what_is_written_where_it_exists(program: Program) -> None:
    program.outb(0x3C2, 0x67)
    for port, index in ((0x3C4, 3), (0x3CE, 8), (0x3D4, 0x0E)):
        program.indexed(port, index, 0xA5)
        assert (program.inb(port), program.inb(port + 1)) == (index, 0xA5)
    assert program.inb(0x3CC) == 0x67


def test_the_attribute_port_takes_index_and_data_in_turn(program: Program) -> None:
    program.outb(0x3C2, 0x01)
    program.inb(0x3DA)
    for value in (0x11, 0x55, 0x30, 0x07):
        program.outb(0x3C0, value)
    program.outb(0x3C0, 0x11)
    program.inb(0x3DA)
    program.outb(0x3C0, 0x11)

    assert program.inb(0x3C1) == 0x55


def test_the_palette_takes_three_bytes_for_a_colour(program: Program) -> None:
    program.outb(0x3C8, 5)
    for value in (0x3F, 0x7F, 1, 9):  # a fourth begins the next
        program.outb(0x3C9, value)
    program.outb(0x3C7, 5)

    assert [program.inb(0x3C9) for _ in range(6)] == [0x3F, 0x3F, 1, 0, 0, 0]
    assert program.inb(0x3C8) == 7


def test_the_crt_controller_can_be_protected(program: Program) -> None:
    program.outb(0x3C2, 0x01)
    program.indexed(0x3D4, 0x11, 0x80)
    program.indexed(0x3D4, 1, 0x4F)
    program.indexed(0x3D4, 7, 0xFF)
    program.indexed(0x3D4, 0x12, 0x8F)

    assert (program.vga.state.crtc[1], program.vga.state.crtc[7]) == (0, 0x10)
    assert program.vga.state.crtc[0x12] == 0x8F


def test_a_monochrome_adapter_has_its_ports_elsewhere(program: Program) -> None:
    program.outb(0x3C2, 0x00)
    program.indexed(0x3B4, 0x0E, 0x12)

    assert (program.inb(0x3B5), program.inb(0x3D5)) == (0x12, ONES)


def test_retrace_comes_and_goes_with_virtual_time(program: Program) -> None:
    frame = [beam(at) for at in range(0, FRAME, 1000)]

    assert {0, 1, 9} == set(frame)
    assert frame.index(9) > len(frame) * 8 // 10
    assert [beam(at + FRAME) for at in range(0, FRAME, 1000)] == frame
    program.outb(0x3C2, 0x01)
    seen = set()
    for _ in range(400):
        program.bench.pass_time(100_000)
        seen.add(program.inb(0x3DA))
    assert seen == {0, 1, 9}


@pytest.mark.parametrize(
    ("registers", "value", "expected"),
    [
        ({}, 0x81, [0x81, 0x81, 0x81, 0x81]),
        ({3: 0x01}, 0x81, [0xC0, 0xC0, 0xC0, 0xC0]),  # rotated
        ({0: 0b0101, 1: 0b0011}, 0x3C, [0xFF, 0x00, 0x3C, 0x3C]),  # set/reset in two planes
        ({8: 0xF0}, 0xFF, [0xF1, 0xF2, 0xF3, 0xF4]),  # the rest is the latches'
        ({3: 0x08}, 0x0F, [0x01, 0x02, 0x03, 0x04]),  # and
        ({3: 0x10}, 0xF0, [0xF1, 0xF2, 0xF3, 0xF4]),  # or
        ({3: 0x18}, 0x01, [0x00, 0x03, 0x02, 0x05]),  # xor
        ({5: 1}, 0xAA, [0x01, 0x02, 0x03, 0x04]),  # mode 1: the latches
        ({5: 2, 8: 0x0F}, 0b1010, [0x00, 0x0F, 0x00, 0x0F]),  # mode 2: a colour
        ({5: 3, 0: 0b0110, 8: 0x3F}, 0xF0, [0x01, 0x32, 0x33, 0x04]),  # mode 3: value is a mask
    ],
)
def test_write_modes(
    planar: Program, registers: dict[int, int], value: int, expected: list[int]
) -> None:
    for plane in range(4):
        planar.sequencer(2, 1 << plane)
        planar.store(0x1234, plane + 1)
    planar.sequencer(2, 0x0F)
    planar.load(0x1234)  # into the latches
    for index, content in registers.items():
        planar.graphics(index, content)

    planar.store(0x2000, value)

    latches = [1, 2, 3, 4]
    assert planar.planes(0x1234) == latches
    assert planar.planes(0x2000) == expected


def test_the_map_mask_keeps_planes_from_being_written(planar: Program) -> None:
    planar.sequencer(2, 0b0101)
    planar.store(7, 0xEE)

    assert planar.planes(7) == [0xEE, 0, 0xEE, 0]


def test_read_modes(planar: Program) -> None:
    for plane, value in enumerate((0b1100, 0b1010, 0, 0b1111)):
        planar.sequencer(2, 1 << plane)
        planar.store(3, value)
    found = []
    for plane in range(4):
        planar.graphics(4, plane)
        found.append(planar.load(3))
    planar.graphics(5, 0x08)
    planar.graphics(2, 0b1011)
    planar.graphics(7, 0b1011)

    assert found == [0b1100, 0b1010, 0, 0b1111]
    assert planar.load(3) == 0b1000  # where planes 0, 1 and 3 are all ones


def test_accesses_may_be_wide(planar: Program) -> None:
    planar.store(0x10, 0x04030201, 4)

    assert [planar.planes(0x10 + n)[0] for n in range(4)] == [1, 2, 3, 4]
    assert planar.load(0x12, 2) == 0x0403


def test_text_is_characters_and_attributes_in_turn(text: Program) -> None:
    text.store(0x18000, 0x1F41, 2)

    assert text.planes(0)[:2] == [0x41, 0x1F]
    assert text.load(0x18000, 2) == 0x1F41
    assert text.vga.planes.memory[:2] == b"\x41\x1f"
    assert text.load(0) == ONES  # the window is at B8000h


def test_a_closed_window_is_open_to_nothing(text: Program) -> None:
    text.outb(0x3C2, 0x65)
    text.store(0x18000, 0)

    assert text.load(0x18000) == ONES
    assert text.planes(0)[0] == 0x20


def test_fonts_are_in_plane_2(text: Program) -> None:
    text.sequencer(2, 4)
    text.sequencer(4, 6)
    text.graphics(4, 2)
    text.graphics(5, 0)
    text.graphics(6, 4)
    text.store(0x41 * 32, 0x5A)

    assert text.load(0x41 * 32) == 0x5A
    assert text.planes(0x41 * 32) == [0x20, 0x07, 0x5A, 0]


def test_chain_4_is_a_row_of_bytes(planar: Program) -> None:
    planar.sequencer(4, 0x0E)
    for offset in range(8):
        planar.store(offset, offset + 1)

    assert planar.planes(0) == [1, 2, 3, 4]
    assert planar.planes(1) == [5, 6, 7, 8]
    assert planar.vga.planes.memory[:8] == bytes(range(1, 9))


def test_planes_keep_their_content_when_memory_is_laid_out_anew(planar: Program) -> None:
    for plane in range(4):
        planar.sequencer(2, 1 << plane)
        for offset in (0, 1, 0xFFFF):
            planar.store(offset, 0x10 * plane + offset % 7 + 1)
    before = [planar.planes(offset) for offset in (0, 1, 0xFFFF)]

    planar.sequencer(4, 0x0E)
    between = [planar.planes(offset) for offset in (0, 1, 0xFFFF)]
    planar.sequencer(4, 0x06)

    assert before == between == [planar.planes(offset) for offset in (0, 1, 0xFFFF)]


def test_dispi_says_what_it_is(program: Program) -> None:
    assert program.dispi(0) == 0xB0C5
    assert program.dispi(0, 0xB0C2) == 0xB0C2
    assert program.dispi(0, 0x1234) == 0xB0C2
    assert program.dispi(10) == 256
    program.dispi(4, 2)
    assert [program.dispi(n) for n in (1, 2, 3)] == [2560, 1600, 32]
    assert program.dispi(99) == 0


def set_mode(program: Program, width: int, height: int, depth: int, flags: int = 0x41) -> None:
    for index, value in ((4, 0), (1, width), (2, height), (3, depth), (4, flags)):
        program.dispi(index, value)


def test_a_mode_clears_memory_unless_told_not_to(program: Program) -> None:
    memory = program.vga.planes.memory
    for flags, left in ((0x41, 0), (0xC1, 9)):
        memory[5000] = 9
        set_mode(program, 320, 200, 32, flags)
        assert memory[5000] == left


def test_banks_are_seen_through_the_window(program: Program) -> None:
    program.outb(0x3C2, 0x63)
    program.graphics(8, 0xFF)
    set_mode(program, 640, 480, 8, 0x01)
    program.dispi(5, 3)
    program.store(0x10, 0x77)

    assert program.vga.planes.memory[0x30010] == 0x77
    assert program.load(0x10) == 0x77
    assert program.dispi(5, 256) == 3


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ((1024, 768, 32), (1024, 768, 32)),
        ((1920, 1200, 32), (1920, 1200, 32)),
        ((0xFFFF, 0xFFFF, 32), (2560, 1600, 32)),
        ((0, 0, 7), (8, 1, 8)),
        ((803, 600, 24), (800, 600, 24)),
    ],
)
def test_a_mode_that_cannot_be_becomes_one_that_can(
    program: Program, asked: tuple[int, int, int], given: tuple[int, int, int]
) -> None:
    set_mode(program, *asked)

    assert tuple(program.dispi(n) for n in (1, 2, 3)) == given


def test_a_virtual_screen_is_as_high_as_memory_allows(program: Program) -> None:
    set_mode(program, 640, 480, 32)
    program.dispi(6, 1024)

    assert program.dispi(6) == 1024
    assert program.dispi(7) == 4096
    assert (program.dispi(8, 500), program.dispi(9, 9999)) == (384, 4096 - 480)


def test_bar_2_has_the_registers_once_more(program: Program) -> None:
    base = program.bench.board.pci.read(2, 0, BAR + 8, 4)
    bus = program.bench.board.addresses
    bus.write(base + 0x40C, 1, 0x00)  # nothing: 3CCh cannot be written
    bus.write(base + 0x402, 1, 0x67)
    bus.write(base + 0x502, 2, 800)

    assert bus.read(base + 0x40C, 1) == 0x67
    assert program.dispi(1) == 800
    assert bus.read(base + 0x500, 4) == 800 << 16 | 0xB0C5
    assert (bus.read(base + 0x600, 4), bus.read(base + 0x604, 4)) == (8, 0x1E1E1E1E)
    bus.write(base + 0x604, 4, 0xBEBEBEBE)
    assert bus.read(base + 0x604, 4) == 0xBEBEBEBE
    assert bus.read(base + 0x700, 4) == 0


def test_the_rom_is_there_when_it_is_asked_for(program: Program) -> None:
    pci, bus = program.bench.board.pci, program.bench.board.addresses
    place = pci.read(2, 0, 0x30, 4)
    pci.write(2, 0, 0x30, 4, place | 1)

    content = bytes(program.vga.state.rom)
    assert bus.read(place + 4, 4) == int.from_bytes(content[4:8], "little")
    assert bus.read(place + 0xFFFC, 4) == 0xFFFF_FFFF


def machine_file(folder: Path, bios: str = "") -> Path:
    file = folder / "m.toml"
    file.write_text(SCREEN.replace(SCREEN[SCREEN.index("bios =") :], bios))
    (folder / "guest.bin").write_bytes(b"\xf4")
    return file


def test_a_bios_that_is_not_there_is_told_at_its_slot(tmp_path: Path) -> None:
    file = machine_file(tmp_path, 'bios = "gone.bin"')

    (found,) = check(file).diagnostics

    assert found.code == "VM070"
    assert found.message.startswith("slots.2: ")
    assert found.message.endswith("gone.bin: no such file")
    with pytest.raises(HostError, match="No such file"):
        Bench(file)


def test_seavgabios_that_is_not_installed_names_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vga, "PLACES", (str(tmp_path),))

    (found,) = check(machine_file(tmp_path)).diagnostics

    assert "vgabios-stdvga.bin: no such file" in found.message
    assert "apt install seabios" in (found.help or "")


@pytest.mark.parametrize(
    ("length", "told"), [(0, "the file is empty"), (1 << 17, "larger than 64 KiB")]
)
def test_a_bios_has_a_size(tmp_path: Path, length: int, told: str) -> None:
    (tmp_path / "odd.bin").write_bytes(bytes(length))

    with pytest.raises(HostError, match=told):
        Bench(machine_file(tmp_path, 'bios = "odd.bin"'))


def test_the_ports_of_the_tacit_text_cursor_are_its_own() -> None:
    assert "board.crtc" not in Bench(screen_graph()).board.devices
