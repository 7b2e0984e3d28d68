# SPDX-License-Identifier: BSD-2-Clause
"""What a guest sees of a keyboard controller without a keyboard."""

from __future__ import annotations

import random

import pytest

from manager.bus.lines import Wire
from manager.bus.record import from_plain, to_plain
from manager.devices.keyboard.device import Keyboard, KeyboardState

FULL, SYSTEM, COMMAND, AUX, TIMEOUT = 0x01, 0x04, 0x08, 0x20, 0x40


class Board:
    """The controller, its interrupt, its A20 gate and the number of resets."""

    def __init__(self) -> None:
        self.irq_edges = 0
        self.irq = Wire(self._edge)
        self.a20: bool | None = None
        self.resets = 0
        self.keyboard = Keyboard(self.irq, self._set_a20, self._reset)

    def _edge(self, level: bool) -> None:
        self.irq_edges += level

    def _set_a20(self, level: bool) -> None:
        self.a20 = level

    def _reset(self) -> None:
        self.resets += 1

    def command(self, value: int, *data: int) -> None:
        self.keyboard.command_port.write_port(0, value)
        for byte in data:
            self.keyboard.write_port(0, byte)

    def status(self) -> int:
        return self.keyboard.command_port.read_port(0)

    def data(self) -> int:
        return self.keyboard.read_port(0)


@pytest.fixture
def board() -> Board:
    return Board()


def test_controller_has_nothing_to_say_at_first(board: Board) -> None:
    assert board.status() == 0x10


@pytest.mark.parametrize(
    ("command", "answer"),
    [(0xAA, 0x55), (0xAB, 0x00), (0xA9, 0x01), (0xC0, 0x80), (0x20, 0x20), (0xD0, 0xC3)],
)
def test_command_is_answered_at_once(board: Board, command: int, answer: int) -> None:
    board.command(command)
    before = board.status()

    assert before & FULL
    assert board.data() == answer
    assert not board.status() & FULL


def test_self_test_sets_the_system_flag(board: Board) -> None:
    board.command(0xAA)

    assert board.status() & SYSTEM


def test_status_tells_a_command_from_data(board: Board) -> None:
    board.command(0xAE)
    after_command = board.status() & COMMAND
    board.keyboard.write_port(0, 0xF4)

    assert (after_command, board.status() & COMMAND) == (COMMAND, 0)


def test_command_byte_is_kept(board: Board) -> None:
    board.command(0x60, 0x65)
    board.command(0x20)

    assert board.data() == 0x65


def test_second_port_cannot_be_enabled(board: Board) -> None:
    board.command(0xA8)
    board.command(0x60, 0x00)
    board.command(0x20)

    assert board.data() & 0x20


def test_loopback_to_the_second_port_comes_back_as_the_keyboards(board: Board) -> None:
    board.command(0xD3, 0x5A)

    assert board.status() & (FULL | AUX) == FULL
    assert board.data() == 0x5A


def test_byte_for_the_keyboard_is_refused_at_once(board: Board) -> None:
    board.keyboard.write_port(0, 0xFF)

    assert board.status() & (FULL | AUX | TIMEOUT) == FULL | TIMEOUT
    assert board.data() == 0xFE


def test_byte_for_the_mouse_is_refused_at_once(board: Board) -> None:
    board.command(0xD4, 0xFF)

    assert board.status() & (FULL | AUX | TIMEOUT) == FULL | AUX | TIMEOUT
    assert board.data() == 0xFE


def test_each_byte_interrupts_when_enabled(board: Board) -> None:
    board.command(0x60, 0x01)
    board.keyboard.write_port(0, 0xF2)
    high = board.irq.level
    board.keyboard.write_port(0, 0xF2)
    edges = board.irq_edges
    board.data()

    assert (high, edges, board.irq.level) == (True, 2, False)


def test_no_interrupt_unless_enabled(board: Board) -> None:
    board.keyboard.write_port(0, 0xF2)

    assert board.irq_edges == 0


def test_keyboard_interface_is_disabled_and_enabled(board: Board) -> None:
    shown = []
    for command in (0xAD, 0xAE):
        board.command(command)
        board.command(0x20)
        shown.append(board.data() & 0x10)

    assert shown == [0x10, 0x00]


def test_a20_gate_is_open_at_power_on(board: Board) -> None:
    assert board.a20 is True


def test_output_port_gates_a20(board: Board) -> None:
    board.command(0xD1, 0xDD)
    closed = board.a20
    board.command(0xD0)
    read = board.data()
    board.command(0xD1, 0xDF)

    assert (closed, read & 0x02, board.a20) == (False, 0, True)
    assert board.resets == 0


def test_commands_gate_a20(board: Board) -> None:
    board.command(0xDD)
    closed = board.a20
    board.command(0xDF)

    assert (closed, board.a20) == (False, True)


@pytest.mark.parametrize(("pulse", "resets"), [(0xFE, 1), (0xF0, 1), (0xFF, 0), (0xFD, 0)])
def test_pulse_of_output_0_resets(board: Board, pulse: int, resets: int) -> None:
    board.command(pulse)

    assert board.resets == resets


def test_output_port_with_the_reset_line_low_resets(board: Board) -> None:
    board.command(0xD1, 0xDE)

    assert board.resets == 1


def test_new_command_cancels_one_that_waits_for_data(board: Board) -> None:
    board.command(0xD1)
    board.command(0xAE)
    board.keyboard.write_port(0, 0x00)

    assert (board.a20, board.resets) == (True, 0)


def test_restore_drives_interrupt_and_gate_again(board: Board) -> None:
    board.command(0x60, 0x01)
    board.command(0xDD)
    board.keyboard.write_port(0, 0xF2)
    restored = Board()
    restored.keyboard.load(board.keyboard.save())

    assert (restored.irq.level, restored.a20) == (True, False)
    assert restored.data() == 0xFE


def test_reset_opens_the_gate_and_drops_the_interrupt(board: Board) -> None:
    board.command(0x60, 0x01)
    board.command(0xDD)
    board.keyboard.write_port(0, 0xF2)
    board.keyboard.reset()

    assert (board.irq.level, board.a20, board.status()) == (False, True, 0x10)


@pytest.mark.parametrize("seed", range(10))
def test_any_guest_leaves_a_valid_state_that_a_restore_continues(seed: int) -> None:
    rng = random.Random(seed)
    board, twin = Board(), Board()
    for step in range(600):
        action, value = rng.randrange(4), rng.randrange(256)
        if step == 300:
            plain = to_plain(board.keyboard.save())
            twin.keyboard.load(from_plain(KeyboardState, plain, KeyboardState.VERSION, "keyboard"))
        seen = []
        for one in (board, twin):
            if action == 0:
                one.command(value)
            elif action == 1:
                one.keyboard.write_port(0, value)
            elif action == 2:
                one.data()
            seen.append((one.status(), one.irq.level, one.a20))
        assert step < 300 or seen[0] == seen[1]
    assert board.keyboard.save() == twin.keyboard.save()
