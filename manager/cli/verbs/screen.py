# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr screen`: print what a screen in a text mode shows."""

from __future__ import annotations

import argparse


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "screen",
        description="Prints the characters on the screen of a machine that runs or is suspended, "
        "without the empty lines below them. In a graphics mode there are none: exit code 4.",
    )
    parser.add_argument("name", metavar="NAME", help="a machine, or its machine file")
    parser.add_argument("--json", action="store_true", help="print mode, all lines and time")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    from manager.cli.arguments import find_machine
    from manager.cli.output import print_json
    from manager.cli.screens import text_of, without_text

    situation = find_machine(args.name)
    found = text_of(situation)
    if args.json:
        print_json(found)
        return 0
    if found["lines"] is None:
        raise without_text(situation.name, found["mode"])
    text = "\n".join(found["lines"]).rstrip("\n")
    if text:
        print(text)
    return 0
