# SPDX-License-Identifier: BSD-2-Clause
"""The model of a link: what arrives where and when is a function of what was sent when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manager.bus.record import NEVER, RecordError, from_plain, to_plain
from manager.graph.lab import LOSS_UNIT, MOST_CARDS, End, LinkSpec
from manager.lab.links import AROUND, MOST_ADDRESSES, QUEUE, Link, LinkState
from manager.network.pcap import Capture

ALL = b"\xff" * 6
US = 1_000


def station(number: int) -> bytes:
    """The address of a card."""
    return bytes([0x52, 0x54, 0, 0, 0, number])


def frame(source: int, to: int | None = None, length: int = 60, mark: int = 0) -> bytes:
    """A frame from one card to another, or to all."""
    head = (station(to) if to is not None else ALL) + station(source) + b"\x88\xb5"
    return (head + mark.to_bytes(8, "big")).ljust(length, b".")


def link(ports: int = 2, tap: Callable[[int, bytes], None] | None = None, **spec: Any) -> Link:
    names = tuple(End(f"m{n}", "slots.6") for n in range(ports))
    return Link(LinkSpec("lan", names, **spec), [str(name) for name in names], tap)


def wire_time(length: int, bandwidth: int) -> int:
    return -(-(max(length, 60) + AROUND) * 8 * 10**9 // bandwidth)


# ---- what a frame's time is made of ----


def test_a_frame_takes_its_bits_and_the_latency() -> None:
    wire = link(latency=100 * US, bandwidth=1_000_000_000)
    wire.send(5, 0, frame(0, length=1014))

    assert wire.next_due == 5 + 100 * US
    assert wire.due(NEVER) == [(5 + 100 * US + 8304, 1, frame(0, length=1014))]
    assert wire.next_due == NEVER


def test_a_short_frame_takes_as_long_as_the_shortest_on_a_wire() -> None:
    wire = link(latency=US, bandwidth=8_000_000_000)
    wire.send(0, 0, frame(0, length=14))
    assert [at for at, _, _ in wire.due(NEVER)] == [US + 84]


def test_frames_wait_for_each_other_on_the_sender_s_cable() -> None:
    wire = link(latency=US, bandwidth=8_000_000_000)
    for _ in range(3):
        wire.send(0, 0, frame(0))
    assert [at for at, _, _ in wire.due(NEVER)] == [US + 84, US + 168, US + 252]


def test_two_senders_share_the_receiver_s_cable_and_not_each_other_s() -> None:
    wire = link(3, latency=US, bandwidth=8_000_000_000)
    wire.send(0, 1, frame(1, mark=1))
    wire.send(0, 0, frame(0, mark=0))

    arrivals = wire.due(NEVER)
    assert [at for at, to, _ in arrivals if to == 2] == [US + 84, US + 168]
    assert [at for at, to, _ in arrivals if to == 0] == [US + 84]
    first = next(data for _, to, data in arrivals if to == 2)
    assert first == frame(0, mark=0), "at one time the card with the lower number is first"


def test_what_finds_the_queue_full_is_dropped() -> None:
    wire = link(latency=US, bandwidth=1_000_000)
    for mark in range(1000):
        wire.send(0, 0, frame(0, length=1000, mark=mark))
    count = len(wire.due(NEVER))
    fit = QUEUE // (1000 + AROUND)
    assert count in (fit, fit + 1, fit + 2)
    traffic = wire.traffic()["m0/slots.6"]
    assert traffic.dropped == 1000 - count


def test_a_queue_fills_at_the_receiver_too() -> None:
    wire = link(4, latency=US, bandwidth=1_000_000)
    for mark in range(250):
        for sender in (0, 1, 2):
            wire.send(mark, sender, frame(sender, length=1000, mark=mark))
    arrived = sum(port == 3 for _, port, _ in wire.due(NEVER))
    dropped = wire.traffic()["m3/slots.6"].dropped
    assert arrived + dropped == 750
    assert 200 < dropped < 300


# ---- the switch ----


def test_a_frame_to_a_known_address_goes_there_alone() -> None:
    wire = link(4)
    wire.send(0, 2, frame(2))
    assert [port for _, port, _ in wire.due(NEVER - 1)] == [0, 1, 3]
    later = link(4)
    later.load(replace(wire.state(), asked_until=0))
    later.send(1, 0, frame(0, to=2))
    assert [port for _, port, _ in later.due(NEVER)] == [2]


def test_a_frame_to_its_own_card_or_to_a_group_is_no_unicast() -> None:
    wire = link(3)
    wire.send(0, 0, frame(0))
    wire.send(1, 0, frame(0, to=0))
    assert [port for _, port, _ in wire.due(10**9)] == [1, 2]
    wire.send(10**9, 1, b"\x01" + frame(1, to=0)[1:])
    assert [port for _, port, _ in wire.due(NEVER)] == [0, 2]


def test_it_remembers_only_so_many_addresses() -> None:
    wire = link(2, bandwidth=100_000_000_000)
    for number in range(MOST_ADDRESSES + 10):
        wire.send(number * US, 0, ALL + bytes([2]) + number.to_bytes(5, "big") + bytes(46))
    wire.due(NEVER - 1)
    assert len(wire.state().learned) == MOST_ADDRESSES * 8
    from_plain(LinkState, to_plain(wire.state()), 1, "lan")


# ---- loss ----


def test_loss_is_about_what_was_asked_for_and_the_same_for_a_seed() -> None:
    def marks(seed: int) -> list[int]:
        wire = link(latency=US, loss=LOSS_UNIT // 10, seed=seed)
        for mark in range(2000):
            wire.send(mark * 100 * US, 0, frame(0, mark=mark))
        return [int.from_bytes(data[14:22], "big") for _, _, data in wire.due(NEVER)]

    first, again, other = marks(1), marks(1), marks(2)
    assert first == again != other
    assert 1720 < len(first) < 1880


def test_each_receiver_loses_for_itself() -> None:
    wire = link(3, latency=US, loss=LOSS_UNIT // 2)
    for mark in range(100):
        wire.send(mark * 100 * US, 0, frame(0, mark=mark))
    arrivals = wire.due(NEVER)
    one, two = ([data for _, to, data in arrivals if to == port] for port in (1, 2))
    assert one
    assert one != two


def test_loss_of_all_and_of_none() -> None:
    for loss, expected in ((LOSS_UNIT, 0), (0, 50)):
        wire = link(latency=US, loss=loss)
        for mark in range(50):
            wire.send(mark * 100 * US, 0, frame(0, mark=mark))
        assert len(wire.due(NEVER)) == expected


# ---- any traffic ----

Sent = tuple[int, int, bytes]


@st.composite
def traffic(draw: st.DrawFn) -> tuple[dict[str, Any], list[Sent], list[int]]:
    """A spec, frames (when, sender, frame) in the order of time, and times to ask at."""
    ports = draw(st.integers(1, 4))
    spec = {
        "ports": ports,
        "latency": draw(st.integers(1, 300 * US)),
        "bandwidth": draw(st.sampled_from([10**5, 10**7, 10**9, 10**11])),
        "loss": draw(st.sampled_from([0, LOSS_UNIT // 3, LOSS_UNIT])),
        "seed": draw(st.integers(0, 2**63 - 1)),
    }
    sends = draw(
        st.lists(
            st.tuples(
                st.integers(0, 2_000 * US),
                st.integers(0, ports - 1),
                st.integers(0, 4).map(lambda n: n if n < 4 else None),
                st.sampled_from([14, 60, 600, 1518]),
            ),
            max_size=40,
        )
    )
    sends.sort(key=lambda item: item[0])
    frames = [
        (at, port, frame(port, to, length, mark))
        for mark, (at, port, to, length) in enumerate(sends)
    ]
    return spec, frames, sorted(draw(st.lists(st.integers(0, 3_000 * US), max_size=6)))


def run(
    wire: Link, sends: Sequence[Sent], cuts: Sequence[int], *, round_trip: bool = False
) -> list[tuple[int, int, bytes]]:
    """Tell the link what was sent, and ask at each cut, a latency ahead, as a lab does.

    Cards tell in the order of their numbers, not of time, up to each cut.
    """
    found: list[tuple[int, int, bytes]] = []
    rest = list(sends)
    for cut in (*cuts, NEVER - wire.spec.latency):
        before = [item for item in rest if item[0] < cut]
        rest = [item for item in rest if item[0] >= cut]
        for item in sorted(before, key=lambda item: -item[1]):
            wire.send(*item)
        if round_trip:
            state = from_plain(LinkState, to_plain(wire.state()), LinkState.VERSION, "lan")
            tap = wire.tap
            wire = Link(wire.spec, wire.ports, tap)
            wire.load(state)
        found += wire.due(cut + wire.spec.latency)
    return found


@given(traffic())
def test_nothing_depends_on_when_it_is_asked_nor_on_a_restore(
    case: tuple[dict[str, Any], list[Sent], list[int]],
) -> None:
    spec, sends, cuts = case
    logs: list[list[tuple[int, bytes]]] = [[], [], []]
    wires = [link(tap=lambda at, data, log=log: log.append((at, data)), **spec) for log in logs]

    straight = run(wires[0], sends, [])

    assert run(wires[1], sends, cuts) == straight
    assert run(wires[2], sends, cuts, round_trip=True) == straight
    assert logs[0] == logs[1] == logs[2]
    assert straight == sorted(straight, key=lambda item: item[:2])
    assert [at for at, _ in logs[0]] == sorted(at for at, _ in logs[0])
    assert to_plain(wires[1].state()) == to_plain(wires[0].state())


@given(traffic())
def test_every_frame_is_accounted_for(
    case: tuple[dict[str, Any], list[Sent], list[int]],
) -> None:
    """Without unicast every frame is for all others."""
    spec, sends, cuts = case
    sends = [(at, port, ALL + data[6:]) for at, port, data in sends]
    wire = link(**spec)
    for at, port, data in sends:
        wire.send(at, port, data)
    for until in (*cuts, NEVER - 1):
        wire.due(until)
        cables = list(wire.traffic().values())
        others = spec["ports"] - 1
        state = wire.state()
        assert sum(cable.sent for cable in cables) == len(sends)
        if until == NEVER - 1:
            dropped_out = len(sends) - tapped(spec, sends)
            dropped_in = sum(cable.dropped for cable in cables) - dropped_out
            arrived = sum(cable.received + cable.lost for cable in cables) + dropped_in
            assert not state.flying
            assert not state.arriving
            assert arrived == (len(sends) - dropped_out) * others
            assert sum(cable.received_bytes for cable in cables) >= 14 * sum(
                cable.received for cable in cables
            )


def tapped(spec: dict[str, Any], sends: Sequence[Sent]) -> int:
    """How many frames get on the wire at all."""
    count = 0

    def tap(_at: int, _data: bytes) -> None:
        nonlocal count
        count += 1

    run(link(tap=tap, **spec), sends, [])
    return count


@given(traffic())
def test_between_two_cards_nothing_is_overtaken_nor_too_fast(
    case: tuple[dict[str, Any], list[Sent], list[int]],
) -> None:
    spec, sends, cuts = case
    sent_at = {data: (at, port) for at, port, data in sends}
    pairs: dict[tuple[int, int], list[int]] = {}
    last = [0] * spec["ports"]
    for at, port, data in run(link(**spec), sends, cuts):
        began, sender = sent_at[data]
        taken = wire_time(len(data), spec["bandwidth"])
        assert at >= began + spec["latency"] + taken
        assert at - taken >= last[port], "one cable carries one frame at a time"
        last[port] = at
        pairs.setdefault((sender, port), []).append(int.from_bytes(data[14:22], "big"))
    for marks in pairs.values():
        long = [mark for mark in marks if mark]
        assert long == sorted(long)


# ---- what does not fit ----


def test_a_frame_from_the_past_is_refused() -> None:
    wire = link(latency=10)
    wire.due(100)
    wire.send(90, 0, frame(0))
    with pytest.raises(ValueError, match="89 is over for m1"):
        wire.send(89, 1, frame(1))


def test_a_link_has_a_bounded_number_of_cards() -> None:
    link(MOST_CARDS)
    with pytest.raises(ValueError, match="cannot have 65 cards"):
        link(MOST_CARDS + 1)


def test_a_link_without_cards_is_idle() -> None:
    wire = link(0)

    assert wire.due(1000) == []
    assert wire.next_due == NEVER
    again = link(0)
    again.load(wire.state())
    assert again.state() == wire.state()


def stored(**changes: Any) -> LinkState:
    wire = link(3, latency=10)
    wire.send(50, 0, frame(0))
    wire.send(50, 1, frame(1))
    wire.due(61)
    wire.send(60, 2, frame(2))
    plain = to_plain(wire.state())
    assert plain["flying"]
    assert plain["arriving"]
    return from_plain(LinkState, {**plain, **changes}, LinkState.VERSION, "link lan")


def test_a_state_is_as_it_was() -> None:
    plain = to_plain(stored())
    other = link(3, latency=10)
    other.load(stored())
    assert to_plain(other.state()) == plain


GOOD = to_plain(stored())


def flipped(key: str) -> bytes:
    data = GOOD[key]
    assert isinstance(data, bytes)
    return data


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"flying": flipped("flying")[:-1]}, "not whole"),
        ({"arriving": flipped("arriving")[:-61]}, "not whole"),
        ({"flying": flipped("flying") + b"\0"}, "not whole"),
        ({"flying": flipped("flying") * 2}, "order"),
        ({"asked_until": 10**9}, "order"),
        ({"flying": b"\xff" * 8 + flipped("flying")[8:]}, "order"),
        ({"learned": b"\0" * 7}, "address"),
        ({"learned": bytes(8 * (MOST_ADDRESSES + 1))}, "length"),
        ({"ports": []}, "list of"),
    ],
)
def test_a_state_that_no_link_wrote_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RecordError, match=words):
        stored(**changes)


def test_the_state_of_another_link_is_refused() -> None:
    for changes in ({}, {"flying": b"", "arriving": b"", "learned": station(1) + b"\x09\0"}):
        with pytest.raises(RecordError, match="it has no card"):
            link(1).load(stored(**changes))


# ---- captures ----


def test_two_captures_of_one_run_have_the_same_bytes(tmp_path: Path) -> None:
    def capture(name: str, cuts: Sequence[int]) -> bytes:
        file = Capture(tmp_path / name, 0, anew=True)
        wire = link(2, tap=file.add, latency=10 * US)
        sends = [(mark * 7 * US, mark % 2, frame(mark % 2, mark=mark)) for mark in range(50)]
        run(wire, sends, cuts)
        file.close()
        return (tmp_path / name).read_bytes()

    assert capture("a.pcap", []) == capture("b.pcap", range(0, 400 * US, 10 * US))
    assert len(capture("c.pcap", [1])) == 24 + 50 * (16 + 60)
