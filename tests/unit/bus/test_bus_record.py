# SPDX-License-Identifier: BSD-2-Clause
"""State records: plain form, validation that names the field, upgrades."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manager.bus.copies import reader
from manager.bus.record import (
    NEVER,
    Record,
    RecordError,
    clone,
    describe,
    flag,
    from_plain,
    integer,
    ints,
    moment,
    nested,
    octets,
    several,
    text,
    to_plain,
    uint,
)


@dataclass(slots=True)
class Channel(Record):
    """One of three."""

    TYPE = "channel"

    count: int = uint(16, "counter")


@dataclass(slots=True)
class Sample(Record):
    """One field of every kind. Version 2 renamed `speed`, version 3 added `offset`."""

    TYPE = "sample"
    VERSION = 3
    MIN_READABLE = 1
    UPGRADES = {
        1: lambda old: {**{k: v for k, v in old.items() if k != "speed"}, "rate": old["speed"]},
        2: lambda old: {**old, "offset": 0},
    }

    rate: int = uint(8, "rate", 9, unit="Hz")
    offset: int = integer(-5, 5, "offset")
    enabled: bool = flag("enabled")
    due: int = moment("deadline", NEVER)
    fifo: bytearray = octets(0, 4, "content", b"ab")
    name: str = text(8, "name", "x")
    table: list[int] = ints(3, 4, "table", 1)
    main: Channel = nested(Channel, "the main channel")
    others: list[Channel] = several(Channel, 2, "the others")


def load(plain: Any, version: int = 3) -> Sample:
    return from_plain(Sample, plain, version, "board.sample")


def with_field(name: str, value: Any) -> dict[str, Any]:
    return {**to_plain(Sample()), name: value}


def test_the_plain_form_holds_named_fields_of_plain_values() -> None:
    assert to_plain(Sample()) == {
        "rate": 9,
        "offset": 0,
        "enabled": False,
        "due": NEVER,
        "fifo": b"ab",
        "name": "x",
        "table": [1, 1, 1],
        "main": {"count": 0},
        "others": [{"count": 0}, {"count": 0}],
    }


@given(
    st.builds(
        Sample,
        rate=st.integers(0, 255),
        offset=st.integers(-5, 5),
        enabled=st.booleans(),
        due=st.integers(0, NEVER),
        fifo=st.binary(max_size=4).map(bytearray),
        name=st.text(max_size=8),
        table=st.lists(st.integers(0, 15), min_size=3, max_size=3),
        main=st.builds(Channel, count=st.integers(0, 0xFFFF)),
        others=st.lists(st.builds(Channel, count=st.integers(0, 9)), min_size=2, max_size=2),
    )
)
def test_every_record_comes_back_from_its_plain_form(record: Sample) -> None:
    assert load(to_plain(record)) == record


def test_octets_come_back_as_a_bytearray_that_a_device_can_change() -> None:
    assert isinstance(load(to_plain(Sample())).fifo, bytearray)


def test_plain_forms_and_clones_share_nothing_with_the_record() -> None:
    record = Sample()
    plain, copy = to_plain(record), clone(record)

    record.fifo.append(1)
    record.table[0] = 7
    record.main.count = 7
    record.others[1].count = 7

    assert plain == to_plain(Sample())
    assert copy == Sample()


def test_what_is_compared_of_a_record_changes_with_every_field() -> None:
    read, first = reader(Sample), reader(Sample)(clone(Sample()))
    changed = [clone(Sample()) for _ in range(4)]

    changed[0].fifo.append(1)
    changed[1].table[2] = 7
    changed[2].main.count = 7
    changed[3].others[1].count = 7

    assert read(Sample()) == first
    assert all(read(record) != first for record in changed)


def test_two_fresh_records_share_nothing() -> None:
    first, second = Sample(), Sample()

    first.table[0] = 7
    first.others[0].count = 7

    assert second == Sample()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("rate", 256, "board.sample.rate: 256 is outside 0..255"),
        ("rate", -1, "board.sample.rate: -1 is outside 0..255"),
        ("rate", True, "board.sample.rate: expected an integer, found bool"),
        ("rate", "9", "board.sample.rate: expected an integer, found str"),
        ("offset", -6, "board.sample.offset: -6 is outside -5..5"),
        ("enabled", 1, "board.sample.enabled: expected true or false, found int"),
        ("due", -1, "board.sample.due: -1 is outside"),
        ("fifo", b"12345", "board.sample.fifo: length 5 is outside 0..4"),
        ("fifo", "ab", "board.sample.fifo: expected bytes, found str"),
        ("name", "x" * 9, "board.sample.name: length 9 is outside 0..8"),
        ("name", b"x", "board.sample.name: expected str, found bytes"),
        ("table", [1, 2], "board.sample.table: expected a list of 3"),
        ("table", [1, 2, 16], r"board.sample.table\[2\]: 16 is outside 0..15"),
        ("table", None, "board.sample.table: expected a list of 3"),
        ("main", 5, "board.sample.main: expected named fields, found int"),
        ("main", {"count": 1 << 16}, "board.sample.main.count: 65536 is outside"),
        ("others", [{"count": 0}], "board.sample.others: expected a list of 2"),
        ("others", [{"count": 0}, {}], r"board.sample.others\[1\]: field count is missing"),
        ("extra", 0, "board.sample: field extra is unknown"),
    ],
)
def test_a_wrong_field_is_named(name: str, value: Any, message: str) -> None:
    with pytest.raises(RecordError, match=f"^{message}"):
        load(with_field(name, value))


def test_a_missing_field_is_named() -> None:
    plain = to_plain(Sample())
    del plain["offset"]

    with pytest.raises(RecordError, match=r"board\.sample: field offset is missing"):
        load(plain)


@pytest.mark.parametrize("version", [1, 3])
def test_something_else_than_named_fields_is_refused(version: int) -> None:
    with pytest.raises(RecordError, match="expected named fields, found list"):
        load([], version)


def test_old_versions_are_upgraded_one_step_at_a_time() -> None:
    plain = to_plain(Sample())
    del plain["offset"]
    second = dict(plain)
    first = {**plain, "speed": 50}
    del first["rate"]

    assert load(first, 1) == Sample(rate=50)
    assert load(second, 2) == Sample()


@pytest.mark.parametrize(("version", "words"), [(4, "newer than 3"), (0, "older than 1")])
def test_versions_that_cannot_be_read_are_refused_by_number(version: int, words: str) -> None:
    with pytest.raises(RecordError, match=f"sample state has version {version}, {words}"):
        load(to_plain(Sample()), version)


def test_the_description_shows_kinds_ranges_and_units() -> None:
    described: Any = describe(Sample)

    assert (described["type"], described["version"]) == ("sample", 3)
    assert described["fields"]["rate"] == {
        "kind": "int",
        "doc": "rate",
        "unit": "Hz",
        "low": 0,
        "high": 255,
    }
    assert described["fields"]["due"]["unit"] == "ns"
    assert described["fields"]["main"]["item"]["type"] == "channel"
