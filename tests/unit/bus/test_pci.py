# SPDX-License-Identifier: BSD-2-Clause
"""Configuration headers and BARs as a guest's PCI code sees them."""

from __future__ import annotations

import random

import pytest

from manager.bus.lines import Wire
from manager.bus.pci import PciBus, PciFunction, PciHeader, PciSlot
from manager.bus.pci.registers import (
    BAR0,
    COMMAND,
    COMMAND_INTX_DISABLE,
    COMMAND_IO,
    INTERRUPT_LINE,
)
from manager.bus.ports import PortBus
from manager.bus.record import clone
from manager.devices.claims import IoBar, PciIdentity

IDENTITY = PciIdentity(0x131F, 0x2000, 0x070002, 0x1AF4, 0x1100, 0x05)
STATUS = 0x06


class Tag:
    """Ports that say whose they are."""

    def __init__(self, tag: int) -> None:
        self.tag = tag

    def read_port(self, offset: int) -> int:
        return self.tag + offset

    def write_port(self, offset: int, value: int) -> None:
        pass


def card(ports: PortBus, tag: int, base: int, command: int = COMMAND_IO) -> PciFunction:
    """A function with one BAR of 8 ports, which read as tag + offset."""
    header = PciHeader(IDENTITY, (IoBar(0, base, 8),), 1, 11, command)
    function = PciFunction(header, PciSlot(ports=ports), {0: Tag(tag)})
    function.settle()
    return function


def move(function: PciFunction, base: int) -> None:
    function.write(BAR0, 4, base)


@pytest.fixture
def ports() -> PortBus:
    return PortBus()


def test_the_header_says_what_the_function_is(ports: PortBus) -> None:
    function = card(ports, 0x40, 0xC000)

    assert function.read(0x00, 4) == 0x2000_131F
    assert function.read(0x08, 4) == 0x07000205
    assert function.read(0x2C, 4) == 0x1100_1AF4
    assert function.read(BAR0, 4) == 0xC001
    assert function.read(INTERRUPT_LINE, 2) == 0x010B
    assert function.read(0x34, 1) == 0
    assert function.read(0x40, 4) == 0


def test_identity_registers_ignore_writes(ports: PortBus) -> None:
    function = card(ports, 0x40, 0xC000)
    before = [function.read(at, 4) for at in (0x00, 0x08, 0x2C, 0x30, 0x34, 0x40)]

    for at in (0x00, 0x08, 0x2C, 0x30, 0x34, 0x40):
        function.write(at, 4, 0xFFFFFFFF)

    assert [function.read(at, 4) for at in (0x00, 0x08, 0x2C, 0x30, 0x34, 0x40)] == before


def test_storage_registers_keep_what_is_written(ports: PortBus) -> None:
    function = card(ports, 0x40, 0xC000)

    function.write(0x0C, 2, 0x4010)
    function.write(INTERRUPT_LINE, 1, 5)

    assert function.read(0x0C, 4) == 0x4010
    assert function.read(INTERRUPT_LINE, 1) == 5


def test_writing_ones_to_a_bar_shows_its_size(ports: PortBus) -> None:
    function = card(ports, 0x40, 0xC000)
    function.write(COMMAND, 2, 0)

    function.write(BAR0, 4, 0xFFFFFFFF)

    assert function.read(BAR0, 4) == 0xFFFFFFF9


def test_sizing_with_decode_on_does_no_harm_and_the_old_base_comes_back(ports: PortBus) -> None:
    function = card(ports, 0x40, 0xC000)

    move(function, 0xFFFFFFFF)
    gone = ports.is_free(0xC000, 8)
    move(function, 0xC000)

    assert gone
    assert ports.read(0xC000, 1) == 0x40


def test_absent_bars_read_as_zero(ports: PortBus) -> None:
    function = card(ports, 0x40, 0xC000)

    function.write(BAR0 + 4, 4, 0xFFFFFFFF)

    assert function.read(BAR0 + 4, 4) == 0


def test_a_moved_bar_answers_at_its_new_place_only(ports: PortBus) -> None:
    function = card(ports, 0x40, 0xC000)

    move(function, 0xD008)

    assert ports.read(0xD00B, 1) == 0x43
    assert ports.read(0xC000, 1) == 0xFF


def test_a_bar_written_in_pieces_moves_piece_by_piece(ports: PortBus) -> None:
    function = card(ports, 0x40, 0xC000)

    function.write(BAR0, 1, 0x10)
    function.write(BAR0 + 1, 1, 0xD0)

    assert function.read(BAR0, 4) == 0xD011
    assert ports.read(0xD010, 1) == 0x40


def test_io_decode_follows_the_command_register(ports: PortBus) -> None:
    function = card(ports, 0x40, 0xC000, command=0)

    off = ports.read(0xC000, 1)
    function.write(COMMAND, 2, COMMAND_IO)
    on = ports.read(0xC000, 1)
    function.write(COMMAND, 2, 0)

    assert (off, on) == (0xFF, 0x40)
    assert ports.is_free(0xC000, 8)


@pytest.mark.parametrize("base", [0x0, 0x10000, 0xFFFF0000])
def test_a_bar_outside_the_io_space_or_at_zero_does_not_decode(ports: PortBus, base: int) -> None:
    function = card(ports, 0x40, 0xC000)

    move(function, base)

    assert ports.is_free(0, 0x10000)
    assert function.read(BAR0, 4) == base | 1


