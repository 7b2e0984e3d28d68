# SPDX-License-Identifier: BSD-2-Clause
"""The model of a null-modem cable."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manager.bus.record import NEVER, RecordError, from_plain, to_plain
from manager.graph.lab import CableSpec, End
from manager.lab.cables import QUEUE, Cable, CableState

ENDS = (End("client", "lpc.com2"), End("server", "lpc.com1"))
US = 1_000


def cable(**spec: Any) -> Cable:
    return Cable(CableSpec("null", ENDS, **spec))


def test_a_byte_takes_ten_bits_and_the_latency() -> None:
    wire = cable(latency=100 * US, baud=115_200)
    wire.send(7, 0, b"a")
    assert wire.next_due == 7 + 86_806 + 100 * US
    assert wire.due(NEVER) == [(7 + 86_806 + 100 * US, 1, b"a")]


def test_directions_are_apart_and_bytes_are_in_order() -> None:
    wire = cable(latency=US, baud=1_000_000)
    wire.send(0, 0, b"a")
    wire.send(0, 0, b"b")
    wire.send(0, 1, b"x")
    assert wire.due(NEVER) == [(11 * US, 0, b"x"), (11 * US, 1, b"a"), (21 * US, 1, b"b")]


def test_more_than_may_wait_is_lost_and_counted() -> None:
    wire = cable()
    for _ in range(3):
        wire.send(0, 0, bytes(QUEUE // 2))
    assert sum(len(data) for _, _, data in wire.due(NEVER)) == QUEUE
    way = wire.traffic()[1]
    assert (way.sent, way.received, way.dropped) == (QUEUE // 2 * 3, QUEUE, QUEUE // 2)


Sent = tuple[int, int, bytes]


@given(
    st.lists(
        st.tuples(st.integers(0, 1000 * US), st.integers(0, 1), st.binary(max_size=20)),
        max_size=30,
    ),
    st.lists(st.integers(0, 1500 * US), max_size=5).map(sorted),
    st.sampled_from([300, 115_200, 10_000_000]),
)
def test_nothing_depends_on_when_it_is_asked_nor_on_a_restore(
    sends: list[Sent], cuts: list[int], baud: int
) -> None:
    sends.sort(key=lambda item: item[0])

    def run(cuts: list[int], round_trip: bool) -> tuple[list[Sent], Any]:
        wire, rest = cable(baud=baud), sends
        found = []
        for cut in (*cuts, NEVER - wire.spec.latency):
            for item in rest:
                if item[0] < cut:
                    wire.send(*item)
            rest = [item for item in rest if item[0] >= cut]
            if round_trip:
                state = from_plain(CableState, to_plain(wire.state()), 1, "null")
                wire = cable(baud=baud)
                wire.load(state)
            found += wire.due(cut + wire.spec.latency)
        return found, to_plain(wire.state())

    straight = run([], False)
    assert run(cuts, False) == run(cuts, True) == straight
    for end in (0, 1):
        sent = b"".join(data for _, port, data in sends if port != end)
        assert b"".join(data for _, to, data in straight[0] if to == end) == sent


def test_bytes_from_the_past_are_refused() -> None:
    wire = cable(latency=10)
    wire.due(100)
    with pytest.raises(ValueError, match=r"null: 89 is over for server/lpc\.com1"):
        wire.send(89, 1, b"x")


@pytest.mark.parametrize(
    ("flying", "words"),
    [
        (b"\1", "not whole"),
        (bytes(12), "not whole"),
        (b"\1" + bytes(7) + b"\2\0\0\0a", "not whole"),
        ((b"\1" + bytes(7) + b"\1\0\0\0a") * 2, "order"),
        (b"\xff" * 8 + b"\1\0\0\0a", "order"),
    ],
)
def test_a_state_that_no_cable_wrote_is_refused(flying: bytes, words: str) -> None:
    plain = to_plain(cable().state())
    ends = plain["ends"]
    assert isinstance(ends, list)
    assert isinstance(ends[0], dict)
    ends[0]["flying"] = flying
    with pytest.raises(RecordError, match=words):
        from_plain(CableState, plain, 1, "cable null")
