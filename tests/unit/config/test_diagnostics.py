# SPDX-License-Identifier: BSD-2-Clause
"""The forms a diagnostic takes."""

from __future__ import annotations

import pytest

from manager.config.codes import TITLES, is_warning
from manager.config.diagnostics import (
    ConfigError,
    Diagnostic,
    Span,
    errors,
    render,
    to_github,
    to_json,
)
from manager.config.units import format_duration, format_size, parse_duration, parse_size

TWICE = Diagnostic(
    "VM012",
    "slot 3 is used twice",
    Span("machines/demo.toml", 14, 2, 7, "[slots.3]", "here ..."),
    (Span("machines/base/pc.toml", 9, 2, 7, "[slots.3]", "... and here, through `extends`"),),
    help="give one of them another slot, or set `replace = true`",
)


def test_two_places_are_shown_as_in_the_contract() -> None:
    assert render([TWICE]) == (
        "error[VM012]: slot 3 is used twice\n"
        "  --> machines/demo.toml:14:2\n"
        "   |\n"
        "14 | [slots.3]\n"
        "   |  ^^^^^^^ here ...\n"
        "  ::: machines/base/pc.toml:9:2\n"
        "   |\n"
        " 9 | [slots.3]\n"
        "   |  ------- ... and here, through `extends`\n"
        "   = help: give one of them another slot, or set `replace = true`"
    )


def test_marks_stand_under_wide_letters() -> None:
    report = render([Diagnostic("VM010", "m", Span("f", 1, 6, 2, "\té日本x語y"))])
    assert report.split("\n")[-2:] == ["1 | \té日本x語y", "  | \t      ^^^"]


def test_github_commands_escape_what_would_end_them() -> None:
    item = Diagnostic("VM014", "50%\nx", Span("a,b:c.toml", 3, 4, 5, "0123456789"), help="h")
    assert to_github([item]) == (
        "::error file=a%2Cb%3Ac.toml,line=3,endLine=3,col=4,endColumn=9,title=VM014"
        "::50%25%0Ax%0Ahelp: h"
    )


def test_json_has_both_places() -> None:
    plain = to_json(TWICE)
    spans = plain["spans"]
    assert isinstance(spans, list)
    assert [span["line"] for span in spans] == [14, 9]
    assert (plain["code"], plain["severity"]) == ("VM012", "error")


def test_warnings_are_not_errors() -> None:
    warning = Diagnostic("VM090", "m", TWICE.primary)
    assert render([warning]).startswith("warning[VM090]: m")
    assert errors([warning, TWICE]) == (TWICE,)


def test_report_is_in_order_of_place_and_without_repeats() -> None:
    early = Diagnostic("VM010", "m", Span("machines/demo.toml", 2, 1, 1, "x"))
    assert ConfigError([TWICE, early, TWICE]).diagnostics == (early, TWICE)


def test_codes_are_vm_and_three_digits() -> None:
    assert all(len(code) == 5 and code[:2] == "VM" and code[2:].isdigit() for code in TITLES)
    assert {code for code in TITLES if is_warning(code)} >= {"VM090", "VM100"}
    assert not is_warning("VM081")


@pytest.mark.parametrize("size", [0, 1, 4096, 1536 << 10, 3 << 30, 4097])
def test_sizes_survive_their_text(size: int) -> None:
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize("text", ["", "M", "1.5M", "-1M", "1 M", "1MiB", "0x10", "\u0661M"])
def test_what_is_not_a_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)


@pytest.mark.parametrize("duration", [0, 1, 999, 1_500_000_000, 120_000_000_000, 7200 * 10**9])
def test_durations_survive_their_text(duration: int) -> None:
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize("text", ["", "5", "s", "1 s", "-1s", "1d", "1.s"])
def test_what_is_not_a_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)
