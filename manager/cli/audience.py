# SPDX-License-Identifier: BSD-2-Clause
"""Reporting to the user how a machine comes up: in the foreground, or from the background."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from manager.cli.colour import has_colour
from manager.cli.guest_output import GuestOutput
from manager.cli.loudness import detail
from manager.cli.output import print_json
from manager.errors import HostError, VmmgrError
from manager.lazy import dataclass
from manager.text.shown import loud, shown_lines

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from manager.client.beside import Beside
    from manager.client.left import Left
    from manager.vmm.background import Reporter
    from manager.vmm.launch import Launch


class Foreground:
    """Messages go to standard error; standard input and output are the console's own."""

    def __init__(self, name: str) -> None:
        self._name = name

    def up(self) -> None:
        """The output shows it."""

    def output(self, data: bytes) -> None:
        """The machine's console shows it already."""

    def ready(self, detail: str) -> None:
        """Say so."""
        self.say(f"{self._name} is ready: {detail}")

    def unready(self, status: int, detail: str) -> None:
        """Say so."""
        self.say(f"{self._name}: {detail}")

    def say(self, text: str) -> None:
        """One line."""
        tell(f"vmmgr: {text}")


class Background:
    """Everything goes to the command that started the machine, until that closes its end."""

    def __init__(self, reporter: Reporter, *, waited_for: bool) -> None:
        self._reporter = reporter
        self._waited_for = waited_for

    def up(self) -> None:
        """Report. Nothing else, unless a console or a script is attached."""
        self._reporter.report({"up": {}})
        if not self._waited_for:
            self._reporter.close()

    def output(self, data: bytes) -> None:
        """Report what the port sent."""
        self._reporter.output(data)

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
        tell(text)


@dataclass(frozen=True, slots=True)
class Start:
    """A machine to be started in the background."""

    launch: Launch
    log: Path
    """Where its process reports when no terminal is attached."""
    verb: str
    """What to call it: "is up" or "resumed"."""

    @property
    def name(self) -> str:
        """The machine's name."""
        return self.launch.graph.name

    @property
    def waited_for(self) -> bool:
        """Whether it is to get ready, not just to start."""
        return self.launch.readiness is not None and not self.launch.attended

    def begin(self) -> int:
        """Start it; returns the descriptor of its reports."""
        from manager.state.paths import private_directory
        from manager.vmm.background import detach
        from manager.vmm.bring_up import own

        private_directory(self.log.parent)
        detail(f"starting {self.name} in a process of its own; its messages go to {self.log}")
        waited_for = self.waited_for
        launch = self.launch
        return detach(
            lambda reporter: own(launch, Background(reporter, waited_for=waited_for)), self.log
        )


def in_foreground(launch: Launch) -> int:
    """Own the machine until it ends, on pipes; returns the exit code."""
    from manager.client.left import farewell
    from manager.vmm.bring_up import own

    name = launch.graph.name
    outcome = own(launch, Foreground(name))
    text = outcome.closing(farewell(name, outcome.kind, outcome.detail))
    for line in (text, *outcome.story):
        tell(f"vmmgr: {line}", is_error=bool(outcome.status))
    return outcome.status


def on_terminal(start: Start, escape: int | None, beside: Beside | None = None) -> Left:
    """Start the machine and be its console, until its end or a detach."""
    from manager.cli.joining import be_console, say_running
    from manager.client.reports import follow

    up = False
    for event in follow(start.begin()):
        up = up or "up" in event
        if _was_overtaken(start, event):
            say_running(start.launch.graph)
            return be_console(start.name, escape, beside=beside)
        _raise_error(event)
    if not up:
        raise _died(start)
    attended = not start.launch.paused
    return be_console(start.name, escape, attended=attended, beside=beside)


