# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr validate`: everything that is wrong with machine files, at once."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from manager.errors import ExitCode

if TYPE_CHECKING:
    from manager.graph.build import Checked


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `validate` to the command line."""
    parser = subparsers.add_parser("validate", help="check machine files")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a machine file")
    parser.add_argument(
        "--format",
        choices=("text", "json", "github"),
        default="text",
        help="text for people (default), JSON, or GitHub workflow commands",
    )
    parser.add_argument(
        "--json", action="store_const", const="json", dest="format", help="same as --format json"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a key or variable"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print all errors and warnings; 2 when there is any error."""
    from manager.config import diagnostics
    from manager.graph.build import check

    results = [(path, check(path, args.set)) for path in args.files]
    if args.format == "json":
        files = [_as_json(path, checked) for path, checked in results]
        print(json.dumps({"schema": 1, "files": files}, indent=2))
    elif args.format == "github":
        found = [item for _, checked in results for item in checked.diagnostics]
        if found:
            print(diagnostics.to_github(found))
    else:
        print("\n\n".join(_as_text(path, checked) for path, checked in results))
    usable = all(checked.graph is not None for _, checked in results)
    return ExitCode.OK if usable else ExitCode.USAGE


def _as_text(path: Path, checked: Checked) -> str:
    from manager.config.diagnostics import errors, render

    wrong = len(errors(checked.diagnostics))
    warnings = len(checked.diagnostics) - wrong
    counts = [_count(wrong, "error"), _count(warnings, "warning")]
    summary = f"{path}: {', '.join(count for count in counts if count) or 'ok'}"
    report = render(checked.diagnostics)
    return f"{report}\n\n{summary}" if report else summary


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}" if number else ""


def _as_json(path: Path, checked: Checked) -> dict[str, object]:
    from manager.config.diagnostics import to_json

    return {
        "file": str(path),
        "ok": checked.graph is not None,
        "diagnostics": [to_json(item) for item in checked.diagnostics],
    }
