# SPDX-License-Identifier: BSD-2-Clause
"""Waiting until a machine is ready, and keeping it as it is then for warm starts."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from manager.errors import ExitCode, HostError
from manager.vmm.outcome import Outcome

if TYPE_CHECKING:
    from manager.graph.nodes import Ready
    from manager.machine.expectation import Expectation, Source, Step, Verdict
    from manager.text.pattern import Pattern
    from manager.vmm.boot_source import Shelf
    from manager.vmm.launch import Audience, Readiness
    from manager.vmm.running import RunningMachine
    from manager.vmm.timers import HostTimers

LAST_LINES = 20
"""Lines of output that are shown of a machine that did not get ready in time."""
NO_LIMIT = 1e9
"""Seconds; longer than any wait."""

IsReady = Callable[[str], None]
"""Called inside the machine's run with the line that was waited for."""


def expect(
    running: RunningMachine,
    source: Source,
    steps: Sequence[Step],
    finished: Callable[[Verdict], None],
    *,
    fail_on: Pattern | None = None,
    budget: int | None = None,
) -> Expectation:
    """Begin to wait for what a port prints; see Expectation. `budget` is ns of virtual time."""
    from manager.machine.expectation import Expectation
    from manager.text.search import Search

    def press(events: bytes) -> None:
        from manager.machine import keystrokes

        keystrokes.press(running.machine, events)

    expectation = Expectation(
        running.machine.clock,
        source,
        steps,
        finished=finished,
        fail_on=Search(fail_on) if fail_on is not None else None,
        budget=budget,
        screen=lambda: running.machine.screen_text(),
        press=press,
    )
    running.waiting.begin(expectation)
    return expectation


def await_ready(
    running: RunningMachine,
    timers: HostTimers,
    readiness: Readiness,
    audience: Audience,
    *,
    then: IsReady | None = None,
    is_vital: bool = False,
) -> None:
    """Begin to wait, and report to the audience what the port sends and the verdict.

    A machine for which it `is_vital` ends when it does not get ready.
    """
    from manager.machine.expectation import Until

    connection = running.connections.find(readiness.port)

    def finished(verdict: Verdict) -> None:
        settled()
        if verdict.outcome == "matched":
            running.waiting.got_ready(verdict.detail)
            if then is not None:
                then(verdict.detail)
            audience.ready(verdict.detail)
        else:
            not_ready(ExitCode.FAIL_ON_MATCHED, f"--fail-on matched: {verdict.detail}")

    def too_late() -> None:
        give_up(ExitCode.TIME_BUDGET, f"not ready after {readiness.timeout:g} s")

    def too_early() -> None:
        give_up(ExitCode.FAILURE, "it ended before it was ready")

    def give_up(status: int, why: str) -> None:
        expectation.cancel()
        settled()
        not_ready(
            status,
            f"{why}: still waiting for {expectation.waiting_for()!r}; the last it printed:\n"
            + textwrap.indent(expectation.console.last_lines(LAST_LINES), "  | "),
        )

    def settled() -> None:
        timer.cancel()
        connection.listeners.remove(audience.output)

    def not_ready(status: int, detail: str) -> None:
        running.waiting.did_not_get_ready(status, detail)
        audience.unready(status, detail)
        if is_vital:
            running.finish(Outcome("verdict", status, detail))

    running.waiting.for_ready(readiness.wait_for.source, too_early)
    connection.listeners.add(audience.output)
    limit = NO_LIMIT if readiness.timeout is None else readiness.timeout
    timer = timers.after(limit, too_late)
    expectation = expect(
        running, connection, [Until(readiness.wait_for)], finished, fail_on=readiness.fail_on
    )
    expectation.search_soon()


def watch_for_ready(running: RunningMachine, declared: Ready, then: IsReady | None) -> None:
    """Begin to wait for what `[ready]` says, though no user does: for the status, and for `then`.

    Without `then` it gives way to a rewind.
    """
    from manager.machine.expectation import Expectation, Until
    from manager.text.pattern import compile_pattern
    from manager.text.search import Search

    def finished(verdict: Verdict) -> None:
        if verdict.outcome == "matched":
            running.waiting.got_ready(verdict.detail)
            if then is not None:
                then(verdict.detail)
        else:
            running.waiting.did_not_get_ready(
                ExitCode.FAIL_ON_MATCHED, f"`fail-on` of [ready] matched: {verdict.detail}"
            )

    fail_on = declared.fail_on
    running.waiting.for_ready(declared.wait_for)
    begin = running.waiting.begin if then is not None else running.waiting.watch
    begin(
        Expectation(
            running.machine.clock,
            running.connections.find(declared.port),
            [Until(compile_pattern(declared.wait_for))],
            finished=finished,
            fail_on=Search(compile_pattern(fail_on)) if fail_on is not None else None,
        )
    )


def keep_when_still(running: RunningMachine, shelf: Shelf, say: Callable[[str], None]) -> IsReady:
    """Has a machine that got ready kept at its next rest, unless anything came from outside."""

    def keep(detail: str) -> None:
        if not running.is_untouched:
            return
        running.connections.pump()
        ports = {id: item.so_far() for id, item in running.connections.by_id.items()}
        try:
            image = running.machine.run_to_image()
            if shelf.store.add(shelf.key, image, ports, detail) is None:
                say("the machine is too large for the ready cache")
        except HostError as error:
            say(f"not kept in the ready cache: {error.message}")

    return lambda detail: running.when_still(lambda: keep(detail))
