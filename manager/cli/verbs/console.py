# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr console`: be at a serial port of a running machine."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from manager.cli.arguments import add_escape, duration
from manager.cli.guest_output import add_raw
from manager.errors import ExitCode, WrongStateError
from manager.text.shown import loud, shown

if TYPE_CHECKING:
    from manager.client.left import Left
    from manager.client.options import Options
    from manager.state.situation import Situation
    from manager.vmm.attachments import Mode

_INTERVAL = 0.1
"""Seconds between looks at a machine that is waited for."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "console",
        description="Connects the terminal to a serial port. Ctrl-] detaches, Enter ~? lists more "
        "keys; Ctrl-C and everything else goes to the guest. Several consoles can be attached to "
        "one port; the first one types, Enter ~w takes over. From a pipe, every byte goes to the "
        "guest, and the console ends when the guest has taken all and was silent for a while.",
    )
    parser.add_argument("name", metavar="NAME", help="a machine, or its machine file")
    parser.add_argument(
        "port", metavar="PORT", nargs="?", help="com1..com4 or a device id [the console]"
    )
    parser.add_argument("--read-only", action="store_true", help="only look")
    parser.add_argument("--take", action="store_true", help="type even if another console does")
    parser.add_argument(
        "--follow",
        action="store_true",
        help="when the machine is suspended or ends, wait until it runs again",
    )
    parser.add_argument(
        "--replay",
        metavar="BYTES",
        type=int,
        default=4096,
        help="how much of the earlier output to show, at most 64 KiB [4096]",
    )
    parser.add_argument(
        "--settle",
        metavar="DUR",
        type=duration,
        default=1_000_000_000,
        help="how long the guest has to be silent after it took all that a pipe gave [1s]; one "
        "that never is gets five times as long",
    )
    add_raw(parser)
    add_escape(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    from manager.cli.arguments import find_machine
    from manager.client.options import Options
    from manager.state.situation import look

    situation = find_machine(args.name)
    mode: Mode = "read" if args.read_only else "take" if args.take else "write"
    settle = None if args.follow or args.read_only else args.settle / 1e9
    options = Options(args.port, mode, args.escape, args.replay, settle=settle, raw=args.raw)
    while True:
        if args.follow and situation.state != "running":
            _await_running(situation)
        situation = look(situation.paths)
        try:
            left = _attach(situation, options)
        except WrongStateError:
            if not args.follow:
                raise
            situation = look(situation.paths)
            continue
        if left.text:
            stream = loud(sys.stderr) if left.status else sys.stderr
            for line in (left.text, *left.story):
                print(f"vmmgr: {shown(line)}", file=stream)
        if left.kind in ("detached", "interrupted") or not args.follow:
            return _status(left)
        situation = look(situation.paths)


def _attach(situation: Situation, options: Options) -> Left:
    from manager.cli.clients import await_end, connect
    from manager.client.console import Console

    with connect(situation) as client:
        left = Console(client, situation.name, options).run()
    if left.is_end:
        await_end(situation.paths)
    return left


def _await_running(situation: Situation) -> None:
    from manager.state.lock import is_locked

    print(f"vmmgr: waiting for {situation.name}; Ctrl-C gives up", file=sys.stderr)
    while not is_locked(situation.paths.lock):
        time.sleep(_INTERVAL)


def _status(left: Left) -> int:
    """A machine that ended in order is no failure of the console."""
    faults = (ExitCode.GUEST_FAULT, ExitCode.FAILURE, ExitCode.INTERRUPTED)
    return left.status if left.kind != "ended" or left.status in faults else ExitCode.OK
