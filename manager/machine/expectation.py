# SPDX-License-Identifier: BSD-2-Clause
"""Waiting for what a guest prints, and answering it, in virtual time.

The text is looked at 1 ms of virtual time after the port began to send, never at a moment that
the host chose; so a run with expectations does the same whatever the host's load, and an answer
reaches the guest at the same instruction every time. A match that is longer than a line on a
terminal may be seen a few milliseconds later (manager.text.search).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, Protocol

from manager.bus.clock import Clock
from manager.bus.record import NEVER
from manager.lazy import dataclass
from manager.machine.listeners import Listeners
from manager.text.console_text import ConsoleText
from manager.text.pattern import Match, Pattern
from manager.text.search import Search
from manager.text.shown import shown

SETTLE = 1_000_000
"""Virtual ns from the first byte of a burst until its text is searched."""
AFAR = 16_000_000
"""Virtual ns from such a search until one for long matches."""
GLANCE = 10_000_000
"""Virtual ns from one look at the screen to the next."""
_LONGEST_DETAIL = 200
"""Characters of a line that are told of a match."""


class Source(Protocol):
    """A port: what is waited for comes from it, and answers go to it."""

    @property
    def listeners(self) -> Listeners:
        """Who hears what it sends."""

    def take_output(self) -> object:
        """Hand what it has sent to the listeners."""

    def feed(self, data: bytes) -> None:
        """Give bytes to the guest."""


@dataclass(frozen=True, slots=True)
class Until:
    """Wait until the text matches."""

    pattern: Pattern


@dataclass(frozen=True, slots=True)
class UntilScreen:
    """Wait until the text on the screen matches."""

    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Send:
    """Give bytes to the guest."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Press:
    """Press keys: events for the keyboard."""

    events: bytes


Step = Until | UntilScreen | Send | Press


@dataclass(frozen=True, slots=True)
class Verdict:
    """How waiting ended: `matched` all, `failed` by the fail-on pattern, or out of `budget`."""

    outcome: Literal["matched", "failed", "budget"]
    detail: str
    """One line: the text that matched, or the pattern still waited for."""


