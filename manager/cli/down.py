# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr down`: power a running machine off."""

from __future__ import annotations

import argparse
import sys


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "down",
        help="power a running machine off",
        description="Powers a running machine off, as if its plug were pulled. Use `suspend` to "
        "keep its state.",
    )
    parser.add_argument("name", metavar="NAME", help="a machine, or its machine file")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    from manager.cli.arguments import find
    from manager.cli.clients import await_end, connect

    situation = find(args.name)
    with connect(situation) as client:
        client.execute("down")
    await_end(situation.paths)
    print(f"{situation.name} powered off", file=sys.stderr)
    return 0
