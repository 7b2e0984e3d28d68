# SPDX-License-Identifier: BSD-2-Clause
"""What a guest and the CPU see of the two 8259As."""

from __future__ import annotations

import random

import pytest

from manager.bus.lines import Wire
from manager.bus.ports import BytePorts
from manager.bus.record import from_plain, to_plain
from manager.devices.pic.device import Pic, PicState

MASTER, SLAVE = 0x20, 0x28  # vectors
EOI = 0x20


class Board:
    """A controller pair whose INTR is watched."""

    def __init__(self) -> None:
        self.levels: list[bool] = []
        self.intr = Wire(self.levels.append)
        self.pic = Pic(self.intr)

    def initialize(self, icw4: int = 0x01, slave_icw4: int = 0x01) -> None:
        for chip, vector, icw3, last in (
            (self.pic.master, MASTER, 0x04, icw4),
            (self.pic.slave, SLAVE, 0x02, slave_icw4),
        ):
            chip.write_port(0, 0x11)
            for word in (vector, icw3, last):
                chip.write_port(1, word)

    def raise_irq(self, *irqs: int) -> None:
        for irq in irqs:
            self.pic.line(irq).set(True)

    def pulse(self, irq: int) -> None:
        self.pic.line(irq).set(False)
        self.pic.line(irq).set(True)

    def service_all(self) -> list[int]:
        """Acknowledge and end interrupts until INTR is low."""
        vectors = []
        while self.intr.level:
            vector = self.pic.acknowledge()
            vectors.append(vector)
            if vector >= SLAVE:
                self.pic.slave.write_port(0, EOI)
            self.pic.master.write_port(0, EOI)
        return vectors

    def isr(self) -> int:
        self.pic.master.write_port(0, 0x0B)
        return self.pic.master.read_port(0)

    def irr(self) -> int:
        self.pic.master.write_port(0, 0x0A)
        return self.pic.master.read_port(0)


@pytest.fixture
def board() -> Board:
    board = Board()
    board.initialize()
    return board


def test_edge_interrupts_once_however_long_the_line_stays_high(board: Board) -> None:
    board.raise_irq(4)

    assert board.intr.level
    assert board.pic.acknowledge() == MASTER + 4
    assert not board.intr.level
    board.pic.master.write_port(0, EOI)
    assert not board.intr.level


def test_new_edge_after_eoi_interrupts_again(board: Board) -> None:
    board.raise_irq(4)
    first = board.service_all()
    board.pulse(4)

    assert first == [MASTER + 4]
    assert board.service_all() == [MASTER + 4]


def test_level_triggered_line_interrupts_until_it_falls(board: Board) -> None:
    board.pic.elcr.write_port(0, 0x20)
    board.raise_irq(5)
    board.pic.acknowledge()
    board.pic.master.write_port(0, EOI)
    still_high = board.intr.level
    board.pic.line(5).set(False)

    assert still_high
    assert not board.intr.level


def test_lower_numbers_have_higher_priority_and_the_slave_sits_between_1_and_3(
    board: Board,
) -> None:
    board.raise_irq(15, 7, 3, 8, 1, 0)

    order = [0, 1, 8, 15, 3, 7]
    assert board.service_all() == [(MASTER if irq < 8 else SLAVE - 8) + irq for irq in order]


def test_request_waits_for_the_eoi_of_a_higher_one(board: Board) -> None:
    board.raise_irq(1)
    board.pic.acknowledge()
    board.raise_irq(4)
    held_back = not board.intr.level
    board.raise_irq(0)
    nested = board.pic.acknowledge()
    board.pic.master.write_port(0, EOI)
    board.pic.master.write_port(0, EOI)

    assert held_back
    assert nested == MASTER
    assert board.pic.acknowledge() == MASTER + 4


def test_masked_request_is_kept_until_it_is_unmasked(board: Board) -> None:
    board.pic.master.write_port(1, 0x10)
    board.raise_irq(4)
    masked = board.intr.level, board.irr()
    board.pic.master.write_port(1, 0x00)

    assert masked == (False, 0x10)
    assert board.pic.master.read_port(1) == 0x00
    assert board.pic.acknowledge() == MASTER + 4


