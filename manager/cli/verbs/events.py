# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr events`: tell what happens to a running machine."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from manager.cli.output import print_json
from manager.errors import ExitCode
from manager.text.shown import loud, shown


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "events",
        description="Prints a line for everything that happens to a running machine, until it "
        "ends: ready, paused, attached, suspended and so on.",
    )
    parser.add_argument("name", metavar="NAME", help="a machine, or its machine file")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each")
    parser.add_argument(
        "--until", metavar="EVENT", type=_event, help="end with exit code 0 at this event"
    )
    parser.set_defaults(run=run)


def _event(text: str) -> str:
    from manager.client.protocol import EVENTS

    if text not in EVENTS:
        raise argparse.ArgumentTypeError(f"there is no event {text!r}; events: {', '.join(EVENTS)}")
    return text


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    from manager.cli.arguments import find
    from manager.cli.clients import connect
    from manager.client.client import HungUpError

    situation = find(args.name)
    last = ""
    with connect(situation) as client:
        client.execute("subscribe")
        try:
            while last not in ("ended", "suspended"):
                message = client.next_message()
                if message is None or "event" not in message:
                    continue
                last = message["event"]
                if args.json:
                    print_json(message)
                else:
                    print(_as_text(message), flush=True)
                if last == args.until:
                    return ExitCode.OK
        except HungUpError:
            print(f"error: {situation.name}: its process is gone", file=loud(sys.stderr))
            return ExitCode.FAILURE
    return ExitCode.FAILURE if args.until else ExitCode.OK


def _as_text(message: dict[str, Any]) -> str:
    at = time.strftime("%H:%M:%S", time.localtime(message["time"]))
    details = "  ".join(f"{key}={value}" for key, value in message["data"].items())
    when = f"{at} {message['virtual-time'] / 1e9:12.6f} s"
    return shown(f"{when}  {message['event']}  {details}".rstrip())
