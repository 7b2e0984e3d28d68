# SPDX-License-Identifier: BSD-2-Clause
"""Waiting for what a guest prints, and answering it, in virtual time.

The text is looked at 1 ms of virtual time after the port began to send, never at a moment that
the host chose; so a run with expectations does the same whatever the host's load, and an answer
reaches the guest at the same instruction every time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from manager.bus.clock import Clock
from manager.bus.record import NEVER
from manager.machine.console_text import ConsoleText

SETTLE = 1_000_000
"""Virtual ns from the first byte of a burst until its text is searched."""

_MAY_CROSS_LINES = re.compile(r"\\[^dwbB.()\[\]{}+*?|^$/ :#>-]|\[\^|\(\?(?![:=!<])|\n")
"""Patterns that might match a line feed; without one, a match lies within a line."""


class Input(Protocol):
    """What answers are fed to: a SerialPort."""

    def feed(self, data: bytes) -> None:
        """Give bytes to the guest."""


@dataclass(frozen=True, slots=True)
class Until:
    """Wait until the text matches."""

    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Send:
    """Give bytes to the guest."""

    data: bytes


Step = Until | Send


@dataclass(frozen=True, slots=True)
class Verdict:
    """How waiting ended: `matched` all, `failed` by the fail-on pattern, or out of `budget`."""

    outcome: Literal["matched", "failed", "budget"]
    detail: str
    """One line: the text that matched, or the pattern still waited for."""


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The pattern as expectations read it: `^` and `$` match at lines.

    Raises re.error.
    """
    return re.compile(pattern, re.MULTILINE)


class Expectation:
    """Goes through steps in order; each search starts after the match before it.

    `collect` is called before a search and must hand over, through `heard`, whatever the port
    still holds. `finished` is called once, inside the machine's run, with the verdict; sends that
    stand before the first Until go out at once, when `start` is called. Without any Until only
    `fail_on` and the budget (ns of virtual time from the start) can end it.

    Several that follow each other on one port share its `console` text: each begins to search at
    `position` and to look for failures at `fail_position`, both in characters since its beginning.
    """

    __slots__ = (
        "_budget",
        "_clock",
        "_collect",
        "_deadline",
        "_fail_on",
        "_fail_position",
        "_finished",
        "_input",
        "_next",
        "_position",
        "_search",
        "_steps",
        "console",
        "match",
        "verdict",
    )

    def __init__(  # noqa: PLR0913  what to do, and where it begins
        self,
        clock: Clock,
        port: Input,
        steps: Sequence[Step],
        *,
        finished: Callable[[Verdict], None],
        collect: Callable[[], None] = lambda: None,
        fail_on: re.Pattern[str] | None = None,
        budget: int | None = None,
        console: ConsoleText | None = None,
        position: int = 0,
        fail_position: int = 0,
    ) -> None:
        self._clock = clock
        self._input = port
        self._steps = tuple(steps)
        self._finished = finished
        self._collect = collect
        self._fail_on = fail_on
        self._budget = budget
        self._search = clock.timer(self._look)
        self._deadline = clock.timer(self._out_of_budget)
        self._next = 0
        self._position = position
        self._fail_position = fail_position
        self.console = console if console is not None else ConsoleText()
        self.verdict: Verdict | None = None
        self.match: re.Match[str] | None = None
        """The last match: of the last Until, or of `fail_on` when it failed."""

    def start(self) -> None:
        """Begin at the present virtual time."""
        if self._budget is not None:
            self._deadline.arm(self._clock.now() + self._budget)
        self._send_due()

    def sending(self) -> None:
        """Told that the port began to send: search soon, if no search is due already."""
        if self.verdict is None and self._search.deadline == NEVER:
            self._search.arm(self._clock.now() + SETTLE)

    def heard(self, data: bytes) -> None:
        """Take output of the port, in any number of pieces."""
        if self.verdict is None:
            self.console.add(data)

    @property
    def position(self) -> int:
        """Where the next search begins."""
        return self._position

    @property
    def fail_position(self) -> int:
        """Where the next search for a failure begins."""
        return self._fail_position

    def look(self) -> None:
        """Search at once what the port has sent: nothing more will come, or time is up."""
        if self.verdict is None:
            self._look()

    def waiting_for(self) -> str | None:
        """The pattern that is waited for now."""
        awaited = self._awaited()
        return None if awaited is None else awaited.pattern

    def cancel(self) -> None:
        """Stop waiting; no verdict comes any more."""
        self._clock.remove(self._search)
        self._clock.remove(self._deadline)

    def _awaited(self) -> re.Pattern[str] | None:
        step = self._steps[self._next] if self._next < len(self._steps) else None
        return step.pattern if isinstance(step, Until) else None

    def _look(self) -> None:
        self._collect()
        if self.verdict is not None:
            return
        text = self.console
        text.forget()
        failure = self._fail_match()
        while (awaited := self._awaited()) is not None:
            match = awaited.search(text.text, max(self._position - text.start, 0))
            if match is None:
                self._position = self._resume_at(awaited, self._position)
                break
            if failure is not None and failure.start() < match.start():
                break
            self._position = text.start + match.end()
            self.match = match
            self._next += 1
            self._send_due()
            if self._next == len(self._steps):
                self._finish(Verdict("matched", _line_of(match)))
                return
        if failure is not None:
            self.match = failure
            self._fail_position = text.start + failure.end()
            self._finish(Verdict("failed", _line_of(failure)))

    def _fail_match(self) -> re.Match[str] | None:
        if self._fail_on is None:
            return None
        text = self.console
        match = self._fail_on.search(text.text, max(self._fail_position - text.start, 0))
        if match is None:
            self._fail_position = self._resume_at(self._fail_on, self._fail_position)
        return match

    def _resume_at(self, pattern: re.Pattern[str], position: int) -> int:
        """Where the next search for a pattern that is not there yet has to begin.

        Lines that are complete need not be searched again, unless a match could cross lines.
        """
        if _MAY_CROSS_LINES.search(pattern.pattern):
            return position
        text = self.console
        return max(position, text.start + text.text.rfind("\n") + 1)

    def _send_due(self) -> None:
        while self._next < len(self._steps):
            step = self._steps[self._next]
            if isinstance(step, Until):
                return
            self._input.feed(step.data)
            self._next += 1

    def _out_of_budget(self) -> None:
        self._look()
        if self.verdict is None:
            waiting = self.waiting_for()
            self._finish(Verdict("budget", f"still waiting for {waiting!r}" if waiting else ""))

    def _finish(self, verdict: Verdict) -> None:
        self.cancel()
        self.verdict = verdict
        self._finished(verdict)


def _line_of(match: re.Match[str]) -> str:
    """The line in which a match begins."""
    text = match.string
    start = text.rfind("\n", 0, match.start()) + 1
    end = text.find("\n", match.start())
    return text[start : end if end >= 0 else len(text)].strip()
