# SPDX-License-Identifier: BSD-2-Clause
"""What a guest sees of the I/O APIC, alone and with a local APIC behind it."""

from __future__ import annotations

import random

import pytest

from manager.bus.clock import Clock, ManualTime
from manager.bus.lines import Wire
from manager.bus.record import from_plain, to_plain
from manager.devices.ioapic.device import IoApic, IoApicState
from manager.devices.lapic.bus import ApicBus
from manager.devices.lapic.device import CpuPins, Lapic

IOREGSEL, IOWIN, EOI = 0x00, 0x10, 0x40
NMI = 0x400
LOGICAL, POLARITY, REMOTE_IRR, LEVEL, MASKED = 0x800, 0x2000, 0x4000, 0x8000, 0x10000


class Board:
    """An I/O APIC, the messages it sent, and whether they are taken."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, bool]] = []
        self.nmis = 0
        self.taken = True
        self.ioapic = IoApic(self._deliver)

    def _deliver(
        self, mode: int, vector: int, level: bool, destination: int, logical: bool
    ) -> bool:
        if destination not in (0, 0xFF):
            return False
        if mode == NMI:
            self.nmis += 1
            return True
        self.sent.append((vector, level))
        return self.taken

    def read(self, register: int) -> int:
        self.ioapic.write_mmio(IOREGSEL, 4, register)
        return self.ioapic.read_mmio(IOWIN, 4)

    def write(self, register: int, value: int) -> None:
        self.ioapic.write_mmio(IOREGSEL, 4, register)
        self.ioapic.write_mmio(IOWIN, 4, value)

    def route(self, pin: int, low: int, destination: int = 0) -> None:
        self.write(0x11 + 2 * pin, destination << 24)
        self.write(0x10 + 2 * pin, low)

    def entry(self, pin: int) -> int:
        return self.read(0x10 + 2 * pin)

    def drive(self, pin: int, *levels: bool) -> None:
        for level in levels:
            self.ioapic.line(pin).set(level)


class Pair:
    """Both APICs, wired as on the board, the guest having enabled them."""

    def __init__(self) -> None:
        self.intr = Wire(lambda level: None)
        bus = ApicBus()
        self.lapic = Lapic(
            Clock(ManualTime()),
            CpuPins(self.intr, lambda: None),
            bus=bus,
            pic_acknowledge=lambda: 0,
            eoi_broadcast=self._eoi,
        )
        self.ioapic = IoApic(bus.deliver)

    def _eoi(self, vector: int) -> None:
        self.ioapic.eoi(vector)

    def write(self, register: int, value: int) -> None:
        self.ioapic.write_mmio(IOREGSEL, 4, register)
        self.ioapic.write_mmio(IOWIN, 4, value)

    def end_of_interrupt(self) -> None:
        self.lapic.write_mmio(0xB0, 4, 0)


@pytest.fixture
def board() -> Board:
    return Board()


def test_identification(board: Board) -> None:
    board.write(0, 0xFF000000)

    assert board.read(1) == 0x00170020
    assert board.read(0) == board.read(2) == 0x0F000000


def test_all_pins_are_masked_at_power_on(board: Board) -> None:
    for pin in range(24):
        board.drive(pin, True)

    assert {board.entry(pin) for pin in range(24)} == {MASKED}
    assert board.sent == []


def test_edge_sends_one_message_however_long_the_pin_stays_high(board: Board) -> None:
    board.route(4, 0x34)
    board.drive(4, True, True, False, True)

    assert board.sent == [(0x34, False), (0x34, False)]
    assert board.entry(4) == 0x34


@pytest.mark.parametrize("trigger", [0, LEVEL])
def test_an_nmi_is_an_edge_without_a_vector(board: Board, trigger: int) -> None:
    before = board.ioapic.may_send_nmi
    board.route(2, 0x400 | trigger)
    board.drive(2, True, True)
    board.route(2, 0x400 | trigger)
    board.ioapic.eoi(0)
    board.drive(2, False, True)

    assert not before
    assert board.ioapic.may_send_nmi
    assert board.nmis == 2
    assert board.sent == []


@pytest.mark.parametrize(("entry", "destination"), [(0x400 | MASKED, 0), (0x400, 3), (0x500, 0)])
def test_no_other_entry_sends_an_nmi(board: Board, entry: int, destination: int) -> None:
    board.route(2, entry, destination)
    board.drive(2, True)

    assert board.nmis == 0
    assert board.sent == []


def test_edge_on_a_masked_pin_is_lost(board: Board) -> None:
    board.route(4, MASKED | 0x34)
    board.drive(4, True)
    board.route(4, 0x34)
    lost = not board.sent
    board.drive(4, False, True)

    assert lost
    assert board.sent == [(0x34, False)]


def test_level_requests_once_until_eoi_and_again_while_it_is_high(board: Board) -> None:
    board.route(9, LEVEL | 0x49)
    board.drive(9, True, False, True)
    before_eoi = list(board.sent)
    in_flight = board.entry(9)
    board.ioapic.eoi(0x49)
    after_eoi = list(board.sent)
    board.drive(9, False)
    board.ioapic.eoi(0x49)

    assert before_eoi == [(0x49, True)]
    assert in_flight == REMOTE_IRR | LEVEL | 0x49
    assert after_eoi == board.sent == [(0x49, True)] * 2
    assert board.entry(9) == LEVEL | 0x49


def test_level_that_rises_while_masked_is_seen_when_unmasked(board: Board) -> None:
    board.route(9, MASKED | LEVEL | 0x49)
    board.drive(9, True)
    held = not board.sent
    board.route(9, LEVEL | 0x49)

    assert held
    assert board.sent == [(0x49, True)]


def test_level_masked_in_service_comes_back_when_it_is_unmasked_after_eoi(board: Board) -> None:
    board.route(9, LEVEL | 0x49)
    board.drive(9, True)
    board.route(9, MASKED | LEVEL | 0x49)
    board.ioapic.eoi(0x49)
    held = len(board.sent)
    board.route(9, LEVEL | 0x49)

    assert held == 1
    assert board.sent == [(0x49, True)] * 2


def test_eoi_is_for_every_level_pin_of_that_vector_and_no_other(board: Board) -> None:
    for pin, vector in ((9, 0x49), (10, 0x49), (11, 0x59)):
        board.route(pin, LEVEL | vector)
        board.drive(pin, True, False)
    board.ioapic.eoi(0x49)

    assert [bool(board.entry(pin) & REMOTE_IRR) for pin in (9, 10, 11)] == [False, False, True]


def test_eoi_register_works_as_the_broadcast(board: Board) -> None:
    board.route(9, LEVEL | 0x49)
    board.drive(9, True)
    board.ioapic.write_mmio(EOI, 4, 0x49)

    assert board.sent == [(0x49, True)] * 2


def test_switching_to_edge_and_back_clears_remote_irr(board: Board) -> None:
    board.route(9, LEVEL | 0x49)
    board.drive(9, True)
    board.route(9, MASKED | 0x49)
    board.route(9, LEVEL | 0x49)

    assert board.sent == [(0x49, True)] * 2


def test_guest_cannot_write_status_bits(board: Board) -> None:
    board.route(3, 0xFFFFFFFF, 0xAB)

    assert board.entry(3) == 0x1AFFF
    assert board.read(0x17) == 0xAB000000


@pytest.mark.parametrize("mode", [0x000, 0x100], ids=["fixed", "lowest priority"])
def test_ordinary_delivery_modes(board: Board, mode: int) -> None:
    board.route(1, mode | POLARITY | 0x31)
    board.drive(1, True)

    assert board.sent == [(0x31, False)]


@pytest.mark.parametrize("mode", [0x200, 0x300, 0x500, 0x600, 0x700])
@pytest.mark.parametrize("trigger", [0, LEVEL])
def test_other_delivery_modes_send_nothing(board: Board, mode: int, trigger: int) -> None:
    board.route(1, trigger | mode | 0x31)
    board.drive(1, True)

    assert board.sent == []
    assert not board.entry(1) & REMOTE_IRR


def test_message_for_another_cpu_is_lost(board: Board) -> None:
    board.route(1, LEVEL | 0x31, destination=5)
    board.drive(1, True)
    lost = not board.sent
    board.route(1, LEVEL | 0x31, destination=0xFF)

    assert lost
    assert board.sent == [(0x31, True)]


def test_level_message_that_is_turned_away_can_be_sent_again(board: Board) -> None:
    board.taken = False
    board.route(1, LEVEL | 0x31)
    board.drive(1, True)
    status = board.entry(1) & REMOTE_IRR
    board.taken = True
    board.drive(1, False, True)

    assert not status
    assert board.sent == [(0x31, True)] * 2
    assert board.entry(1) & REMOTE_IRR


def test_access_widths_and_unknown_registers(board: Board) -> None:
    board.ioapic.write_mmio(IOREGSEL, 1, 0x01)
    narrow = board.ioapic.read_mmio(IOWIN + 2, 1), board.ioapic.read_mmio(IOREGSEL, 1)
    board.route(4, 0x34)
    board.ioapic.write_mmio(IOWIN, 2, 0xFFFF)

    assert narrow == (0x17, 0x01)
    assert board.entry(4) == 0x34
    assert board.read(0x40) == 0
    assert board.ioapic.read_mmio(0x20, 4) == 0


@pytest.mark.parametrize("pin", [-1, 24])
def test_there_is_no_such_pin(board: Board, pin: int) -> None:
    with pytest.raises(ValueError, match="no input"):
        board.ioapic.line(pin)


def test_restore_makes_no_message_when_lines_are_driven_again(board: Board) -> None:
    board.route(4, 0x34)
    board.route(9, LEVEL | 0x49)
    board.drive(4, True)
    board.drive(9, True)
    restored = Board()
    restored.ioapic.load(board.ioapic.save())
    restored.ioapic.settle()
    restored.drive(4, True)
    restored.drive(9, True)
    quiet = not restored.sent
    restored.ioapic.eoi(0x49)

    assert quiet
    assert restored.sent == [(0x49, True)]


def test_reset_masks_everything(board: Board) -> None:
    board.route(9, LEVEL | 0x49)
    board.drive(9, True, False)
    board.ioapic.reset()
    board.drive(9, True)

    assert board.entry(9) == MASKED
    assert len(board.sent) == 1


def test_level_interrupt_through_both_apics_repeats_until_the_device_is_served() -> None:
    pair = Pair()
    pair.lapic.write_mmio(0xD0, 4, 0x01000000)
    pair.write(0x13, 0x01000000)
    pair.write(0x12, LOGICAL | LEVEL | 0x100 | 0x61)
    line = pair.ioapic.line(1)
    line.set(True)
    first = pair.lapic.acknowledge()
    while_served = pair.intr.level
    pair.end_of_interrupt()
    second = pair.lapic.acknowledge()
    line.set(False)
    pair.end_of_interrupt()

    assert (first, while_served, second) == (0x61, False, 0x61)
    assert not pair.intr.level


def test_level_interrupt_refused_by_a_disabled_local_apic_is_not_stuck() -> None:
    pair = Pair()
    pair.lapic.write_mmio(0xF0, 4, 0xFF)
    pair.write(0x12, LEVEL | 0x61)
    pair.ioapic.line(1).set(True)
    pair.lapic.write_mmio(0xF0, 4, 0x1FF)
    pair.write(0x12, LEVEL | 0x61)

    assert pair.lapic.acknowledge() == 0x61


@pytest.mark.parametrize("seed", range(20))
def test_any_guest_leaves_a_valid_state_that_a_restore_continues(seed: int) -> None:
    rng = random.Random(seed)
    board, twin = Board(), Board()
    trace: list[list[int]] = [[], []]
    for step in range(400):
        action, size = rng.randrange(5), rng.choice((1, 2, 4, 4))
        offset = rng.choice((IOREGSEL, IOWIN, EOI, rng.randrange(0x1000)))
        register, value = rng.randrange(0x44), rng.getrandbits(32) & rng.getrandbits(32)
        pin, level = rng.randrange(24), rng.random() < 0.5
        if step == 200:
            twin = Board()
            plain = to_plain(board.ioapic.save())
            twin.ioapic.load(from_plain(IoApicState, plain, IoApicState.VERSION, "ioapic"))
            twin.sent, board.sent = [], []
        for one, seen in zip((board, twin), trace, strict=True):
            if action == 0:
                one.drive(pin, level)
            elif action == 1:
                seen.append(one.ioapic.read_mmio(offset, size))
            elif action == 2:
                one.write(register, value)
            elif action == 3:
                one.ioapic.write_mmio(offset, size, value)
            else:
                one.ioapic.eoi(value & 0xFF)
        from_plain(IoApicState, to_plain(board.ioapic.save()), IoApicState.VERSION, "ioapic")
    assert trace[0] == trace[1]
    assert board.sent == twin.sent
    assert board.ioapic.save() == twin.ioapic.save()
