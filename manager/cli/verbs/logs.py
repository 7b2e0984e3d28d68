# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr logs`: print what serial ports sent."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from manager.cli.guest_output import GuestOutput, add_raw
from manager.errors import UsageError
from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.state.log_reader import LogReader
    from manager.state.situation import Situation

_INTERVAL = 0.1
"""Seconds between looks at a log that is followed."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "logs",
        description="Prints what a serial port sent since the machine was booted, byte by byte; "
        "the machine need not run any more. Of several machines it prints line by line, with "
        "their names.",
    )
    parser.add_argument("names", metavar="NAME", nargs="+", help="a machine, or its machine file")
    parser.add_argument("--port", metavar="P", help="com1..com4 or a device id [the console]")
    parser.add_argument("-n", "--lines", metavar="N", type=_count, help="only the last N lines")
    parser.add_argument("--previous", action="store_true", help="of the boot before this one")
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on until the machines no longer run"
    )
    parser.add_argument(
        "--times",
        action="store_true",
        help="line by line, with the host's time at which each came while following",
    )
    add_raw(parser)
    parser.set_defaults(run=run)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of lines")
    return min(int(text), sys.maxsize)


@dataclass(frozen=True, slots=True)
class _Source:
    """A machine and the log of one of its ports."""

    situation: Situation
    log: LogReader

    @property
    def name(self) -> str:
        return self.situation.name

    def runs(self) -> bool:
        """Whether there may be more."""
        from manager.state.lock import is_locked

        return is_locked(self.situation.paths.lock)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    from manager.cli.arguments import find

    named = [find(name) for name in args.names]
    alone = [one for found in named for one in _machines(found)]
    situations = {situation.name: situation for situation in alone}
    follow = args.follow and not args.previous
    with ExitStack() as stack:
        sources = []
        for situation in situations.values():
            sources.append(_source(situation, args.port, args.previous))
            stack.callback(sources[-1].log.close)
        if len(sources) == 1 and not args.times:
            _copy(sources[0], args.lines, follow=follow, raw=args.raw)
        else:
            _interleave(sources, args.lines, follow=follow, times=args.times, raw=args.raw)
    return 0


def _machines(found: Situation) -> list[Situation]:
    """A machine, or those of a lab."""
    from manager.state.situation import look

    return [look(paths) for paths in found.paths.members()] if found.paths.is_lab else [found]


def _source(situation: Situation, port: str | None, previous: bool) -> _Source:
    from manager.graph.port_names import resolve_port
    from manager.state.log_reader import LogReader
    from manager.state.port_log import old, pieces

    record = situation.last_run
    if record is None:
        raise UsageError(f"{situation.name} has no logs")
    path = situation.paths.port_log(resolve_port(record.ports, port, record.console))
    if previous:
        path = old(path)
    if not pieces(path):
        raise UsageError(f"{situation.name}: nothing was logged for that port")
    return _Source(situation, LogReader(path))


def _copy(source: _Source, lines: int | None, *, follow: bool, raw: bool) -> None:
    """One machine's log, byte by byte."""
    output = GuestOutput(raw=raw)
    if lines is not None:
        output.write(source.log.last(lines))
    while True:
        ended = not follow or not source.runs()
        while data := source.log.read():
            output.write(data)
        if ended:
            break
        time.sleep(_INTERVAL)
    output.close()


def _interleave(
    sources: list[_Source], lines: int | None, *, follow: bool, times: bool, raw: bool
) -> None:
    """Several logs line by line: what is there, one after another, then as it comes."""
    from manager.cli.labelled import Labelled

    output = Labelled([source.name for source in sources], times=times, raw=raw)
    for source in sources:
        if lines is not None:
            output.add(source.name, source.log.last(lines), is_new=False)
        while data := source.log.read():
            output.add(source.name, data, is_new=False)
    while follow:
        running = [source for source in sources if source.runs()]
        for source in sources:
            while data := source.log.read():
                output.add(source.name, data, is_new=True)
        output.idle()
        if not running:
            break
        time.sleep(_INTERVAL)
    output.idle(at_end=True)
