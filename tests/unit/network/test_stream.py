# SPDX-License-Identifier: BSD-2-Clause
"""Frames over a stream socket: whole ones in order, whatever pieces they come in."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator

import pytest

from manager.network.peer import Side
from manager.network.stream import LENGTH, LONGEST, FrameStream


class Bench:
    """A stream, and the socket at its other end."""

    def __init__(self) -> None:
        ours, self.far = socket.socketpair()
        self.selector = selectors.DefaultSelector()
        self.frames: list[bytes] = []
        self.lost: list[str] = []
        self.stream = FrameStream(ours, self.selector, Side(self.frames.append, self.lost.append))

    def turn(self) -> None:
        """What the event loop does once."""
        for key, events in self.selector.select(0):
            key.data(events)

    def close(self) -> None:
        self.stream.close()
        self.far.close()
        self.selector.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def packed(frame: bytes) -> bytes:
    return LENGTH.pack(len(frame)) + frame


def test_frames_come_whole_whatever_pieces_they_are_sent_in(bench: Bench) -> None:
    frames = [bytes([number]) * (60 + number) for number in range(20)]
    data = b"".join(map(packed, frames))
    for start in range(0, len(data), 7):
        bench.far.send(data[start : start + 7])
        bench.turn()
    assert bench.frames == frames


def test_frames_wait_in_order_while_the_card_is_held(bench: Bench) -> None:
    bench.stream.hold(True)
    bench.far.sendall(packed(b"one") + packed(b"two"))
    bench.turn()
    assert bench.frames == []
    bench.stream.hold(False)
    assert bench.frames == [b"one", b"two"]


@pytest.mark.parametrize("length", [LONGEST + 1, 0xFFFF_FFFF])
def test_a_length_that_none_has_ends_the_connection(bench: Bench, length: int) -> None:
    bench.far.sendall(LENGTH.pack(length))
    bench.turn()
    assert bench.lost == [f"it sent a frame of {length} bytes"]
    bench.stream.send(b"nobody hears this")


def test_the_end_of_the_connection_is_told_once(bench: Bench) -> None:
    bench.far.sendall(packed(b"last words"))
    bench.far.close()
    bench.turn()
    bench.turn()
    assert bench.frames == [b"last words"]
    assert len(bench.lost) == 1