class Expectation:
    """Goes through steps in order; each search starts after the match before it.

    It listens to the port from `start` to the verdict. `finished` is called once, inside the
    machine's run, with the verdict; sends that stand before the first Until go out at once, when
    `start` is called. Without any Until only `fail_on` and the budget (ns of virtual time from the
    start) can end it.

    Several that follow each other on one port share its `console` text, which another listener of
    the port adds to: each begins to search at `position`, in characters since its beginning, and
    may be handed the same `fail_on`.
    """

    __slots__ = (
        "_afar",
        "_budget",
        "_clock",
        "_deadline",
        "_fail_on",
        "_finished",
        "_glance",
        "_keeps_text",
        "_next",
        "_port",
        "_press",
        "_screen",
        "_search",
        "_settled",
        "_steps",
        "console",
        "is_waiting",
        "match",
        "position",
        "verdict",
    )

    def __init__(  # noqa: PLR0913  what to do, and where it begins
        self,
        clock: Clock,
        port: Source,
        steps: Sequence[Step],
        *,
        finished: Callable[[Verdict], None],
        fail_on: Search | None = None,
        budget: int | None = None,
        console: ConsoleText | None = None,
        position: int = 0,
        screen: Callable[[], str] | None = None,
        press: Callable[[bytes], None] | None = None,
    ) -> None:
        self._clock = clock
        self._port = port
        self._steps = tuple(steps)
        self._finished = finished
        self._fail_on = fail_on
        self._budget = budget
        self._settled = clock.timer(self._look)
        self._afar = clock.timer(lambda: self._look(afar=True))
        self._deadline = clock.timer(self._out_of_budget)
        self._glance = clock.timer(self._look_at_screen)
        self._screen = screen
        """What is on the screen, for those that wait for it."""
        self._press = press
        """What has keys pressed, for those that press some."""
        self._next = 0
        self._search: Search | None = None
        """For the step that is waited for, from the first look on."""
        self.position = position
        """Where the next search begins."""
        self._keeps_text = console is None
        self.console = console if console is not None else ConsoleText()
        self.is_waiting = False
        """Whether a verdict is to come."""
        self.verdict: Verdict | None = None
        self.match: Match | None = None
        """The last match: of the last Until, or of `fail_on` when it failed."""

    def start(self) -> None:
        """Begin at the present virtual time."""
        self.is_waiting = True
        if self._steps or self._fail_on is not None:
            self._port.listeners.add(self._heard, self.search_soon)
        if self._budget is not None:
            self._deadline.arm(self._clock.now() + self._budget)
        self._send_due()

    def search_soon(self) -> None:
        """The port began to send, or had sent something before: search unless that is due."""
        if self.verdict is None and self._settled.deadline == NEVER:
            self._settled.arm(self._clock.now() + SETTLE)

    def _heard(self, data: bytes) -> None:
        if self._keeps_text:
            self.console.add(data)

    def look(self) -> None:
        """Search at once what the port has sent: nothing more will come, or time is up."""
        if self.verdict is None:
            self._look(afar=True)

    def waiting_for(self) -> str | None:
        """The pattern that is waited for now."""
        step = self._steps[self._next] if self._next < len(self._steps) else None
        return None if step is None or isinstance(step, Send | Press) else step.pattern.source

    def cancel(self) -> None:
        """Stop waiting; no verdict comes any more."""
        self.is_waiting = False
        self._port.listeners.remove(self._heard)
        self._clock.remove(self._settled)
        self._clock.remove(self._afar)
        self._clock.remove(self._deadline)
        self._clock.remove(self._glance)

    def _awaited(self) -> Pattern | None:
        step = self._steps[self._next] if self._next < len(self._steps) else None
        return step.pattern if isinstance(step, Until) else None

    def _look(self, *, afar: bool = False) -> None:
        self._port.take_output()
        if self.verdict is not None:
            return
        self._judge(afar=afar)
        self.console.forget()
        if self.verdict is not None or not any(search.behind for search in self._searches()):
            self._afar.disarm()
        elif self._afar.deadline == NEVER:
            self._afar.arm(self._clock.now() + AFAR)

    def _judge(self, *, afar: bool) -> None:
        """Go as far through the steps as the text leads."""
        text, start = self.console.text, self.console.start
        fail_on = self._fail_on
        failure = fail_on.look(text, start, afar=afar) if fail_on is not None else None
        while (awaited := self._awaited()) is not None:
            if self._search is None:
                self._search = Search(awaited, self.position)
            match = self._search.look(text, start, afar=afar)
            if match is None or (failure is not None and failure.start() < match.start()):
                break
            self.position = start + match.end()
            self.match = match
            self._next += 1
            self._search = None
            self._send_due()
            if self._next == len(self._steps):
                self._finish(Verdict("matched", line_of(match)))
                return
        if failure is not None and fail_on is not None:
            self.match = failure
            fail_on.go_on(start + failure.end())
            self._finish(Verdict("failed", line_of(failure)))

    def _searches(self) -> Iterator[Search]:
        if self._search is not None:
            yield self._search
        if self._fail_on is not None:
            yield self._fail_on

    def _send_due(self) -> None:
        while self._next < len(self._steps):
            step = self._steps[self._next]
            if isinstance(step, Until):
                return
            if isinstance(step, UntilScreen):
                self._glance.arm(self._clock.now() + GLANCE)
                return
            if isinstance(step, Press):
                assert self._press is not None, "who presses keys says where"
                self._press(step.events)
            else:
                self._port.feed(step.data)
            self._next += 1

    def _look_at_screen(self) -> None:
        """Go on behind the step if the screen is as it waits for."""
        step = self._steps[self._next]
        assert isinstance(step, UntilScreen)
        assert self._screen is not None, "who waits for a screen says where it is"
        match = step.pattern.search(self._screen())
        if match is None:
            self._glance.arm(self._clock.now() + GLANCE)
            return
        self.match = match
        self._next += 1
        self._send_due()
        if self._next == len(self._steps):
            self._finish(Verdict("matched", line_of(match)))
        else:
            self.search_soon()

    def _out_of_budget(self) -> None:
        self._look(afar=True)
        if self.verdict is None:
            waiting = self.waiting_for()
            self._finish(Verdict("budget", f"still waiting for {waiting!r}" if waiting else ""))

    def _finish(self, verdict: Verdict) -> None:
        self.cancel()
        self.verdict = verdict
        self._finished(verdict)


def line_of(match: Match) -> str:
    """The line in which a match begins, or the last of the match where that is long."""
    text = match.string
    start = text.rfind("\n", 0, match.start()) + 1
    end = text.find("\n", match.start())
    end = end if end >= 0 else len(text)
    if end - start > _LONGEST_DETAIL:
        end = min(end, match.end())
        start = max(start, end - _LONGEST_DETAIL)
    return shown(text[start:end].strip())