def test_irr_and_isr_follow_a_request(board: Board) -> None:
    board.raise_irq(3)
    requested = board.irr(), board.isr()
    board.pic.acknowledge()

    assert requested == (0x08, 0x00)
    assert (board.irr(), board.isr()) == (0x00, 0x08)


def test_withdrawn_request_gives_spurious_irq_7_without_service(board: Board) -> None:
    board.raise_irq(4)
    board.pic.line(4).set(False)

    assert not board.intr.level
    assert board.pic.acknowledge() == MASTER + 7
    assert board.isr() == 0


def test_slave_request_withdrawn_during_acknowledge_gives_spurious_irq_15(board: Board) -> None:
    board.pic.elcr.write_port(0, 0)
    board.raise_irq(10)
    board.pic.state.slave.irr = 0  # between the two INTA cycles

    assert board.pic.acknowledge() == SLAVE + 7
    assert board.isr() == 0x04
    assert board.pic.state.slave.isr == 0


def test_two_slave_requests_in_auto_eoi_both_arrive() -> None:
    board = Board()
    board.initialize(icw4=0x03, slave_icw4=0x03)
    board.raise_irq(9, 12)

    assert [board.pic.acknowledge(), board.pic.acknowledge()] == [SLAVE + 1, SLAVE + 4]
    assert not board.intr.level


def test_intr_falls_and_rises_when_another_request_waits_behind_auto_eoi() -> None:
    board = Board()
    board.initialize(icw4=0x03)
    board.raise_irq(3, 4)
    board.levels.clear()
    board.pic.acknowledge()

    assert board.levels == [False, True]


def test_rotate_on_auto_eoi_makes_the_served_input_lowest() -> None:
    board = Board()
    board.initialize(icw4=0x03)
    board.pic.master.write_port(0, 0x80)
    board.raise_irq(3, 4)
    first = board.pic.acknowledge()
    board.pulse(3)

    assert first == MASTER + 3
    assert board.pic.acknowledge() == MASTER + 4
    assert board.pic.acknowledge() == MASTER + 3


def test_rotate_on_non_specific_eoi_makes_the_ended_input_lowest(board: Board) -> None:
    board.raise_irq(3, 4)
    board.pic.acknowledge()
    board.pic.master.write_port(0, 0xA0)
    board.pulse(3)

    assert board.pic.acknowledge() == MASTER + 4


def test_set_priority_chooses_the_lowest_input(board: Board) -> None:
    board.pic.master.write_port(0, 0xC0 | 4)
    board.raise_irq(0, 5)

    assert board.pic.acknowledge() == MASTER + 5


def test_specific_eoi_ends_only_the_named_input(board: Board) -> None:
    board.raise_irq(5)
    board.pic.acknowledge()
    board.raise_irq(1)
    board.pic.acknowledge()
    board.pic.master.write_port(0, 0x60 | 5)

    assert board.isr() == 0x02


def test_special_mask_mode_lets_lower_requests_pass_a_masked_one_in_service(board: Board) -> None:
    board.raise_irq(1)
    board.pic.acknowledge()
    board.raise_irq(6)
    before = board.intr.level
    board.pic.master.write_port(1, 0x02)
    board.pic.master.write_port(0, 0x68)
    vector = board.pic.acknowledge()
    board.pic.master.write_port(0, EOI)

    assert not before
    assert vector == MASTER + 6
    assert board.isr() == 0x02  # a non-specific EOI passes the masked one over


def test_special_fully_nested_mode_lets_the_slave_interrupt_itself() -> None:
    board = Board()
    board.initialize(icw4=0x11)
    board.raise_irq(12)
    board.pic.acknowledge()
    board.raise_irq(8)

    assert board.pic.acknowledge() == SLAVE


def test_without_special_fully_nested_mode_the_slave_waits(board: Board) -> None:
    board.raise_irq(12)
    board.pic.acknowledge()
    board.raise_irq(8)

    assert not board.intr.level


