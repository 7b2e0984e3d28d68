# SPDX-License-Identifier: BSD-2-Clause
"""`up` of a machine that runs already: say so, be its console, or wait until it is ready."""

from __future__ import annotations

import base64
import sys
import time
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from manager.cli.clients import await_end, connect
from manager.cli.colour import has_colour
from manager.cli.guest_output import GuestOutput
from manager.cli.output import print_json
from manager.client.client import HungUpError
from manager.client.peer import UntrustedError
from manager.errors import ExitCode, HostError, VmmgrError, WrongStateError
from manager.lazy import dataclass
from manager.machine.expectation import line_of
from manager.state.paths import MachinePaths
from manager.state.situation import look
from manager.text.console_text import ConsoleText
from manager.text.search import Search
from manager.text.shown import loud

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from manager.client.beside import Beside
    from manager.client.client import Client, Message
    from manager.client.left import Left
    from manager.graph.nodes import Graph
    from manager.state.situation import Situation
    from manager.vmm.launch import Readiness

_PATIENCE = 5.0
"""Seconds that a running machine gets to answer."""
_SEEN = 64 * 1024
"""Bytes of earlier output in which what is waited for may be."""


def runs(graph: Graph) -> bool:
    """Whether the machine of this machine file runs, or is about to."""
    situation = look(MachinePaths.of(graph.name))
    return situation.state == "running" and situation.is_of(graph.source)


def join(
    graph: Graph, wanted: Readiness | None, *, raw: bool = False, as_json: bool = False
) -> int:
    """Say that it runs, and wait until it is ready if that is wanted; returns the exit code.

    Raises HostError when it cannot be asked.
    """
    say_running(graph)
    if wanted is None:
        return ExitCode.OK
    output = None if as_json else GuestOutput(raw=raw)
    try:
        with connect(look(MachinePaths.of(graph.name))) as client:
            verdict = _Wait(client, graph, wanted, output).verdict()
    except (HungUpError, WrongStateError):
        verdict = Verdict(ExitCode.FAILURE, "it ended before it was ready")
    return ExitCode.OK if verdict is None else _tell(graph.name, verdict, as_json)


def be_console(
    name: str, escape: int | None, *, attended: bool = False, beside: Beside | None = None
) -> Left:
    """Be the console of a machine that runs, until its end or a detach."""
    from manager.client.console import Console
    from manager.client.options import Options

    paths = MachinePaths.of(name)
    with connect(look(paths)) as client:
        left = Console(client, name, Options(escape=escape, attended=attended, beside=beside)).run()
    if left.is_end:
        await_end(paths)
    if left.text:
        for line in (left.text, *left.story):
            print(f"vmmgr: {line}", file=loud(sys.stderr) if left.status else sys.stderr)
    return left


def say_running(graph: Graph) -> None:
    """Say so, and in what its machine file has changed since."""
    from manager.cli.graphs import changed_since

    situation = look(MachinePaths.of(graph.name))
    name, record = situation.name, situation.last_run
    pid = f", pid {record.pid}" if record is not None and record.alive() else ""
    print(
        f"{name} is already running{pid}; `vmmgr console {name}` takes you to it",
        file=sys.stderr,
    )
    say_what_changed(
        graph.source,
        situation,
        partial(changed_since, graph),
        f"`vmmgr restart {graph.name}` boots it",
    )


def refuse_fresh(graph: Graph) -> WrongStateError:
    """What becomes of `--fresh` while the machine runs."""
    return WrongStateError(
        f"{graph.name} is already running",
        help=f"power it off with `vmmgr down {graph.name}`, or `vmmgr restart {graph.name}`",
    )


