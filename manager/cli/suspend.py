# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr suspend`: save a running machine and end its process."""

from __future__ import annotations

import argparse
import json
import sys


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "suspend",
        help="save a running machine and end its process",
        description="Saves a running machine and ends its process. Once the command returns, the "
        "state is on disk. If it cannot be saved, the machine runs on.",
    )
    parser.add_argument("name", metavar="NAME", help="a machine, or its machine file")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    from manager.cli.arguments import find
    from manager.cli.clients import await_end, connect
    from manager.cli.snapshot import size

    situation = find(args.name)
    with connect(situation, timeout=None) as client:
        result = client.execute("suspend")
    await_end(situation.paths)
    if args.json:
        print(json.dumps({"schema": 1, "name": situation.name, **result}))
    else:
        print(
            f"{situation.name} suspended in {result['seconds'] * 1000:.0f} ms, "
            f"{size(result['size'])} on disk; "
            f"resume it with `vmmgr resume {situation.name}`",
            file=sys.stderr,
        )
    return 0
