# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr wait`: wait until a machine is in a state."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from manager.cli.arguments import duration
from manager.errors import ExitCode, VmmgrError
from manager.text.shown import loud

if TYPE_CHECKING:
    from manager.state.situation import Situation

_STATES = ("running", "ready", "suspended", "stopped", "crashed")
_INTERVAL = 0.05
"""Seconds between looks."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "wait",
        description="Waits until a machine is in a state: `ready` is what `[ready]` or --wait-for "
        "waited for.",
    )
    parser.add_argument("name", metavar="NAME", help="a machine, or its machine file")
    parser.add_argument("state", metavar="STATE", choices=_STATES, help=", ".join(_STATES))
    parser.add_argument(
        "--timeout",
        metavar="DUR",
        type=duration,
        help="give up after that time, with exit code 124",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    from manager.cli.arguments import find
    from manager.state.situation import look

    situation = find(args.name)
    give_up = None if args.timeout is None else time.monotonic() + args.timeout / 1e9
    while not _is(situation, args.state):
        if give_up is not None and time.monotonic() >= give_up:
            print(f"{situation.name} is still {situation.state}", file=loud(sys.stderr))
            return ExitCode.TIME_BUDGET
        time.sleep(_INTERVAL)
        situation = look(situation.paths)
    return 0


def _is(situation: Situation, state: str) -> bool:
    if state != "ready":
        return situation.state == state
    from manager.cli.clients import connect
    from manager.client.peer import UntrustedError

    if situation.state != "running":
        return False
    try:
        with connect(situation) as client:
            return bool(client.execute("query-status")["ready"])
    except UntrustedError:
        raise
    except VmmgrError:  # it is on its way up or down
        return False
