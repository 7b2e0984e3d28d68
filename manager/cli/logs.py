# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr logs`: print what a serial port sent."""

from __future__ import annotations

import argparse
import sys
import time
from typing import IO, TYPE_CHECKING

from manager.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from manager.control.home import Situation

_INTERVAL = 0.1
"""Seconds between looks at a log that is followed."""
_BLOCK = 65536


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "logs",
        help="print what a serial port sent",
        description="Prints what a serial port sent since the machine was booted.",
    )
    parser.add_argument("name", metavar="NAME", help="a machine, or its machine file")
    parser.add_argument("--port", metavar="P", help="com1..com4 or a device id [the console]")
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on until the machine no longer runs"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    from manager.cli.arguments import find
    from manager.control.lock import is_locked

    situation = find(args.name)
    path = _log_of(situation, args.port)
    try:
        log = path.open("rb")
    except FileNotFoundError:
        raise UsageError(f"{situation.name}: nothing was logged for that port") from None
    with log:
        while True:
            ended = not args.follow or not is_locked(situation.paths.lock)
            _copy(log)
            if ended:
                return 0
            time.sleep(_INTERVAL)


def _log_of(situation: Situation, port: str | None) -> Path:
    from manager.control.wiring import resolve_port

    record = situation.record
    if record is None:
        raise UsageError(f"{situation.name} has no logs")
    return situation.paths.port_log(resolve_port(record.ports, port, record.console))


def _copy(log: IO[bytes]) -> None:
    while data := log.read(_BLOCK):
        sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
