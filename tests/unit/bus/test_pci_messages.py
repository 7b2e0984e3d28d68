# SPDX-License-Identifier: BSD-2-Clause
"""Capabilities, MSI and MSI-X, as a driver programs them."""

from __future__ import annotations

import pytest

from manager.bus.lines import Wire
from manager.bus.mmio import MemoryBus
from manager.bus.pci import Msi, Msix, PciFunction, PciHeader, PciSlot, vendor_specific
from manager.bus.pci.registers import COMMAND, COMMAND_BUS_MASTER, COMMAND_MEMORY
from manager.bus.record import clone
from manager.devices.claims import MemoryBar, PciIdentity

IDENTITY = PciIdentity(0x1AF4, 0x10F1, 0xFF0000)
TABLE = 0xE000_0000
ADDRESS, DATA = 0xFEE0_1000, 0x0041
STATUS, POINTER = 0x06, 0x34


class Card:
    """A function with both kinds of messages and a capability that only says something."""

    def __init__(self, vectors: int = 4, *, maskable: bool = True) -> None:
        self.sent: list[tuple[int, int]] = []
        self.levels: list[bool] = []
        self.msi = Msi(vectors, maskable=maskable)
        self.msix = Msix(vectors, bar=0)
        self.memory = MemoryBus()
        bars = (MemoryBar(0, TABLE, self.msix.bar_length),)
        command = COMMAND_MEMORY | COMMAND_BUS_MASTER
        header = PciHeader(IDENTITY, interrupt_pin=1, command=command, memory_bars=bars)
        self.function = PciFunction(
            header,
            PciSlot(memory=self.memory, line=Wire(self.levels.append), messages=self),
            {0: self.msix},
            capabilities=[vendor_specific(b"hi")],
            msi=self.msi,
            msix=self.msix,
        )
        self.function.settle()

    def send(self, address: int, data: int) -> None:
        self.sent.append((address, data))

    def listed(self) -> dict[int, int]:
        """Capability ids and where they are, following the list."""
        found = {}
        at = self.function.read(POINTER, 1)
        while at:
            found[self.function.read(at, 1)] = at
            at = self.function.read(at + 1, 1)
        return found

    def enable_msi(self, count_log2: int = 2) -> int:
        at = self.listed()[5]
        self.function.write(at + 4, 4, ADDRESS)
        self.function.write(at + 12, 2, DATA)
        self.function.write(at + 2, 2, 1 | count_log2 << 4)
        return at

    def enable_msix(self) -> int:
        at = self.listed()[0x11]
        for vector in range(self.msix.vectors):
            entry = TABLE + 16 * vector
            self.memory.write(entry, 4, ADDRESS + (vector << 12))
            self.memory.write(entry + 8, 4, DATA + vector)
            self.memory.write(entry + 12, 4, 0)
        self.function.write(at + 2, 2, 0x8000)
        return at


def test_the_list_names_what_there_is() -> None:
    card = Card()

    assert card.function.read(STATUS, 2) & 0x10
    assert sorted(card.listed()) == [0x05, 0x09, 0x11]
    assert card.function.read(card.listed()[9] + 2, 4) == int.from_bytes(b"\x05hi\0", "little")
    assert [at % 4 for at in card.listed().values()] == [0, 0, 0]


def test_nothing_of_the_list_but_registers_can_be_written() -> None:
    card = Card()
    before = [card.function.read(at, 1) for at in range(0x40, 0x100)]

    for at in range(0x40, 0x100):
        card.function.write(at, 1, 0xFF)
    changed = {at for at in range(0x40, 0x100) if card.function.read(at, 1) != before[at - 0x40]}

    msi, msix = card.listed()[5], card.listed()[0x11]
    assert changed == {msi + 2, *range(msi + 4, msi + 14), msi + 16, msix + 3}


def test_without_either_the_device_has_its_pin() -> None:
    card = Card()

    by_message = card.function.signal(0)
    card.function.set(True)

    assert not by_message
    assert (card.sent, card.levels) == ([], [True])


def test_messages_keep_the_pin_low() -> None:
    card = Card()
    card.function.set(True)

    at = card.enable_msi()
    card.function.write(at + 2, 2, 0)

    assert card.levels == [True, False, True]


def test_msi_puts_the_vector_into_the_low_bits_of_the_data() -> None:
    card = Card()
    card.enable_msi()

    assert [card.function.signal(vector) for vector in (0, 3, 5)] == [True] * 3

    assert card.sent == [(ADDRESS, 0x40), (ADDRESS, 0x43), (ADDRESS, 0x41)]


def test_msi_vectors_share_what_the_guest_allows() -> None:
    card = Card()
    card.enable_msi(count_log2=0)

    card.function.signal(0)
    card.function.signal(3)

    assert card.sent == [(ADDRESS, DATA)] * 2


