# SPDX-License-Identifier: BSD-2-Clause
"""What a guest can do with port 92h."""

from __future__ import annotations

from manager.bus.record import from_plain, to_plain
from manager.devices.port92.device import Port92, Port92State


class Board:
    """Port 92h and what it did, in order."""

    def __init__(self) -> None:
        self.events: list[bool | str] = []
        self.port = Port92(self.events.append, lambda: self.events.append("reset"))
        self.events.clear()


def test_bit_1_opens_and_closes_the_a20_gate() -> None:
    board = Board()
    board.port.write_port(0, 0x02)
    board.port.write_port(0, 0x00)

    assert board.events == [True, False]


def test_bit_0_resets_only_when_it_rises() -> None:
    board = Board()
    for value in (0x03, 0x03, 0x02, 0x03):
        board.port.write_port(0, value)

    assert board.events == [True, "reset", True, True, True, "reset"]


def test_port_reads_what_was_written() -> None:
    board = Board()
    board.port.write_port(0, 0x26)

    assert board.port.read_port(0) == 0x26


def test_restore_drives_the_a20_gate_but_does_not_reset() -> None:
    board = Board()
    board.port.write_port(0, 0x03)
    restored = Board()
    restored.port.load(board.port.save())

    assert restored.events == [True]
    assert restored.port.read_port(0) == 0x03


def test_reset_closes_the_gate() -> None:
    board = Board()
    board.port.write_port(0, 0x02)
    board.port.reset()

    assert board.events == [True, False]
    assert board.port.read_port(0) == 0


def test_every_value_leaves_a_state_that_can_be_stored() -> None:
    board, twin = Board(), Board()
    for value in range(256):
        board.port.write_port(value & 3, value)
        saved = to_plain(board.port.save())
        twin.port.load(from_plain(Port92State, saved, Port92State.VERSION, "port92"))

        assert to_plain(twin.port.save()) == saved
        assert twin.port.read_port(0) == board.port.read_port(0)
