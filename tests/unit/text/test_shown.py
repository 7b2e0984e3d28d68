# SPDX-License-Identifier: BSD-2-Clause
"""Text of others never reaches the terminal as commands for it."""

from __future__ import annotations

import ast
import io
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manager.config.diagnostics import Diagnostic, Span, render, to_github
from manager.errors import VmmgrError
from manager.text.shown import Shown, shown, shown_lines

PACKAGE = Path(__file__).parents[3] / "manager"
HOSTILE = "a\x1b]0;title\x07\x1b[6n\x9b2J\r\x7f\u202eb\u2028\ud800"


def obeyed(text: str) -> set[str]:
    """The characters in it that do something to a terminal."""
    return {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}


@given(st.text(st.characters()))
def test_nothing_is_left_to_obey_and_the_rest_stays(text: str) -> None:
    result = shown(text)

    assert obeyed(result) == set()
    assert obeyed(shown_lines(text)) <= {"\n", "\t"}


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_character_has_one_sign_in_its_place(text: str) -> None:
    result = shown(text)

    assert all(new == old for new, old in zip(result, text, strict=True) if not obeyed(old))


def test_a_file_name_that_is_no_text_is_told_apart() -> None:
    assert shown("a\udcff.toml") == r"a\udcff.toml"


@given(st.text(st.characters()), st.booleans())
def test_what_is_printed_is_shown(text: str, colours: bool) -> None:
    below = io.StringIO()

    print(text, end="", file=Shown(below, colours=colours))

    allowed = {"\n", "\t"} | ({"\x1b"} if colours else set())
    assert obeyed(below.getvalue()) <= allowed


def test_only_colours_pass_where_there_are_any() -> None:
    below = io.StringIO()

    Shown(below, colours=True).write("\x1b[1;31mred\x1b[0m \x1b[2J \x1b]0;x\x07 \x1b[6n")

    assert below.getvalue() == "\x1b[1;31mred\x1b[0m ␛[2J ␛]0;x␇ ␛[6n"


def test_an_error_shows_what_it_is_about() -> None:
    error = VmmgrError(f"{HOSTILE}: no such thing", help=f"try {HOSTILE}")

    assert obeyed(str(error)) == {"\n"}
    assert obeyed(error.report(colour=True).replace("\x1b[", "")) == {"\n"}


@pytest.mark.parametrize("colour", [False, True])
def test_a_diagnostic_shows_what_it_is_about(colour: bool) -> None:
    span = Span(HOSTILE, 1, 2, 3, HOSTILE, HOSTILE)
    item = Diagnostic("VM001", HOSTILE, span, (span,), HOSTILE)

    text = render([item], colour=colour).replace("\x1b[0m", "").replace("\x1b[1", "")

    assert "\x1b]" not in text
    assert obeyed(text) <= {"\n", "\x1b"} if colour else {"\n"}
    assert obeyed(to_github([item])) == set()


def test_only_known_modules_print_past_the_filter() -> None:
    """What moves a cursor is wholly ours there."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Name) and called.id == "unfiltered":
                found.add(str(path.relative_to(PACKAGE)))

    assert found == {
        "cli/explored.py",
        "cli/progress.py",
        "cli/verbs/verify.py",
        "client/screen.py",
    }
