# SPDX-License-Identifier: BSD-2-Clause
"""Patterns mean what Python's `re` means by them, and what cannot be searched is refused."""

from __future__ import annotations

import re
import time
import warnings

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from manager.text.pattern import PatternError, any_of, compile_pattern

TEXTS = st.text("ab1_ .-\n\r\t(){}[]\\$^|#é", min_size=1, max_size=24)
"""Not none at all: in an empty text `\\B` means something else before Python 3.14."""
WORDS = r"""
    a b 1 _ . ^ $ é \d \w \s \D \b \B \n \A \Z [ab] [^a] []a] [^]a] [\d-] [a-b\]] [\s_] \. \( \x61
    \u0061 \060 [\060-\071] { } {,b ] - # \# (?#a) [\W] [^\s] [a-] [-a] [\b] & ~
"""
COUNTS = "* + ? *? +? ?? {2} {,2} {1,} {1,2}?"
ATOMS = st.sampled_from([*WORDS.split(), " ", r"\ ", r"\N{LATIN SMALL LETTER A}"])
REPEATS = st.sampled_from(["", "", "", *COUNTS.split()])
PATTERNS = st.recursive(
    st.builds("{}{}".format, ATOMS, REPEATS),
    lambda inner: st.one_of(
        st.builds("{}{}".format, inner, inner),
        st.builds("{}|{}".format, inner, inner),
        st.builds("({}){}".format, inner, REPEATS),
        st.builds("(?:{}){}".format, inner, REPEATS),
        st.builds("(?i:{})".format, inner),
        st.builds("(?s:{})".format, inner),
        st.builds("(?x:{})".format, inner),
        st.builds("(?P<n>{})".format, inner),
    ),
    max_leaves=8,
)
NEWER = "patterns are searched in linear time"
"""How the help begins for what `re` knows and a linear search does not."""
SCRAPS = st.text("ab01,^$.*+?()[]{}|\\-#:P<>=!ixsmnd ", max_size=12)


def python(pattern: str) -> re.Pattern[str] | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return re.compile(pattern, re.MULTILINE | re.ASCII)
        except (re.error, OverflowError):
            return None


@settings(max_examples=1000)
@given(PATTERNS, TEXTS)
def test_a_pattern_matches_where_it_does_in_re(pattern: str, text: str) -> None:
    expected = python(pattern)
    if expected is None:
        with pytest.raises(PatternError):
            compile_pattern(pattern)
        return
    theirs, ours = expected.search(text), compile_pattern(pattern).search(text)

    assert (ours and ours.span()) == (theirs and theirs.span())


@settings(max_examples=1000)
@given(SCRAPS)
def test_what_is_no_pattern_in_re_is_none_here_and_the_engine_takes_the_others(text: str) -> None:
    try:
        pattern = compile_pattern(text)
    except PatternError as error:
        refused = error
    else:
        pattern.search("ab")
        refused = None

    assert refused is None or 0 <= refused.position <= len(text)
    if python(text) is None:
        assert refused is not None
    else:
        assert refused is None or refused.help.startswith(NEWER)


@given(PATTERNS, TEXTS)
def test_it_is_known_without_the_engine_what_matches_nothing_or_over_lines(
    pattern: str, text: str
) -> None:
    try:
        compiled = compile_pattern(pattern)
    except PatternError:
        return
    found = compiled.search(text)

    assert compiled.matches_nothing or compiled.search("") is None
    assert found is None or compiled.crosses_lines or "\n" not in found.group()