def test_poll_acknowledges_and_reports_the_highest_request(board: Board) -> None:
    board.raise_irq(6)
    board.pic.master.write_port(0, 0x0C)
    polled = board.pic.master.read_port(0)

    assert polled == 0x86
    assert board.isr() == 0x40
    assert not board.intr.level


def test_poll_with_nothing_waiting_reads_zero(board: Board) -> None:
    board.pic.slave.write_port(0, 0x0C)

    assert board.pic.slave.read_port(0) == 0


def test_initialization_forgets_edges_masks_and_service(board: Board) -> None:
    board.raise_irq(1)
    board.pic.acknowledge()
    board.raise_irq(3)
    board.pic.master.write_port(1, 0xFF)
    board.initialize()

    assert (board.irr(), board.isr(), board.pic.master.read_port(1)) == (0, 0, 0)
    assert not board.intr.level


def test_no_interrupt_during_initialization() -> None:
    board = Board()
    board.pic.master.write_port(0, 0x11)
    board.raise_irq(3)
    during = board.intr.level
    for word in (MASTER, 0x04, 0x01):
        board.pic.master.write_port(1, word)

    assert not during
    assert board.pic.acknowledge() == MASTER + 3


def test_single_mode_without_icw4_takes_only_the_vector() -> None:
    board = Board()
    board.pic.master.write_port(0, 0x12)
    board.pic.master.write_port(1, 0x47)
    board.pic.master.write_port(1, 0xFE)
    board.raise_irq(0)
    board.raise_irq(1)
    board.pic.master.write_port(1, 0x00)

    assert board.pic.acknowledge() == 0x40


def test_elcr_keeps_the_board_inputs_edge_triggered(board: Board) -> None:
    board.pic.elcr.write_port(0, 0xFF)
    board.pic.elcr.write_port(1, 0xFF)

    assert (board.pic.elcr.read_port(0), board.pic.elcr.read_port(1)) == (0xF8, 0xDE)


@pytest.mark.parametrize("irq", [-1, 2, 16])
def test_input_that_does_not_exist_is_refused(board: Board, irq: int) -> None:
    with pytest.raises(ValueError, match=f"IRQ {irq} "):
        board.pic.line(irq)


def test_driving_lines_again_after_a_restore_makes_no_edge(board: Board) -> None:
    board.raise_irq(4, 12)
    board.service_all()
    restored = Board()
    restored.pic.load(board.pic.save())
    restored.raise_irq(4, 12)

    assert not restored.intr.level
    assert restored.pic.save() == board.pic.save()


def test_pending_interrupt_is_asserted_again_by_a_restore(board: Board) -> None:
    board.raise_irq(12)
    restored = Board()
    restored.pic.load(board.pic.save())

    assert restored.intr.level
    assert restored.pic.acknowledge() == SLAVE + 4


def test_reset_drops_intr(board: Board) -> None:
    board.raise_irq(4)
    board.pic.reset()

    assert not board.intr.level
    assert board.pic.save() == PicState()


@pytest.mark.parametrize("seed", range(20))
def test_any_guest_leaves_a_valid_state_that_a_restore_continues(seed: int) -> None:
    rng = random.Random(seed)
    board, twin = Board(), Board()
    for step in range(400):
        action, value = rng.randrange(5), rng.randrange(256)
        if step == 200:
            plain = to_plain(board.pic.save())
            twin.pic.load(from_plain(PicState, plain, PicState.VERSION, "pic"))
        results = []
        for one in (board, twin):
            port = some_port(one.pic, value)
            if action == 0:
                results.append(port.read_port(value & 1))
            elif action == 1:
                port.write_port(value & 1, value * 7 & 0xFF)
            elif action == 2:
                results.append(one.pic.acknowledge())
            else:
                irq = value & 15
                one.pic.line(irq if irq != 2 else 3).set(bool(value & 16))
            results.append(one.intr.level)
        if step >= 200:
            assert results[: len(results) // 2] == results[len(results) // 2 :]
    assert board.pic.save() == twin.pic.save()


def some_port(pic: Pic, value: int) -> BytePorts:
    return (pic.master, pic.slave, pic.elcr)[value % 3]
