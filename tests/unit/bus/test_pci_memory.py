# SPDX-License-Identifier: BSD-2-Clause
"""Memory BARs and the expansion ROM, as a guest's PCI code sees them."""

from __future__ import annotations

import mmap

import pytest

from manager.bus.dma import Dma
from manager.bus.memory import Memory
from manager.bus.mmio import MemoryBus
from manager.bus.pci import BarMemory, PciBus, PciFunction, PciHeader, PciSlot
from manager.bus.pci.registers import (
    BAR0,
    COMMAND,
    COMMAND_BUS_MASTER,
    COMMAND_IO,
    COMMAND_MEMORY,
    ROM_BAR,
    ROM_ENABLE,
)
from manager.bus.record import clone
from manager.devices.claims import EXPANSION_ROM, IoBar, MemoryBar, PciIdentity

IDENTITY = PciIdentity(0x1AF4, 0x10F1, 0xFF0000)
RAM = (0, 0x4000_0000)
HERE, THERE, HIGH = 0xE000_0000, 0xE100_0000, 0x12_0000_0000
ROM = 0xE200_0000
ONES = 0xFFFF_FFFF
BAR_32, BAR_64 = 0, 2
HOME = 1 << 51


class Tag:
    """Registers that say whose they are."""

    def __init__(self, tag: int) -> None:
        self.tag = tag

    def read_mmio(self, offset: int, size: int) -> int:
        return self.tag + offset

    def write_mmio(self, offset: int, size: int, value: int) -> None:
        pass


@pytest.fixture
def memory() -> MemoryBus:
    return MemoryBus([RAM])


def card(memory: MemoryBus, tag: int = 0x1000, command: int = COMMAND_MEMORY) -> PciFunction:
    """A 32-bit BAR of 32 bytes, a prefetchable 64-bit one of 4 KiB, a ROM of 2 KiB."""
    bars = (
        MemoryBar(BAR_32, HERE, 0x20),
        MemoryBar(BAR_64, THERE, 0x1000, bits=64, prefetchable=True),
        MemoryBar(EXPANSION_ROM, ROM, 0x800),
    )
    behind = {BAR_32: Tag(tag), BAR_64: Tag(tag * 2), EXPANSION_ROM: Tag(tag * 4)}
    header = PciHeader(IDENTITY, command=command, memory_bars=bars)
    function = PciFunction(header, PciSlot(memory=memory), behind)
    function.settle()
    return function


def move(function: PciFunction, bar: int, base: int) -> None:
    function.write(BAR0 + 4 * bar, 4, base & ONES)
    if bar == BAR_64:
        function.write(BAR0 + 4 * bar + 4, 4, base >> 32)


def test_bars_say_their_kind_and_place(memory: MemoryBus) -> None:
    function = card(memory)

    assert [function.read(BAR0 + 4 * n, 4) for n in range(6)] == [HERE, 0, THERE | 0xC, 0, 0, 0]
    assert function.read(ROM_BAR, 4) == ROM
    assert memory.read(HERE + 4, 4) == 0x1004
    assert memory.read(THERE + 8, 4) == 0x2008
    assert memory.read(ROM, 4) == ONES


def test_writing_ones_shows_the_sizes(memory: MemoryBus) -> None:
    function = card(memory, command=0)

    for register in (BAR0, BAR0 + 8, BAR0 + 12, BAR0 + 16, ROM_BAR):
        function.write(register, 4, ONES)

    assert function.read(BAR0, 4) == 0xFFFF_FFE0
    assert (function.read(BAR0 + 8, 4), function.read(BAR0 + 12, 4)) == (0xFFFF_F00C, ONES)
    assert function.read(BAR0 + 16, 4) == 0
    assert function.read(ROM_BAR, 4) == 0xFFFF_F801


def test_sizing_with_decode_on_does_no_harm_and_the_old_base_comes_back(memory: MemoryBus) -> None:
    function = card(memory)

    move(function, BAR_64, (1 << 64) - 1)
    gone = memory.read(THERE, 4)
    move(function, BAR_64, THERE)

    assert (gone, memory.read(THERE, 4)) == (ONES, 0x2000)


@pytest.mark.parametrize("base", [THERE + 0x1000, HIGH, (1 << 40) - 0x1000])
def test_a_64_bit_bar_moves_anywhere_that_a_cpu_can_address(memory: MemoryBus, base: int) -> None:
    function = card(memory)

    move(function, BAR_64, base)

    assert memory.read(base + 0xFFC, 4) == 0x2FFC
    assert memory.read(THERE, 4) == ONES


@pytest.mark.parametrize("base", [0, 0x10_0000, 0x3FFF_F000, 1 << 40, (1 << 64) - 0x1000, HERE])
def test_what_cannot_decode_does_not_and_can_come_back(memory: MemoryBus, base: int) -> None:
    function = card(memory)

    move(function, BAR_64, base)
    gone = memory.read(THERE, 4)
    move(function, BAR_64, THERE)

    assert (gone, memory.read(HERE, 4)) == (ONES, 0x1000)
    assert memory.read(THERE, 4) == 0x2000


