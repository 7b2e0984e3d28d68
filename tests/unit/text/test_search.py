# SPDX-License-Identifier: BSD-2-Clause
"""Text that grows is searched once, and what is in it is found all the same."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manager.text.pattern import compile_pattern
from manager.text.search import NEAR, Search

PIECES = st.lists(st.text("ab \n", max_size=6), max_size=12)


@given(PIECES, st.sampled_from(["ab", "a.*b$", "^b", "a\\s+b", "b $", "(?s)a.*b.*a", "$", "[^a]a"]))
def test_a_match_is_found_at_the_first_look_that_can_see_it(
    pieces: list[str], pattern: str
) -> None:
    compiled = compile_pattern(pattern)
    search = Search(compiled)
    text = ""

    for piece in pieces:
        text += piece
        found, expected = search.look(text), compiled.search(text)
        assert (found and found.span()) == (expected and expected.span())
        if found is not None:
            break


def grow(search: Search, piece: str, times: int) -> float:
    """Seconds that the looks take, one after each piece."""
    text, spent = "", 0.0
    for _ in range(times):
        text += piece
        began = time.process_time()
        search.look(text)
        spent += time.process_time() - began
    return spent


@pytest.mark.parametrize("pattern", [".*END", "(a+)+c", "(?s).*END", "50%.*60%.*X", r"(\w+\s?)+!"])
def test_a_long_line_that_grows_takes_time_for_its_length_only(pattern: str) -> None:
    spent = grow(Search(compile_pattern(pattern)), "aa50%\r", 8000)

    assert spent < 10  # it was minutes, or no end at all


def test_a_long_match_on_an_unfinished_line_is_found_from_afar() -> None:
    search = Search(compile_pattern("BEGIN.*END"))
    text = "BEGIN" + "." * 2 * NEAR
    assert search.look(text) is None
    text += "." * NEAR
    assert search.look(text) is None
    assert search.behind
    text += "END"

    near, found = search.look(text), search.look(text, afar=True)

    assert near is None
    assert found is not None
    assert found.span() == (0, len(text))


def test_a_long_line_is_searched_as_a_whole_when_it_is_finished() -> None:
    search = Search(compile_pattern("BEGIN.*END"))
    text = "BEGIN" + "." * 3 * NEAR
    search.look(text)

    assert search.look(text + "END\n") is not None


def test_a_match_that_begins_where_the_look_does_not_is_told_from_its_beginning() -> None:
    search = Search(compile_pattern("(.*)END"))
    text = "x" * 3 * NEAR
    search.look(text)

    found = search.look(text + "END")

    assert found is not None
    assert found.group(1) == text


def test_what_was_forgotten_does_not_move_a_match() -> None:
    search = Search(compile_pattern("END"))
    assert search.look("abcdef", 0) is None

    found = search.look("efEND", 4)

    assert found is not None
    assert found.span() == (2, 5)


def test_the_next_match_is_after_the_last() -> None:
    search = Search(compile_pattern("a"))
    search.go_on(2)

    found = search.look("aaba")

    assert found is not None
    assert found.start() == 3
