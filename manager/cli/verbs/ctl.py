# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr ctl`: one command of the control protocol, as it stands."""

from __future__ import annotations

import argparse
import json
from typing import Any

from manager.cli.output import print_json


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "ctl",
        description="Sends one command to a running machine and prints the answer as JSON. "
        "`vmmgr ctl NAME query-schema` lists the commands; docs/control-protocol.md explains "
        "them.",
    )
    parser.add_argument("name", metavar="NAME", help="a machine, or its machine file")
    parser.add_argument("control", metavar="COMMAND", help="such as query-status or pause")
    parser.add_argument(
        "arguments", metavar="JSON", nargs="?", type=_object, default={}, help="its arguments"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    from manager.cli.arguments import find
    from manager.cli.clients import await_end, connect

    situation = find(args.name)
    with connect(situation, timeout=None) as client:
        result = client.execute(args.control, **args.arguments)
    print_json(result, indented=True, versioned=False)
    if args.control in ("suspend", "down", "quit", "stop"):
        await_end(situation.paths)
    return 0


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError('arguments are an object: {"port": "com1"}')
    return value
