# SPDX-License-Identifier: BSD-2-Clause
"""Talking to a guest through a serial port, and waiting for what it answers.

Each port has a cursor: the end of the last match. A search begins there, so what was matched once
is never matched again. Patterns are regular expressions whose `^` and `$` match at lines; escape
sequences and carriage returns are not in the text (manager.text.console_text). They are
searched in linear time, so they cannot look around or refer back (manager.text.pattern).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from manager.api import report
from manager.api.durations import Duration, nanoseconds
from manager.api.errors import FailOnError, MachineEndedError, OutOfBudgetError
from manager.api.transcript import Transcript
from manager.config.units import format_duration
from manager.errors import UsageError
from manager.machine.expectation import Expectation, Until
from manager.text.pattern import Match, PatternError, any_of, compile_pattern
from manager.text.search import Search

if TYPE_CHECKING:
    from manager.api.runner import Runner
    from manager.machine.serial_port import SerialPort
    from manager.text.pattern import Pattern as Compiled

Pattern = str | re.Pattern[str]
BUDGET = "8s"
"""Guest time that a wait takes unless told otherwise."""
ANY_PROMPT = r"^.*[#$>%] ?$"


class Console:
    """One serial port of a machine. `machine.console("com1")` gives it."""

    __slots__ = (
        "_cursor",
        "_expectation",
        "_fail_on",
        "_failures",
        "_mark",
        "_port",
        "_prompt",
        "_runner",
        "_sent",
        "_text",
        "newline",
    )

    def __init__(self, runner: Runner, port: SerialPort, prompt: str | None) -> None:
        """Use `Machine.console`."""
        self._runner = runner
        self._port = port
        self._prompt = prompt or ANY_PROMPT
        self._sent = Transcript()
        self._text = self._sent.text
        self._cursor = 0
        self._fail_on: list[Compiled] = []
        self._failures: Search | None = None
        self._expectation: Expectation | None = None
        port.listeners.add(self._sent.add)
        runner.guards.append(self)
        self.newline = "\n"
        """What `send_line` ends a line with."""
        self.mark()

    @property
    def port(self) -> str:
        """The port's device id."""
        return self._port.id

    @property
    def text(self) -> str:
        """What the guest has sent, up to 64 Ki characters back."""
        self._port.take_output()
        return self._text.text

    @property
    def unread(self) -> str:
        """What the guest has sent after the cursor."""
        return self.text[max(self._cursor - self._text.start, 0) :]

    @property
    def raw(self) -> bytes:
        """What the guest has sent, byte for byte, up to 16 MiB back."""
        self._port.take_output()
        return bytes(self._sent.raw)

    # -- to the guest ---------------------------------------------------------------------

    def send(self, data: str | bytes) -> None:
        """Give the guest text (UTF-8) or bytes; it takes them as the machine runs on."""
        self._port.feed(data.encode() if isinstance(data, str) else data)

    def send_line(self, text: str = "") -> None:
        """Give the guest a line."""
        self.send(text + self.newline)

    # -- from the guest -------------------------------------------------------------------

    def expect(self, pattern: Pattern, timeout: Duration = BUDGET) -> Match:
        """Run until the text after the cursor matches, and move the cursor behind the match.

        `timeout` is guest time. Raises OutOfBudgetError, FailOnError, MachineEndedError.
        """
        __tracebackhide__ = True
        return self._expect(_compiled(pattern), pattern, timeout)

    def expect_line(self, pattern: Pattern, timeout: Duration = BUDGET) -> Match:
        """Run until there is a whole line in which `pattern` matches; `group()` is that line.

        The groups are those of `pattern`. The cursor moves to the line's end.
        """
        __tracebackhide__ = True
        return self._expect(_compiled(pattern).line(), pattern, timeout)

    def expect_prompt(self, pattern: Pattern | None = None, timeout: Duration = BUDGET) -> Match:
        """Run until the output ends in a match, on a line that is not finished.

        Without a pattern it is the machine file's `[ready]` pattern on that port, and otherwise
        any line that ends as prompts do, in one of # $ > %.
        """
        __tracebackhide__ = True
        wanted = pattern if pattern is not None else self._prompt
        return self._expect(_compiled(wanted).at_end(), wanted, timeout)

    def command(self, line: str, timeout: Duration = BUDGET, prompt: Pattern | None = None) -> str:
        """Give a shell a line and wait for its next prompt; returns what was printed between.

        The echo of the line and the prompt are not part of it.
        """
        __tracebackhide__ = True
        before = self._cursor
        self.send_line(line)
        match = self.expect_prompt(prompt, timeout)
        start = max(before - self._text.start, 0)
        printed = match.string[start : match.string.rfind("\n", 0, match.start() + 1) + 1]
        _, _, output = printed.partition("\n")
        return output.removesuffix("\n")

    def assert_absent(self, pattern: Pattern, during: Duration = 0) -> None:
        """The text after the cursor must not match, now and for `during` of guest time.

        The cursor stays. Raises FailOnError.
        """
        __tracebackhide__ = True
        compiled = _compiled(pattern)
        self._raise_if_found(compiled, pattern)
        if during:
            search = Search(compiled, self._cursor)
            self._runner.run_until(
                lambda: search.look(self.text, self._text.start) is not None, during, every="1ms"
            )
            self._raise_if_found(compiled, pattern)

    def settle(self, quiet: Duration = "100ms", timeout: Duration = BUDGET) -> str:
        """Run until nothing was sent for `quiet` of guest time; returns what is after the cursor.

        The cursor moves to the end.
        """
        __tracebackhide__ = True
        needed = nanoseconds(quiet)
        state = [len(self.raw), self._runner.time]

        def is_quiet() -> bool:
            length, now = len(self.raw), self._runner.time
            if length != state[0]:
                state[:] = [length, now]
            return now - state[1] >= needed

        try:
            self._runner.require(is_quiet, timeout)
        except OutOfBudgetError:
            raise OutOfBudgetError(
                f"{self.port}: never quiet for {quiet} within {timeout} of guest time",
                report.output(self._text),
            ) from None
        text = self.unread
        self._cursor = self._text.start + len(self._text.text)
        return text

    def fail_on(self, pattern: Pattern) -> None:
        """From now on, whenever the machine runs, fail as soon as what is new here matches.

        Raises FailOnError there, whichever port is being waited for.
        """
        self._fail_on.append(_compiled(pattern))
        end = self._text.start + len(self.text)
        begin = end if self._failures is None else self._failures.position
        self._failures = Search(any_of(self._fail_on), begin)

    # -- how it works ---------------------------------------------------------------------

    def _expect(self, compiled: Compiled, wanted: Pattern, timeout: Duration) -> Match:
        __tracebackhide__ = True
        budget = nanoseconds(timeout)
        expectation = self._begin([Until(compiled)], budget)
        ended = self._runner.wait(self, expectation)
        verdict = expectation.verdict
        if verdict is not None and verdict.outcome == "matched":
            assert expectation.match is not None
            self._cursor = expectation.position
            return expectation.match
        if verdict is not None and verdict.outcome == "failed":
            raise self.failure()
        shown = wanted if isinstance(wanted, str) else wanted.pattern
        found = report.miss(self._text, self._cursor, wanted)
        if ended is not None:
            raise MachineEndedError(
                f"{self.port}: the machine ended before {shown!r} came: {ended.detail}", found
            )
        spent = f"{format_duration(budget)} of guest time"
        if verdict is None:
            spent = f"{self._runner.wall_guard:g} s of the host's time"
        raise OutOfBudgetError(f"{self.port}: {shown!r} did not come within {spent}", found)

    def begin_watch(self) -> Expectation:
        """Look for what `fail_on` asked for until `end_watch`."""
        return self._begin([])

    def _begin(self, steps: list[Until], budget: int | None = None) -> Expectation:
        """An expectation on this port, started. The runner calls `end_watch` when it has run."""
        runner = self._runner
        self._expectation = expectation = Expectation(
            runner.core.clock,
            self._port,
            steps,
            finished=lambda verdict: runner.core.stop(),
            fail_on=self._failures,
            budget=budget,
            console=self._text,
            position=self._cursor,
        )
        expectation.start()
        expectation.search_soon()
        return expectation

    def end_watch(self) -> None:
        """The wait is over, one way or another."""
        expectation = self._expectation
        assert expectation is not None
        expectation.cancel()

    @property
    def is_guarded(self) -> bool:
        """Whether there is anything to look for."""
        return self._failures is not None

    def failure(self) -> FailOnError:
        """The error for a `fail_on` pattern that has just matched."""
        assert self._expectation is not None
        assert self._expectation.verdict is not None
        detail = self._expectation.verdict.detail
        return FailOnError(f"{self.port}: fail_on matched: {detail}", report.output(self._text))

    def _raise_if_found(self, compiled: Compiled, wanted: Pattern) -> None:
        __tracebackhide__ = True
        found = compiled.search(self.unread)
        if found is not None:
            shown = wanted if isinstance(wanted, str) else wanted.pattern
            raise FailOnError(
                f"{self.port}: {shown!r} is there: {found.group()!r}", report.output(self._text)
            )

    def recall(self, data: bytes) -> None:
        """Begin with what the port had sent before the machine was saved; the cursor is its end."""
        self._sent.add(data)
        self._cursor = self._text.start + len(self._text.text)

    def mark(self) -> None:
        """What was sent until now is what there is after `go_back`; the cursor is where it is."""
        at = self._failures.position if self._failures is not None else None
        self._mark = (self._sent.kept(), self._cursor, at)

    def go_back(self) -> None:
        """As at the mark. `fail_on` holds on: it looks at what is new from here."""
        kept, self._cursor, at = self._mark
        self._sent.go_back(kept)
        if self._failures is not None:
            begin = at if at is not None else self._text.start + len(self._text.text)
            self._failures = Search(any_of(self._fail_on), begin)

    def leave(self) -> None:
        """The machine is closed: what it sends in another life is not for this console."""
        self._port.listeners.remove(self._sent.add)

    def __repr__(self) -> str:
        return f"<Console {self.port} of {self._runner.name}>"


def _compiled(pattern: Pattern) -> Compiled:
    try:
        return compile_pattern(pattern)
    except PatternError as error:
        raise UsageError(error.report()) from None
