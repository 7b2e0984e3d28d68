# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr keys`: press keys of a running machine's keyboard."""

from __future__ import annotations

import argparse

from manager.cli.arguments import keys


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "keys",
        description="Presses keys of the keyboard of a running machine, which has the US layout. "
        "KEYS are characters, and names of keys between `<` and `>`: `<enter>`, `<f2>`, `<up>`, "
        "`<ctrl-alt-delete>`; `<lt>` is the character `<`.",
    )
    parser.add_argument("name", metavar="NAME", help="a machine, or its machine file")
    parser.add_argument("keys", metavar="KEYS", type=keys)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    from manager.cli.arguments import find_machine
    from manager.cli.clients import connect

    with connect(find_machine(args.name)) as client:
        client.execute("keys", keys=args.keys.source)
    return 0
