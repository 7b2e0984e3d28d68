# SPDX-License-Identifier: BSD-2-Clause
"""What a guest can do with port CF9h."""

from __future__ import annotations

import pytest

from manager.bus.record import from_plain, to_plain
from manager.devices.reset_control.device import ResetControl, ResetControlState


class Board:
    """The register, and what it reset."""

    def __init__(self) -> None:
        self.reset: list[str] = []
        self.register = ResetControl(
            lambda: self.reset.append("cpu"), lambda: self.reset.append("board")
        )

    @property
    def resets(self) -> int:
        return len(self.reset)


@pytest.mark.parametrize(("value", "what"), [(0x04, "cpu"), (0x06, "board"), (0x0E, "board")])
def test_rise_of_bit_2_resets(value: int, what: str) -> None:
    board = Board()
    board.register.write_port(0, value & ~0x04)
    armed = board.resets
    board.register.write_port(0, value)

    assert (armed, board.reset) == (0, [what])


def test_bit_2_that_is_already_set_does_not_reset_again() -> None:
    board = Board()
    for value in (0x06, 0x06, 0x02, 0x06):
        board.register.write_port(0, value)

    assert board.resets == 2


def test_reserved_bits_read_as_zero() -> None:
    board = Board()
    board.register.write_port(0, 0xFB)

    assert board.register.read_port(0) == 0x0A


def test_board_reset_clears_the_register() -> None:
    board = Board()
    board.register.write_port(0, 0x06)
    board.register.reset()
    board.register.write_port(0, 0x06)

    assert board.resets == 2


def test_restore_does_not_reset() -> None:
    board, restored = Board(), Board()
    board.register.write_port(0, 0x06)
    restored.register.load(board.register.save())
    restored.register.write_port(0, 0x06)

    assert restored.resets == 0


def test_every_value_leaves_a_state_that_can_be_stored() -> None:
    board, twin = Board(), Board()
    for value in range(256):
        board.register.write_port(0, value)
        saved = to_plain(board.register.save())
        twin.register.load(from_plain(ResetControlState, saved, 1, "reset-control"))

        assert to_plain(twin.register.save()) == saved
        assert twin.register.read_port(0) == board.register.read_port(0)
