# SPDX-License-Identifier: BSD-2-Clause
from __future__ import annotations

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manager.bus.record import Plain
from manager.cbor import CborError, decode, encode

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(1 << 64), max_value=(1 << 512) - 1)
    | st.binary(max_size=300)
    | st.text(max_size=300)
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(max_size=40), inner),
    max_leaves=25,
)


@given(TREES)
@settings(max_examples=150)
def test_our_encoding_is_the_canonical_one_of_another_library(tree: Plain) -> None:
    encoded = encode(tree)

    assert encoded == cbor2.dumps(tree, canonical=True)
    assert decode(encoded) == tree


@given(st.binary(max_size=40))
@settings(max_examples=300)
def test_any_bytes_are_refused_or_are_the_one_encoding_of_their_value(data: bytes) -> None:
    try:
        value = decode(data)
    except CborError:
        return
    assert encode(value) == data


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ("", "ends inside"),
        ("820001ff", "bytes follow the value"),
        ("a2616101616102", "'a' is there twice"),
        ("a2616201616102", "'a' is out of order"),
        ("a10102", "key is not text"),
        ("1817", "shortest form"),
        ("190017", "shortest form"),
        ("1a0000ffff", "shortest form"),
        ("1b00000000ffffffff", "shortest form"),
        ("5bffffffffffffffff", "exceeds"),
        ("7b7fffffffffffffff", "exceeds"),
        ("9bffffffffffffffff", "exceeds"),
        ("bbffffffffffffffff", "exceeds"),
        ("9f01ff", "begins no value"),
        ("f93c00", "begins no value"),
        ("f7", "begins no value"),
        ("c11a00000000", "begins no value"),
        ("c24101", "big number has the wrong length"),
        ("c249000000000000000001", "big number has the wrong length"),
        ("c25841" + "01" * 65, "big number has the wrong length"),
        ("c201", "not a byte string"),
        ("61ff", "not UTF-8"),
        ("19", "ends inside"),
        ("81" * 33 + "00", "nest deeper"),
        ("81" * 100_000 + "00", "nest deeper"),
    ],
)
def test_everything_but_the_one_encoding_is_refused(data: str, fault: str) -> None:
    with pytest.raises(CborError, match=fault):
        decode(bytes.fromhex(data))


def test_nesting_up_to_the_limit_is_read() -> None:
    assert encode(decode(bytes.fromhex("81" * 32 + "00"))).hex() == "81" * 32 + "00"


@pytest.mark.parametrize("value", [1.5, {1: 2}, object(), 1 << 512, -(1 << 64) - 1])
def test_values_without_an_encoding_are_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        encode(value)  # type: ignore[arg-type]