def test_decoding_follows_the_command_register(memory: MemoryBus) -> None:
    function = card(memory)

    function.write(COMMAND, 2, COMMAND_IO | COMMAND_BUS_MASTER)
    off = memory.read(HERE, 4)
    function.write(COMMAND, 2, COMMAND_MEMORY)

    assert (off, memory.read(HERE, 4)) == (ONES, 0x1000)


def test_the_rom_answers_when_both_switches_are_on(memory: MemoryBus) -> None:
    function = card(memory)

    function.write(ROM_BAR, 4, ROM | ROM_ENABLE)
    on = memory.read(ROM + 4, 4)
    function.write(COMMAND, 2, 0)
    off = memory.read(ROM, 4)
    function.write(COMMAND, 2, COMMAND_MEMORY)
    function.write(ROM_BAR, 1, 0)

    assert (on, off, memory.read(ROM, 4)) == (0x4004, ONES, ONES)


def test_of_two_bars_at_one_address_the_owner_keeps_it(memory: MemoryBus) -> None:
    bus = PciBus()
    first, second = card(memory), card(memory, 0x8000, command=0)
    bus.attach(4, 0, second)
    bus.attach(5, 0, first)

    second.write(COMMAND, 2, COMMAND_MEMORY)
    kept = memory.read(HERE, 4)
    move(first, BAR_32, HERE + 0x100)

    assert (kept, memory.read(HERE, 4)) == (0x1000, 0x8000)
    assert memory.read(HERE + 0x100, 4) == 0x1000


def test_a_restore_knows_who_decoded(memory: MemoryBus) -> None:
    bus = PciBus()
    first, second = card(memory), card(memory, 0x8000, command=0)
    bus.attach(4, 0, second)
    bus.attach(5, 0, first)
    second.write(COMMAND, 2, COMMAND_MEMORY)
    saved = [clone(function.state) for function in (first, second)]

    elsewhere, other_bus = MemoryBus([RAM]), PciBus()
    restored = [card(elsewhere, command=0), card(elsewhere, 0x8000, command=0)]
    other_bus.attach(4, 0, restored[1])
    other_bus.attach(5, 0, restored[0])
    for function, state in zip(reversed(restored), reversed(saved), strict=True):
        function.state = state
        function.settle()

    assert elsewhere.read(HERE, 4) == 0x1000
    assert elsewhere.read(THERE, 4) == 0x2000


def test_memory_behind_a_bar_is_shown_where_the_bar_is() -> None:
    shown: dict[int, int | None] = {}

    class Engine:
        def map_mmio(self, *_: object) -> None: ...
        def unmap_mmio(self, base: int) -> None: ...
        def place_ram(self, home: int, base: int | None) -> None:
            shown[home] = base

        def touched(self, home: int) -> bytes:
            return bytes(16)

    header = PciHeader(IDENTITY, memory_bars=(MemoryBar(0, 0, 0x10000, ram=True),))
    bus = MemoryBus([RAM], Engine())
    behind = BarMemory(HOME, mmap.mmap(-1, 0x10000), bus)
    function = PciFunction(header, PciSlot(memory=bus), {0: behind})
    places = []
    for command, base in ((2, HERE), (2, THERE), (0, THERE), (2, 0x1000)):
        function.write(BAR0, 4, base)
        function.write(COMMAND, 2, command)
        places.append(shown.get(HOME))

    assert places == [HERE, THERE, None, None]


def test_bus_mastering_opens_the_way_to_ram() -> None:
    dma = Dma(Memory.blank(1 << 20), lambda start, end: None)
    function = PciFunction(PciHeader(IDENTITY), PciSlot(dma=dma))

    off = dma.write(0x1000, b"x")
    function.write(COMMAND, 2, COMMAND_BUS_MASTER)
    on = dma.write(0x1000, b"x")
    function.state = function.power_on()

    assert (off, on, dma.write(0x1000, b"x")) == (0, 1, 0)


@pytest.mark.parametrize(
    "bars",
    [
        (MemoryBar(5, HERE, 0x1000, bits=64),),
        (MemoryBar(0, HERE, 0x1000, bits=64), MemoryBar(1, THERE, 0x1000)),
        (MemoryBar(0, HERE, 0x1800),),
        (MemoryBar(0, HERE, 8),),
        (MemoryBar(7, HERE, 0x1000),),
        (MemoryBar(EXPANSION_ROM, HERE, 0x400),),
    ],
)
def test_a_header_that_cannot_be_is_refused(bars: tuple[MemoryBar, ...]) -> None:
    behind = {bar.index: Tag(1) for bar in bars}

    with pytest.raises(ValueError, match="BAR"):
        PciFunction(PciHeader(IDENTITY, memory_bars=bars), PciSlot(), behind)


def test_what_is_behind_a_bar_has_to_fit_its_kind() -> None:
    with pytest.raises(ValueError, match="BAR 0 is an I/O BAR"):
        PciFunction(PciHeader(IDENTITY, (IoBar(0, 0, 8),)), behind={0: Tag(1)})
    bars = (MemoryBar(0, 0, 16),)
    with pytest.raises(ValueError, match="BAR 0 is a memory BAR"):
        PciFunction(PciHeader(IDENTITY, memory_bars=bars), behind={0: object()})  # type: ignore[dict-item]
