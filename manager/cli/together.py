# SPDX-License-Identifier: BSD-2-Clause
"""One verb on several machines: those named, or all that run, side by side."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from manager.cli.colour import has_colour
from manager.errors import ExitCode, HostError, UsageError, VmmgrError
from manager.text.shown import loud

if TYPE_CHECKING:
    from manager.state.situation import Situation

Act = Callable[["Situation"], str]
"""Does it to one machine and returns the line that says so, if any; raises VmmgrError."""

AT_A_TIME = 8
"""Machines that are worked on side by side."""


def add_names(parser: argparse.ArgumentParser, all_help: str) -> None:
    """Add NAME... and `--all`."""
    parser.add_argument("names", metavar="NAME", nargs="*", help="a machine, or its machine file")
    parser.add_argument("--all", action="store_true", help=all_help)


def chosen(args: argparse.Namespace) -> list[Situation]:
    """The machines that are meant. Raises UsageError, NoSuchMachineError."""
    from manager.cli.arguments import find
    from manager.state.situation import look_at_all

    if args.all and args.names:
        raise UsageError("either name machines or say --all")
    if args.all:
        running = [situation for situation in look_at_all() if situation.state == "running"]
        return [situation for situation in running if situation.paths.lab is None]
    if not args.names:
        raise UsageError("name a machine, or say --all")
    return [find(name) for name in args.names]


def each(situations: list[Situation], act: Act) -> int:
    """Do it to all, with a line for each; the first failure's exit code."""
    if len(situations) == 1:
        _say(act(situations[0]), sys.stderr)
        return ExitCode.OK
    from concurrent.futures import ThreadPoolExecutor

    status = 0
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        futures = [(situation, pool.submit(act, situation)) for situation in situations]
        for situation, future in futures:
            try:
                _say(future.result(), sys.stderr)
            except VmmgrError as error:
                named = HostError(f"{situation.name}: {error.message}", help=error.help)
                _say(named.report(colour=has_colour(sys.stderr)), loud(sys.stderr))
                status = status or error.exit_code
    return status


def _say(line: str, stream: TextIO) -> None:
    if line:
        print(line, file=stream, flush=True)
