# SPDX-License-Identifier: BSD-2-Clause
"""The scanner against tomli: every part has a place, and what stands there is that part."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from manager.config.scan import KeyPath, scan

NAMES = st.one_of(
    st.sampled_from(["a", "b", "slots", "4", "4.1", "x-y", "wait for", "", "é", 'q"t', "#", "]"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=4),
)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8)
SCALARS = st.sampled_from(
    [
        "1",
        "-1_000",
        "0xf4",
        "1.5e3",
        "inf",
        "true",
        "2024-01-01T00:00:00Z",
        "2024-01-01 00:00:00",
        "2024-01-01",
        "07:32:00.5",
        "+99",
        "0o17",
        "0b1101",
        "0xdead_beef",
        "-0.0",
        "6.626e-34",
        "1_000.5E+0_2",
        "-inf",
        "+nan",
        "false",
        "1979-05-27t00:32:00.999999-07:00",
        "1979-05-27 07:32:00z",
        "1979-05-27T07:32:00",
        '"\\b\\t\\n\\f\\r\\u00e9\\U0001F600"',
        "'\\'",
        '"""\n\\u0022\n"""',
        '"""a \\   \n\n   b"""',
        "'''\n\\n'''''",
        '""',
        "''",
        '"]"',
        "'#'",
        '"\\" # ["',
        '"""a"" b"""""',
        "'''it''s\n] # x'''''",
        '"""\\\n  x\n"""',
        '"""\\""""',
        "''''''",
        '""""""',
    ]
)


def basic(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


@st.composite
def keys(draw: Callable[..., Any], name: str) -> str:
    forms = [basic(name)]
    if "'" not in name:
        forms.append(f"'{name}'")
    if name and all(char.isascii() and (char.isalnum() or char in "-_") for char in name):
        forms.append(name)
    form: str = draw(st.sampled_from(forms))
    return form


BLANKS = st.sampled_from(["", " ", "\t "])
BREAKS = st.sampled_from(["", " ", "\n", " # ], }\n  "])


@st.composite
def values(draw: Callable[..., Any], depth: int = 2) -> str:
    kind = draw(st.sampled_from(["scalar", "scalar", "text", "array", "table"]))
    if kind == "text":
        return basic(draw(TEXTS))
    if kind == "scalar" or depth == 0:
        scalar: str = draw(SCALARS)
        return scalar
    if kind == "array":
        items = draw(st.lists(values(depth - 1), max_size=3))
        body = ",".join(f"{draw(BREAKS)}{item}{draw(BREAKS)}" for item in items)
        return f"[{draw(BREAKS)}{body}{draw(st.sampled_from(['', ',']) if items else st.just(''))}]"
    names = draw(st.lists(NAMES, max_size=3, unique=True))
    pairs = [f"{draw(BLANKS)}{draw(keys(n))} = {draw(values(depth - 1))}" for n in names]
    return "{" + ", ".join(pairs) + " }"


@st.composite
def documents(draw: Callable[..., Any]) -> str:
    """Lines of TOML; most are valid together, and those that are not are dropped by the test."""
    lines = []
    for _ in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from(["pair", "pair", "dotted", "table", "tables", "comment"]))
        names = draw(st.lists(NAMES, min_size=1, max_size=1 if kind == "pair" else 3))
        dot = f"{draw(BLANKS)}.{draw(BLANKS)}"
        key = draw(BLANKS) + dot.join(draw(keys(name)) for name in names) + draw(BLANKS)
        if kind == "comment":
            lines.append("  # [x] = 'y\n")
        elif kind == "table":
            lines.append(f"[{key}] # t")
        elif kind == "tables":
            lines.append(f"[[{key}]]")
        else:
            lines.append(f"{key}={draw(BLANKS)}{draw(values())}{draw(BLANKS)}")
    return "\n".join(lines)


def parts(value: object, path: KeyPath = ()) -> list[tuple[KeyPath, object]]:
    found: list[tuple[KeyPath, object]] = [(path, value)] if path else []
    items: list[tuple[Any, object]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    for key, item in items:
        found += parts(item, (*path, key))
    return found


@settings(max_examples=400)
@given(documents())
def test_every_part_that_tomli_finds_has_its_place(text: str) -> None:
    lines = text.split("\n")
    while True:
        try:
            tree = tomli.loads(text)
            break
        except tomli.TOMLDecodeError:
            lines.pop()
            text = "\n".join(lines)
    found = scan(text)
    expected = dict(parts(tree))
    assert found.keys() == expected.keys()
    for path, entry in found.items():
        if entry.value is not None:
            written = text[entry.value.start : entry.value.end]
            assert repr(tomli.loads(f"v = {written}")["v"]) == repr(expected[path])
        if entry.key is not None:
            written = text[entry.key.start : entry.key.end]
            inner: Any = tomli.loads(f"{written} = 0")
            *_, last = (name for name in path if isinstance(name, str))
            while isinstance(inner, dict):
                name, inner = next(iter(inner.items()))
            assert name == last


@pytest.mark.parametrize(
    ("text", "path", "key", "value"),
    [
        ("[slots.3]\n", ("slots", "3"), "slots.3", None),
        ('[slots."4.1"]\n', ("slots", "4.1"), 'slots."4.1"', None),
        ("[a.b.c]\n[a.b]\n", ("a", "b"), "a.b", None),
        ("[[a]]\nx=1\n[[a]]\nx = 2\n", ("a", 1, "x"), "x", "2"),
        ("[[a]]\n[a.b]\nx=1\n[[a]]\n[a.b]\nx=2", ("a", 1, "b", "x"), "x", "2"),
        ("[[a]]\n[[a.b]]\n[[a.b]]\n[[a]]\n[[a.b]]\ny=7", ("a", 1, "b", 0, "y"), "y", "7"),
        ("a . b=  { c = [1, { d = 'x' }] }", ("a", "b", "c", 1, "d"), "d", "'x'"),
        ('a.b.c="""\n]"""', ("a", "b"), "a.b", None),
    ],
)
def test_places_in_each_form(text: str, path: KeyPath, key: str, value: str | None) -> None:
    entry = scan(text)[path]
    assert entry.key is not None
    assert text[entry.key.start : entry.key.end] == key
    found = entry.value and text[entry.value.start : entry.value.end]
    assert found == value