def say_what_changed(
    file: Path, situation: Situation, changed: Callable[[Client], list[str]], remedy: str
) -> None:
    """Warn when a file, or what it names, has `changed` since what runs was booted from it."""
    try:
        with connect(situation, timeout=_PATIENCE) as client:
            lines = changed(client)
    except UntrustedError:
        raise
    except VmmgrError:
        return  # it is starting, ending or busy; that it runs is said
    if lines:
        print(
            f"{file} has changed since {situation.name} was booted:",
            *lines,
            f"   = help: {remedy} as the file is now",
            sep="\n",
            file=sys.stderr,
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """How waiting ended."""

    status: int
    """An exit code."""
    detail: str


def _tell(name: str, verdict: Verdict, as_json: bool) -> int:
    if as_json:
        event = "unready" if verdict.status else "ready"
        print_json({"event": event, "name": name, **asdict(verdict)})
    if verdict.status:
        error = HostError(f"{name}: {verdict.detail}", help=f"`vmmgr status {name}` tells more")
        print(error.report(colour=has_colour(sys.stderr)), file=loud(sys.stderr))
    else:
        print(f"{name} is ready: {verdict.detail}", file=sys.stderr)
    return verdict.status


class _Wait:
    """Waiting for a text in what a machine that runs has printed and prints.

    Where it is what its owner waits for too, the owner's verdict counts.
    """

    def __init__(
        self, client: Client, graph: Graph, wanted: Readiness, output: GuestOutput | None
    ) -> None:
        self._client = client
        self._wanted = wanted
        self._is_declared = wanted.is_declared_by(graph)
        self._output = output
        self._text = ConsoleText()
        self._wait_for = Search(wanted.wait_for)
        self._fail_on = Search(wanted.fail_on) if wanted.fail_on is not None else None

    def verdict(self) -> Verdict | None:
        """Wait; None when nothing is to come. Raises HungUpError when the process is gone."""
        wanted = self._wanted
        status = self._client.execute("subscribe")
        if self._is_declared:
            if status["ready"]:
                return Verdict(ExitCode.OK, "it was so before")
            if status["ready"] is None and status.get("waits-for") is None:
                return None  # it was resumed, and will not print it again
        port = {} if wanted.port is None else {"port": wanted.port}
        attached = self._client.execute("attach", mode="read", replay=_SEEN, **port)
        found = self._search(base64.b64decode(attached["replay"]))
        give_up = None if wanted.timeout is None else time.monotonic() + wanted.timeout
        while found is None:
            left = None if give_up is None else max(0.0, give_up - time.monotonic())
            message = self._client.next_message(left)
            found = self._too_late() if message is None or left == 0 else self._hear(message)
        if self._output is not None:
            self._output.close()
        return found

    def _hear(self, message: Message) -> Verdict | None:
        event, data = message.get("event"), message.get("data", {})
        if event == "output":
            printed = base64.b64decode(data["base64"])
            if self._output is not None:
                self._output.write(printed)
            return self._search(printed)
        if event == "ready" and self._is_declared:
            return Verdict(ExitCode.OK, data["detail"])
        if event == "unready" and self._is_declared:
            return Verdict(data["status"], data["detail"])
        if event in ("ended", "suspended"):
            return Verdict(ExitCode.FAILURE, f"it {event} before it was ready")
        return None

    def _search(self, data: bytes) -> Verdict | None:
        text, verdict = self._text, None
        text.add(data)
        failed = self._fail_on.look(text.text, text.start, afar=True) if self._fail_on else None
        found = self._wait_for.look(text.text, text.start, afar=True)
        if failed is not None and (found is None or failed.start() < found.start()):
            verdict = Verdict(ExitCode.FAIL_ON_MATCHED, f"--fail-on matched: {line_of(failed)}")
        elif found is not None:
            verdict = Verdict(ExitCode.OK, line_of(found))
        text.forget()
        return verdict

    def _too_late(self) -> Verdict:
        seconds, awaited = self._wanted.timeout, self._wanted.wait_for.source
        return Verdict(
            ExitCode.TIME_BUDGET,
            f"not ready after {seconds:g} s: still waiting for {awaited!r}; it still runs",
        )
