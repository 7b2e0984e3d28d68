# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr send`: send text to a serial port of a running machine."""

from __future__ import annotations

import argparse

from manager.cli.arguments import escaped_text


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "send",
        description=r"Sends TEXT to a serial port of a running machine, as it stands: end a line "
        r"with \n (or \r where the guest wants that). \t, \\ and \xNN work too.",
    )
    parser.add_argument("name", metavar="NAME", help="a machine, or its machine file")
    parser.add_argument("text", metavar="TEXT", type=escaped_text)
    parser.add_argument("--port", metavar="P", help="com1..com4 or a device id [the console]")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    from manager.cli.arguments import find_machine
    from manager.cli.clients import connect

    arguments = {"text": args.text.decode("utf-8", "surrogateescape")}
    if args.port is not None:
        arguments["port"] = args.port
    with connect(find_machine(args.name)) as client:
        client.execute("send", **arguments)
    return 0
