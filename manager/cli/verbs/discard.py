# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr discard`: drop the suspended state of a machine."""

from __future__ import annotations

import argparse
import sys


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "discard",
        description="Drops the suspended state of a machine that is not running, so that the "
        "next `up` boots it afresh. Logs are kept.",
    )
    parser.add_argument("name", metavar="NAME", help="a machine, or its machine file")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    from manager.cli.arguments import find
    from manager.state.directory import discard

    situation = find(args.name)
    if discard(situation.paths):
        print(f"{situation.name}: state discarded", file=sys.stderr)
    else:
        print(f"{situation.name} has no suspended state", file=sys.stderr)
    return 0