@pytest.mark.parametrize(
    ("pattern", "position", "words"),
    [
        ("login(?=:)", 5, "look-ahead"),
        ("a(?!b)", 1, "look-ahead"),
        ("(?<=a)b", 0, "look-behind"),
        ("x(?<!a)b", 1, "look-behind"),
        (r"(a)\1", 3, "back-reference"),
        ("(?P<q>a)(?P=q)", 8, "back-reference"),
        ("ab++", 2, "possessive"),
        ("a(?>b)", 1, "atomic"),
        ("(a)?(?(1)b|c)", 4, "condition"),
        ("a{1001}", 1, "1000"),
        ("(a{100}){100}", 8, "1000"),
        ("login (", 6, "parenthesis without its end"),
        ("login )", 6, "not opened"),
        ("a**", 2, "a repeat of a repeat"),
        ("*a", 0, "nothing to repeat"),
        ("[a", 0, "character class without its end"),
        ("[b-a]", 1, "range"),
        (r"\q", 0, "means nothing"),
        ("a(?i)b", 1, "at its beginning"),
        ("x" * 10_001, 10_000, "10000 characters"),
        ("(" * 500 + ")" * 500, 100, "groups within"),
        ("(?:.{1000}|.{1000})", 3, "too large"),
        ("\udcff", 0, "surrogate"),
    ],
)
def test_an_error_says_where_it_is_and_what_to_do(pattern: str, position: int, words: str) -> None:
    with pytest.raises(PatternError, match=re.escape(words)) as caught:
        compile_pattern(pattern)

    assert caught.value.position == position


def test_groups_have_numbers_and_names() -> None:
    match = compile_pattern(r"(?P<user>\w+)@(\w+)(:x)?").search("to root@host now")

    assert match is not None
    assert (match.group(), match[1], match["user"], match.group(1, 2)) == (
        "root@host",
        "root",
        "root",
        ("root", "host"),
    )
    assert match.groups("") == ("root", "host", "")
    assert match.groupdict() == {"user": "root"}
    assert (match.start(2), match.end("user"), match.span(3)) == (8, 7, (-1, -1))


def test_a_line_and_an_end_have_the_groups_of_the_pattern_in_them() -> None:
    pattern = compile_pattern(r"(?P<what>\w+): (\d+)")
    line = pattern.line().search("first\nCPU temperature: 40, rising\nlast")
    end = pattern.at_end().search("fan: 1\nfan: 2")

    assert line is not None
    assert line.group() == "CPU temperature: 40, rising"
    assert (line["what"], line[2], line.groups()) == ("temperature", "40", ("temperature", "40"))
    assert line.span(2) == (23, 25)
    assert end is not None
    assert (end.group(), end.groupdict(), end.groups()) == (
        "fan: 2", {"what": "fan"}, ("fan", "2"),
    )  # fmt: skip


@settings(max_examples=500)
@given(PATTERNS, TEXTS)
def test_the_groups_of_a_line_are_those_of_a_search_in_it(pattern: str, text: str) -> None:
    try:
        compiled = compile_pattern(pattern)
    except PatternError:
        return
    assume(not compiled.crosses_lines)
    assume(r"\B" not in pattern or text.isascii())  # RE2 finds it within a character of many bytes
    line = text.replace("\n", "") + "\n"
    found = compiled.search(line)
    assume(found is not None and found.end() < len(line))
    in_line = compiled.line().search(line)

    assert found is not None
    assert in_line is not None
    assert in_line.spans[1:] == found.spans[1:]
    assert in_line.names == found.names


def test_a_compiled_pattern_of_re_keeps_its_flags() -> None:
    pattern = compile_pattern(re.compile("a  .  b  # a comment", re.I | re.S | re.X))

    assert pattern.search("A\nB") is not None


def test_the_beginning_of_a_line_is_seen_from_its_middle() -> None:
    pattern = compile_pattern("^b")

    assert pattern.search("ab", 1) is None
    assert pattern.search("a\nb", 2) is not None


def test_several_patterns_are_one_with_flags_of_their_own() -> None:
    pattern = any_of([compile_pattern("(?i)panic"), compile_pattern("Oops")])

    assert pattern.search("PANIC") is not None
    assert pattern.search("oops") is None


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+c", "(a|a)*c", "(a*)*c", "(a|aa)+c", "(.*)*c", r"(\w+\s?)+c", ".*.*.*c", "(a?){300}c"],
)
def test_no_pattern_takes_long(pattern: str) -> None:
    compiled = compile_pattern(pattern)
    began = time.process_time()

    assert compiled.search("a" * 65536) is None

    assert time.process_time() - began < 5
