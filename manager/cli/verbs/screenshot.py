# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr screenshot`: make a picture of a screen."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "screenshot",
        description="Writes a PNG file of the screen of a machine that runs or is suspended. The "
        "picture is a function of the machine's state and virtual time alone.",
    )
    parser.add_argument("name", metavar="NAME", help="a machine, or its machine file")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        required=True,
        help="where to write it; - is standard output",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    from manager.cli.arguments import find_machine
    from manager.cli.screens import png_of

    content = png_of(find_machine(args.name))
    if args.output == "-":
        with os.fdopen(os.dup(1), "wb") as output:
            output.write(content)
    else:
        Path(args.output).write_bytes(content)
    return 0
