# SPDX-License-Identifier: BSD-2-Clause
"""Waiting for console text: the same in every slicing, and as a person reads the text."""

from __future__ import annotations

import pytest

from manager.machine.expectation import (
    SETTLE,
    Expectation,
    Send,
    Until,
    Verdict,
)
from manager.text.console_text import WINDOW, ConsoleText
from manager.text.pattern import compile_pattern
from manager.text.search import Search


def until(pattern: str) -> Until:
    return Until(compile_pattern(pattern))


def play(machine, steps, *, slice_=10**9, pump_between=False, fail_on=None, budget=None):
    """Run until a verdict; returns it, the virtual time it came at, and the transcript."""
    verdicts: list[Verdict] = []
    transcript = bytearray()

    def finished(verdict: Verdict) -> None:
        verdicts.append(verdict)
        machine.stop()

    expectation = Expectation(
        machine.clock,
        machine.console,
        steps,
        finished=finished,
        fail_on=None if fail_on is None else Search(compile_pattern(fail_on)),
        budget=budget,
    )
    machine.console.listeners.add(transcript.extend)
    expectation.start()
    while not verdicts and machine.now() < 10**9:
        machine.run(machine.now() + slice_)
        if pump_between:
            machine.console.take_output()
    machine.console.take_output()
    return verdicts[0] if verdicts else None, machine.now(), bytes(transcript)


DIALOGUE = [until("login: $"), Send(b"root\n"), until("# $"), Send(b"ls\n"), until("# $")]


@pytest.mark.parametrize("slice_", [1, 333_333, 1_000_000, 10**9])
@pytest.mark.parametrize("pump_between", [False, True])
def test_a_dialogue_runs_the_same_in_every_slicing(fake, graph, slice_, pump_between) -> None:
    if slice_ == 1:
        slice_ = 9_973
    expected = play(fake(graph()), DIALOGUE)

    result = play(fake(graph()), DIALOGUE, slice_=slice_, pump_between=pump_between)

    assert result == expected
    assert result[0].outcome == "matched"


def test_an_answer_goes_out_one_settling_time_after_the_prompt(fake, graph) -> None:
    machine = fake(graph(), ((5_000_000, b"login: "),))

    _, when, transcript = play(machine, [until("login: $"), Send(b"me\n"), until("got me$")])

    taken = 3 * 100_000
    assert when == 5_000_000 + SETTLE + taken + SETTLE
    assert transcript == b"login: got me\r\n# "


def test_a_send_before_any_until_goes_at_once(fake, graph) -> None:
    machine = fake(graph(), ())

    verdict, _, transcript = play(machine, [Send(b"early\n"), until("got early")])

    assert verdict.outcome == "matched"
    assert transcript.startswith(b"got early")


def test_each_search_starts_after_the_match_before(fake, graph) -> None:
    machine = fake(graph(), ((10, b"one two\r\n"),))

    verdict, _, _ = play(machine, [until("two"), until("one")], budget=50_000_000)

    assert verdict == Verdict("budget", "still waiting for 'one'")


def test_the_budget_is_virtual_time(fake, graph) -> None:
    verdict, when, _ = play(fake(graph(), ()), [until("never")], budget=123_456_789)

    assert verdict.outcome == "budget"
    assert when == 123_456_789


def test_fail_on_ends_the_waiting_with_its_line(fake, graph) -> None:
    machine = fake(graph(), ((10, b"fine\r\n[1.0] Kernel panic - not syncing\r\n"),))

    verdict, _, _ = play(machine, [until("login")], fail_on="Kernel panic")

    assert verdict == Verdict("failed", "[1.0] Kernel panic - not syncing")


@pytest.mark.parametrize(
    ("text", "outcome"), [(b"ok\r\npanic\r\n", "matched"), (b"panic\r\nok\r\n", "failed")]
)
def test_what_the_guest_printed_first_counts(fake, graph, text, outcome) -> None:
    verdict, _, _ = play(fake(graph(), ((10, text),)), [until("ok")], fail_on="panic")

    assert verdict.outcome == outcome


@pytest.mark.parametrize(
    "pattern", ["^second$", r"first\nsecond", "(?s)first.*second", r"first\s+second"]
)
def test_patterns_may_cross_lines_that_came_at_different_times(fake, graph, pattern) -> None:
    machine = fake(graph(), ((10, b"first\r\n"), (50_000_000, b"second\r\n")))

    verdict, _, _ = play(machine, [until(pattern)], budget=100_000_000)

    assert verdict.outcome == "matched"


def test_text_does_not_depend_on_how_bytes_were_cut() -> None:
    data = (
        "\x1b[2J\x1b[1;32mgrün\x1b[0m\r\n\x1b]0;title\x07a\r\r\n"
        "50%\r60%\x1b(B\x1b7 \x1bP1$r\x1b\\z\r"
    ).encode()
    whole = ConsoleText()
    whole.add(data)

    for size in range(1, len(data)):
        pieces = ConsoleText()
        for start in range(0, len(data), size):
            pieces.add(data[start : start + size])
        assert pieces.text == whole.text

    assert whole.text == "grün\na\n50%\r60% z"


def test_wrong_utf8_and_unknown_escapes_stay_visible() -> None:
    text = ConsoleText()

    text.add(b"\xff ok \x1b\x01 end")

    assert text.text == "\ufffd ok \x1b\x01 end"


def test_old_text_is_forgotten() -> None:
    text = ConsoleText()
    text.add(b"x" * WINDOW + b"tail")

    text.forget()

    assert len(text.text) == WINDOW
    assert text.text.endswith("tail")
    assert text.start == 4


def test_a_match_is_found_after_more_text_than_is_kept(fake, graph) -> None:
    noise = b"." * 79 + b"\n"
    script = tuple((10_000_000 * n, noise * 1000) for n in range(1, 4))
    machine = fake(graph(), (*script, (40_000_000, b"done\r\n")))

    verdict, _, _ = play(machine, [until("done$")], budget=100_000_000)

    assert verdict == Verdict("matched", "done")