def test_msi_that_is_masked_waits_and_is_pending() -> None:
    card = Card()
    at = card.enable_msi()
    card.function.write(at + 16, 4, 0b1010)

    for vector in (1, 1, 2, 3):
        card.function.signal(vector)
    waiting, pending = list(card.sent), card.function.read(at + 20, 4)
    card.function.write(at + 16, 4, 0b0010)

    assert (waiting, pending) == ([(ADDRESS, 0x42)], 0b1010)
    assert card.sent[1:] == [(ADDRESS, 0x43)]
    assert card.function.read(at + 20, 4) == 0b0010


def test_msi_without_masks_is_short_and_sends_at_once() -> None:
    card = Card(1, maskable=False)
    at = card.enable_msi(count_log2=0)

    card.function.write(at + 16, 4, 1)
    card.function.signal(0)

    assert card.listed()[0x11] == at + 16
    assert card.sent == [(ADDRESS, DATA)]


def test_msix_has_an_address_and_data_for_each_vector() -> None:
    card = Card()
    card.enable_msix()

    for vector in (0, 3, 4, -1):
        assert card.function.signal(vector)

    assert card.sent == [(ADDRESS, DATA), (ADDRESS + 0x3000, DATA + 3)]


def test_msix_says_where_its_table_is_and_how_many_vectors() -> None:
    card = Card()
    at = card.listed()[0x11]

    assert card.function.read(at + 2, 2) == 3
    assert card.function.read(at + 4, 4) == 0
    assert card.function.read(at + 8, 4) == 0x40
    assert card.memory.read(TABLE + 12, 4) == 1


@pytest.mark.parametrize("whole", [True, False], ids=["the function", "the vector"])
def test_msix_that_is_masked_waits_and_is_pending(whole: bool) -> None:
    card = Card()
    at = card.enable_msix()

    def mask(on: int) -> None:
        if whole:
            card.function.write(at + 2, 2, 0x8000 | on << 14)
        else:
            card.memory.write(TABLE + 16 * 2 + 12, 4, on)

    mask(1)
    card.function.signal(2)
    card.function.signal(2)
    waiting, pending = list(card.sent), card.memory.read(TABLE + 0x40, 4)
    mask(0)

    assert (waiting, pending) == ([], 0b100)
    assert card.sent == [(ADDRESS + 0x2000, DATA + 2)]
    assert card.memory.read(TABLE + 0x40, 4) == 0


def test_pending_bits_and_what_lies_behind_them_ignore_writes() -> None:
    card = Card()

    for at in range(TABLE + 0x40, TABLE + card.msix.bar_length, 4):
        card.memory.write(at, 4, 0xFFFF_FFFF)

    rest = range(TABLE + 0x40, TABLE + card.msix.bar_length, 4)
    assert [card.memory.read(at, 4) for at in rest] == [0] * len(rest)


def test_no_message_without_bus_mastering() -> None:
    card = Card()
    card.enable_msix()
    card.function.write(COMMAND, 2, COMMAND_MEMORY)

    assert card.function.signal(0)

    assert card.sent == []


def test_msix_wins_where_a_guest_enables_both() -> None:
    card = Card()
    card.enable_msi()
    card.enable_msix()

    card.function.signal(1)

    assert card.sent == [(ADDRESS + 0x1000, DATA + 1)]


def test_a_restore_brings_back_tables_and_what_is_pending() -> None:
    card, other = Card(), Card()
    card.enable_msix()
    card.memory.write(TABLE + 12, 4, 1)
    card.function.signal(0)

    other.msi.state = clone(card.msi.state)
    other.msix.load(clone(card.msix.state))
    other.function.state = clone(card.function.state)
    other.function.settle()
    other.memory.write(TABLE + 12, 4, 0)

    assert other.sent == [(ADDRESS, DATA)]


def test_a_record_with_tables_of_another_length_is_made_to_fit() -> None:
    card = Card()
    state = clone(card.msix.state)
    state.table, state.pending = bytearray(5), bytearray(200)

    card.msix.load(state)

    assert len(card.msix.state.table) == 64
    assert len(card.msix.state.pending) == 1
    assert card.memory.read(TABLE + 16 + 12, 4) == 1


@pytest.mark.parametrize("vectors", [0, 3, 64])
def test_msi_counts_in_powers_of_two(vectors: int) -> None:
    with pytest.raises(ValueError, match="MSI vectors"):
        Msi(vectors)


@pytest.mark.parametrize(("vectors", "bar", "at"), [(0, 0, 0), (2049, 0, 0), (1, 6, 0), (1, 0, 4)])
def test_msix_that_cannot_be_is_refused(vectors: int, bar: int, at: int) -> None:
    with pytest.raises(ValueError, match="MSI-X"):
        Msix(vectors, bar, table_at=at)


def test_capabilities_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="capabilities take"):
        PciFunction(PciHeader(IDENTITY), capabilities=[vendor_specific(bytes(100))] * 2)
