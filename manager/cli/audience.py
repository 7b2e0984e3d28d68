# SPDX-License-Identifier: BSD-2-Clause
"""Telling the user how a machine comes up, in the foreground or from the background."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from manager.errors import ExitCode, HostError

if TYPE_CHECKING:
    from manager.control.daemon import Reporter
    from manager.control.launch import Launch
    from manager.control.outcome import Outcome


class Foreground:
    """Messages go to standard error; the console is the terminal's own."""

    def __init__(self, name: str) -> None:
        self._name = name

    def up(self) -> None:
        """Tell how to leave, when somebody is there to."""
        if sys.stdin.isatty():
            self.say(f"{self._name} is up; Ctrl-] powers it off")

    def output(self, data: bytes) -> None:
        """The machine's console shows it already."""

    def ready(self, detail: str) -> None:
        """Say so."""
        self.say(f"{self._name} is ready: {detail}")

    def unready(self, status: int, detail: str) -> None:
        """Say so."""
        self.say(f"{self._name}: {detail}")

    def say(self, text: str) -> None:
        """One line; the terminal may be in raw mode."""
        _tell(f"vmmgr: {text}", "\r\n" if sys.stdin.isatty() and sys.stderr.isatty() else "\n")


class Background:
    """Everything goes to the command that started the machine, until it has heard enough."""

    def __init__(self, reporter: Reporter, *, waited_for: bool) -> None:
        self._reporter = reporter
        self._waited_for = waited_for

    def up(self) -> None:
        """Report; that is all, unless somebody waits for more."""
        self._reporter.report({"up": {}})
        if not self._waited_for:
            self._reporter.close()

    def output(self, data: bytes) -> None:
        """Report what the port sent."""
        self._reporter.report({"output": data.decode("latin-1")})

    def ready(self, detail: str) -> None:
        """Report the last thing."""
        self._reporter.report({"ready": {"detail": detail}})
        self._reporter.close()

    def unready(self, status: int, detail: str) -> None:
        """Report the last thing."""
        self._reporter.report({"unready": {"status": int(status), "detail": detail}})
        self._reporter.close()

    def say(self, text: str) -> None:
        """Keep it in the owner's log."""
        print(text, file=sys.stderr, flush=True)


def in_foreground(launch: Launch) -> int:
    """Own the machine until it ends; returns the exit code."""
    from manager.control.launch import own

    outcome = own(launch, Foreground(launch.graph.name))
    _tell(f"vmmgr: {_farewell(launch.graph.name, outcome)}")
    return outcome.status


def in_background(launch: Launch, log: Path, verb: str) -> int:
    """Start the owner, show what it reports until the machine is up or ready; returns the code."""
    from manager.control.daemon import detach, follow
    from manager.control.launch import own
    from manager.control.protocol import error_from

    name = launch.graph.name
    waited_for = launch.readiness is not None
    reports = detach(lambda reporter: own(launch, Background(reporter, waited_for=waited_for)), log)
    up = False
    for event in follow(reports):
        if (error := event.get("error")) is not None:
            raise error_from(error["code"], error["message"], error["help"])
        if "output" in event:
            sys.stdout.buffer.write(event["output"].encode("latin-1"))
            sys.stdout.buffer.flush()
        elif (unready := event.get("unready")) is not None:
            print(f"error: {name}: {unready['detail']}", file=sys.stderr)
            print(f"   = help: it still runs; `vmmgr down {name}` ends it", file=sys.stderr)
            return int(unready["status"])
        elif (ready := event.get("ready")) is not None:
            print(f"{name} {verb} and is ready: {ready['detail']}", file=sys.stderr)
            return 0
        elif "up" in event:
            up = True
    if up and not waited_for:
        print(f"{name} {verb}", file=sys.stderr)
        return 0
    if up:
        print(f"error: {name} ended before it was ready", file=sys.stderr)
        print(
            f"   = help: `vmmgr status {name}` and `vmmgr logs {name}` tell more", file=sys.stderr
        )
        return ExitCode.FAILURE
    raise HostError(f"{name}: its process died while starting", help=f"see {log}")


def _tell(text: str, end: str = "\n") -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone
        print(text, file=sys.stderr, end=end, flush=True)


def _farewell(name: str, outcome: Outcome) -> str:
    if outcome.kind == "suspended":
        return f"{name} suspended to {outcome.detail}; resume it with `vmmgr resume {name}`"
    if outcome.kind in ("ended", "fault"):
        return f"{name} ended: {outcome.detail}"
    if outcome.kind == "verdict":
        return f"{name} powered off: it did not get ready"
    return f"{name} powered off"
