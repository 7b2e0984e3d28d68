# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr logs`: print what a serial port sent."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import deque
from typing import IO, TYPE_CHECKING

from manager.errors import HostError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from manager.state.situation import Situation

_INTERVAL = 0.1
"""Seconds between looks at a log that is followed."""
_BLOCK = 65536


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "logs",
        description="Prints what a serial port sent since the machine was booted, byte by byte; "
        "the machine need not run any more.",
    )
    parser.add_argument("name", metavar="NAME", help="a machine, or its machine file")
    parser.add_argument("--port", metavar="P", help="com1..com4 or a device id [the console]")
    parser.add_argument("-n", "--lines", metavar="N", type=_count, help="only the last N lines")
    parser.add_argument("--previous", action="store_true", help="of the boot before this one")
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on until the machine no longer runs"
    )
    parser.set_defaults(run=run)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of lines")
    return min(int(text), sys.maxsize)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    from manager.cli.arguments import find
    from manager.state.port_log import old, pieces

    situation = find(args.name)
    path = _log_of(situation, args.port)
    if args.previous:
        path = old(path)
    found = pieces(path)
    if not found:
        raise UsageError(f"{situation.name}: nothing was logged for that port")
    try:
        log = _print(found, args.lines)
        if args.follow and not args.previous:
            log = _follow(situation, path, log)
        log.close()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise HostError(f"{path}: cannot read: {error.strerror}") from None
    return 0


def _log_of(situation: Situation, port: str | None) -> Path:
    from manager.graph.port_names import resolve_port

    record = situation.last_run
    if record is None:
        raise UsageError(f"{situation.name} has no logs")
    return situation.paths.port_log(resolve_port(record.ports, port, record.console))


def _print(found: list[Path], lines: int | None) -> IO[bytes]:
    """Print the pieces; returns the newest one, open at its end."""
    last: deque[bytes] = deque(maxlen=lines)
    for path in found:
        log = path.open("rb")
        if lines is None:
            _copy(log)
        else:
            last.extend(log)
        if path != found[-1]:
            log.close()
    sys.stdout.buffer.write(b"".join(last))
    sys.stdout.buffer.flush()
    return log


def _follow(situation: Situation, path: Path, log: IO[bytes]) -> IO[bytes]:
    """Print what is added, over the begin of a new piece too, until the machine ends."""
    from manager.state.lock import is_locked
    from manager.state.port_log import PIECES, piece

    while True:
        ended = not is_locked(situation.paths.lock)
        _copy(log)
        number = _number_of(log, path, PIECES)
        if number:
            _copy(log)  # what was added between the look and the change of name
            log.close()
            log = piece(path, number - 1).open("rb")
        elif ended:
            return log
        else:
            time.sleep(_INTERVAL)


def _number_of(log: IO[bytes], path: Path, most: int) -> int:
    """Which piece an open log is by now; 0 is the one being written."""
    from manager.state.port_log import piece

    is_open = os.fstat(log.fileno())
    for number in range(most + 1):
        candidate = piece(path, number)
        if candidate.exists() and os.path.samestat(candidate.stat(), is_open):
            return number
    # It is no piece any more: a boot put it aside, so the log is followed from its beginning.
    return 1 if path.exists() else 0


def _copy(log: IO[bytes]) -> None:
    while data := log.read(_BLOCK):
        sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
