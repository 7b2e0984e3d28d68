# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr explain`: what a diagnostic means, with a wrong and a right machine file."""

from __future__ import annotations

import argparse
import dataclasses
import sys

from manager.cli.colour import has_colour
from manager.cli.output import print_json
from manager.errors import ExitCode, UsageError


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `explain` to the command line."""
    parser = subparsers.add_parser("explain")
    parser.add_argument(
        "code", nargs="?", metavar="CODE", help="such as VM012; all codes are listed without one"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the page of a code, or all codes with their titles; raises UsageError."""
    from manager.config.codes import TITLES, is_warning
    from manager.config.explain import page, render
    from manager.config.suggest import did_you_mean

    if args.code is None:
        if args.json:
            print_json({"codes": dict(TITLES)}, indented=True)
        else:
            for code, title in TITLES.items():
                print(f"{code}  {'warning' if is_warning(code) else 'error':7}  {title}")
        return ExitCode.OK
    code = args.code.upper()
    found = page(code)
    if found is None:
        near = did_you_mean(code, TITLES) if code.startswith("VM") else None
        raise UsageError(
            f"there is no diagnostic {args.code}",
            help=near if near and near.startswith("did") else "`vmmgr explain` lists all codes",
        )
    if args.json:
        print_json(dataclasses.asdict(found), indented=True)
    else:
        print(render(found, colour=has_colour(sys.stdout)))
    return ExitCode.OK