def in_background(starts: Sequence[Start], *, as_json: bool = False) -> int:
    """Start machines and report how they come up; returns the first exit code that is not 0.

    The console of a single one is shown while it is waited for; several get a line each.
    """
    from manager.client.reports import follow_all

    alone = len(starts) == 1
    reports = {start.name: start.begin() for start in starts}
    watches = {start.name: _Watch(start, shows_output=alone and not as_json) for start in starts}
    try:
        for name, event in follow_all(reports):
            watch = watches[name]
            if event is None:
                watch.end()
                continue
            watch.hear(event)
            if watch.is_overtaken:
                continue
            _raise_error(event if alone and not as_json else {})
            if as_json:
                _print_json(name, event)
    except KeyboardInterrupt:
        for watch in watches.values():
            watch.leave()
        raise
    for watch in watches.values():
        if watch.is_overtaken:
            watch.join(as_json=as_json)
    return next((watch.status for watch in watches.values() if watch.status), 0)


class _Watch:
    """What is known of one machine on its way up."""

    def __init__(self, start: Start, *, shows_output: bool) -> None:
        self.status = 0
        self.is_overtaken = False
        """Whether another command started the machine while this one was about to."""
        self._start = start
        self._shows_output = shows_output
        self._output = GuestOutput(raw=start.launch.raw)
        self._up = False
        self._settled = False

    def hear(self, event: dict[str, Any]) -> None:
        """Take a report."""
        name = self._start.name
        if "up" in event:
            self._up = True
        elif "output" in event:
            if self._shows_output:
                self._output.write(event["output"].encode("latin-1"))
        elif (ready := event.get("ready")) is not None:
            self._settled = True
            tell(f"{name} {self._start.verb} and is ready: {ready['detail']}")
        elif (unready := event.get("unready")) is not None:
            self._settled = True
            self.status = int(unready["status"])
            help = f"it still runs; `vmmgr down {name}` ends it"
            _tell_error(HostError(f"{name}: {unready['detail']}", help=help))
        elif _was_overtaken(self._start, event):
            self._settled = self.is_overtaken = True
        elif "error" in event:
            self._settled = True
            error = error_of(event)
            self.status = error.exit_code
            if not self._shows_output:
                _tell_error(HostError(f"{name}: {error.message}", help=error.help))

    def join(self, *, as_json: bool) -> None:
        """Be with the machine that the other command started."""
        from manager.cli.joining import join

        launch = self._start.launch
        self.status = join(launch.graph, launch.readiness, raw=launch.raw, as_json=as_json)

    def leave(self) -> None:
        """The command ends; the machine goes on."""
        if not self._settled:
            name = self._start.name
            tell(f"vmmgr: {name} goes on in the background; `vmmgr down {name}` ends it")

    def end(self) -> None:
        """There will be no more reports."""
        self._output.close()
        if self._settled:
            return
        name = self._start.name
        if self._up and not self._start.waited_for:
            tell(f"{name} {self._start.verb}")
            return
        from manager.cli.clients import ended_early

        error, story = ended_early(name) if self._up else (_died(self._start), [])
        self.status = error.exit_code
        _tell_error(error)
        for line in story:
            tell(f"{name}: {line}", is_error=True)


def error_of(event: dict[str, Any]) -> VmmgrError:
    """The error that a report tells of."""
    from manager.client.protocol import error_from

    error = event["error"]
    return error_from(error["code"], error["message"], error["help"])


def _was_overtaken(start: Start, event: dict[str, Any]) -> bool:
    """Whether the start failed because another command had just started the same machine."""
    from manager.cli.joining import runs

    failed = event.get("error")
    return failed is not None and failed["code"] == "wrong-state" and runs(start.launch.graph)


def _raise_error(event: dict[str, Any]) -> None:
    if "error" in event:
        raise error_of(event)


def _died(start: Start) -> HostError:
    return HostError(f"{start.name}: its process died while starting", help=f"see {start.log}")


def _print_json(name: str, event: dict[str, Any]) -> None:
    for kind, data in event.items():
        content = data if isinstance(data, dict) else {"text": data}
        print_json({"event": kind, "name": name, **content})


def tell(text: str, *, is_error: bool = False) -> None:
    """A line on standard error, if there is one that takes it."""
    stream = loud(sys.stderr) if is_error else sys.stderr
    with contextlib.suppress(OSError):  # the terminal may be gone, or the log's disk full
        print(shown_lines(text), file=stream, flush=True)


def _tell_error(error: VmmgrError) -> None:
    with contextlib.suppress(OSError):
        print(error.report(colour=has_colour(sys.stderr)), file=loud(sys.stderr), flush=True)
