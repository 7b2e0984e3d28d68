# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr plan`: the machine that a file stands for, down to ports and interrupts."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from manager.errors import ExitCode


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `plan` to the command line."""
    parser = subparsers.add_parser("plan", help="show slots, ports, interrupts and hashes")
    parser.add_argument("file", type=Path, metavar="FILE", help="a machine file")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a key or variable"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the plan; raises ConfigError."""
    from manager.config.diagnostics import Diagnostic, render
    from manager.graph import plan
    from manager.graph.build import load_graph
    from manager.graph.identity import full_hash, identity_hash, to_plain

    def warn(warning: Diagnostic) -> None:
        print(render([warning]), file=sys.stderr)

    graph = load_graph(args.file, args.set, on_warning=warn)
    if args.json:
        hashes = {"identity": identity_hash(graph), "full": full_hash(graph)}
        print(json.dumps({"schema": 1, "graph": to_plain(graph), **hashes}, indent=2))
    else:
        print(plan.render(graph))
    return ExitCode.OK
