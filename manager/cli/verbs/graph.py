# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr graph`: a picture of who sits on which bus."""

from __future__ import annotations

import argparse
from pathlib import Path

from manager.cli.arguments import add_settings, load, load_lab
from manager.cli.output import print_json
from manager.errors import ExitCode


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `graph` to the command line."""
    parser = subparsers.add_parser("graph")
    parser.add_argument("file", type=Path, metavar="FILE", help="a machine or lab file")
    parser.add_argument(
        "--format",
        choices=("tree", "mermaid", "dot", "json"),
        default="tree",
        help="a tree (default), Mermaid, Graphviz, or JSON",
    )
    parser.add_argument(
        "--json", action="store_const", const="json", dest="format", help="same as --format json"
    )
    add_settings(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the picture; raises ConfigError."""
    from manager.config.labs import is_lab
    from manager.graph import drawing, lab_drawing, lab_plan
    from manager.graph.identity import to_plain

    if is_lab(args.file):
        lab = load_lab(args.file, args.settings)
        if args.format == "json":
            print_json(lab_plan.to_json(lab), indented=True)
        else:
            print(getattr(lab_drawing, args.format)(lab))
        return ExitCode.OK
    graph = load(args.file, args.settings)
    if args.format == "json":
        print_json({"graph": to_plain(graph)}, indented=True)
    else:
        print(getattr(drawing, args.format)(graph))
    return ExitCode.OK