def test_a_bar_on_top_of_a_fixed_device_leaves_the_device_in_place(ports: PortBus) -> None:
    ports.claim(0x3F8, 8, Tag(0x80))
    function = card(ports, 0x40, 0xC000)

    move(function, 0x3F8)

    assert ports.read(0x3F8, 1) == 0x80
    assert function.read(BAR0, 4) == 0x3F9


def test_the_first_owner_keeps_its_ports_until_it_moves_away(ports: PortBus) -> None:
    bus = PciBus()
    late, first = card(ports, 0x20, 0xC000), card(ports, 0x40, 0xD000)
    bus.attach(3, 0, late)
    bus.attach(5, 0, first)

    bus.write(3, 0, BAR0, 4, 0xD000)
    contested = ports.read(0xD000, 1)
    bus.write(5, 0, BAR0, 4, 0xE000)

    assert contested == 0x40
    assert ports.read(0xD000, 1) == 0x20
    assert ports.read(0xE000, 1) == 0x40


def test_among_several_waiting_the_lowest_slot_gets_the_ports(ports: PortBus) -> None:
    bus = PciBus()
    cards = {slot: card(ports, slot << 4, 0xC000 + 0x100 * slot) for slot in (6, 2, 4)}
    for slot, function in cards.items():
        bus.attach(slot, 0, function)
    for slot in (6, 4):
        bus.write(slot, 0, BAR0, 4, 0xC200)

    bus.write(2, 0, COMMAND, 2, 0)

    assert ports.read(0xC200, 1) == 0x40


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_contested_ports_have_the_same_owner_after_a_restore_in_any_order(
    order: tuple[int, ...],
) -> None:
    def machine() -> tuple[PortBus, list[PciFunction]]:
        ports, bus = PortBus(), PciBus()
        cards = [card(ports, 0x10 << n, 0xC000 + 0x100 * n) for n in range(3)]
        for slot, function in enumerate(cards):
            bus.attach(slot, 0, function)
        return ports, cards

    ports, cards = machine()
    move(cards[0], 0xC200)  # waits
    move(cards[2], 0xC100)  # waits
    move(cards[1], 0xC000)  # leaves 0xC100 to cards[2], who leaves nothing to cards[0]
    move(cards[1], 0xC100)  # waits
    fresh_ports, fresh = machine()

    for n in order:
        fresh[n].state = clone(cards[n].state)
        fresh[n].settle()

    bases = (0xC000, 0xC100, 0xC200)
    assert [fresh_ports.read(at, 1) for at in bases] == [ports.read(at, 1) for at in bases]
    assert [function.state for function in fresh] == [function.state for function in cards]


def test_intx_shows_in_status_and_reaches_the_line_unless_disabled() -> None:
    levels: list[bool] = []
    function = PciFunction(PciHeader(IDENTITY, interrupt_pin=1), PciSlot(line=Wire(levels.append)))

    function.set(True)
    function.write(COMMAND, 2, COMMAND_INTX_DISABLE)
    masked = function.read(STATUS, 2)
    function.write(COMMAND, 2, 0)
    function.set(False)
    idle = function.read(STATUS, 2)

    assert levels == [True, False, True, False]
    assert masked & 0x0008
    assert not idle & 0x0008


def test_an_absent_function_reads_as_all_ones() -> None:
    bus = PciBus()

    bus.write(9, 0, 0, 4, 0)

    assert [bus.read(9, 0, 0, size) for size in (1, 2, 4)] == [0xFF, 0xFFFF, 0xFFFFFFFF]


def test_the_multifunction_bit_marks_slots_with_more_than_function_zero(ports: PortBus) -> None:
    bus = PciBus()
    places = [(4, 1), (4, 0), (5, 0)]
    for n, (slot, number) in enumerate(places):
        bus.attach(slot, number, card(ports, 0, 0xC000 + 8 * n))

    assert [bus.read(slot, number, 0x0E, 1) for slot, number in places] == [0x80, 0x80, 0x00]


@pytest.mark.parametrize("place", [(4, 0), (32, 0), (0, 8), (-1, 0)])
def test_a_place_that_is_taken_or_does_not_exist_is_refused(
    ports: PortBus, place: tuple[int, int]
) -> None:
    bus = PciBus()
    bus.attach(4, 0, card(ports, 0, 0xC000))

    with pytest.raises(ValueError, match=rf"{place[0]}\.{place[1]}"):
        bus.attach(*place, card(ports, 0, 0xD000))


@pytest.mark.parametrize("seed", range(10))
def test_no_sequence_of_writes_raises_or_loses_track_of_ports(ports: PortBus, seed: int) -> None:
    rng = random.Random(seed)
    bus = PciBus()
    ports.claim(0xC000, 4, Tag(0))
    for slot in range(3):
        bus.attach(slot, 0, card(ports, 0x40, 0xC100 + 8 * slot))

    for _ in range(300):
        size = rng.choice([1, 2, 4])
        offset = rng.choice([COMMAND, BAR0, BAR0, rng.randrange(256)])
        value = rng.choice([0xC100, 0xC108, 0xC000, rng.getrandbits(32), COMMAND_IO])
        bus.write(rng.randrange(4), 0, offset, size, value & (1 << 8 * size) - 1)
        assert 0 <= bus.read(rng.randrange(4), 0, rng.randrange(256), size) < 1 << 8 * size
    for slot in range(3):
        bus.write(slot, 0, COMMAND, 2, 0)

    assert ports.is_free(0xC004, 0x10000 - 0xC004)
    assert ports.read(0xC000, 1) == 0
