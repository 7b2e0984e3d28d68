# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr validate`: everything that is wrong with machine files, at once."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from manager.cli.arguments import add_settings
from manager.cli.colour import has_colour
from manager.cli.output import print_json
from manager.errors import ExitCode

if TYPE_CHECKING:
    from manager.graph.build import Checked
    from manager.graph.labs import CheckedLab


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `validate` to the command line."""
    parser = subparsers.add_parser("validate")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a machine or lab file")
    parser.add_argument(
        "--format",
        choices=("text", "json", "github"),
        default="text",
        help="text for people (default), JSON, or GitHub workflow commands",
    )
    parser.add_argument(
        "--json", action="store_const", const="json", dest="format", help="same as --format json"
    )
    add_settings(parser)
    parser.add_argument(
        "--locked",
        action="store_true",
        help="fail when the guest would see something else than NAME.lock says",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print all errors and warnings; 2 when there is any error."""
    from manager.config import diagnostics
    from manager.config.labs import is_lab
    from manager.graph.build import check
    from manager.graph.labs import check_lab

    results: list[tuple[Path, Checked | CheckedLab]] = []
    for path in args.files:
        if is_lab(path):
            lab = check_lab(path, args.settings, judge=_booted)
            results.append((path, _locked_lab(lab) if args.locked else lab))
            continue
        checked = _booted(check(path, args.settings))
        results.append((path, _locked(checked) if args.locked else checked))
    if args.format == "json":
        files = [_as_json(path, checked) for path, checked in results]
        print_json({"files": files}, indented=True)
    elif args.format == "github":
        found = [item for _, checked in results for item in checked.diagnostics]
        if found:
            print(diagnostics.to_github(found))
    else:
        colour = has_colour(sys.stdout)
        print("\n\n".join(_as_text(path, checked, colour) for path, checked in results))
    usable = all(checked.usable for _, checked in results)
    return ExitCode.OK if usable else ExitCode.USAGE


def _booted(checked: Checked) -> Checked:
    """The same, and whether the loaders would refuse what the machine starts with."""
    from manager.boot.look import refusal
    from manager.config.diagnostics import Diagnostic
    from manager.config.files import show_path
    from manager.graph.boot_files import boot_files
    from manager.graph.build import Checked

    if checked.graph is None or checked.loaded is None:
        return checked
    found = refusal(checked.graph)
    if found is None:
        return checked
    span = checked.loaded.origins.value_span(("boot", *found.key))
    message = found.message
    for path in boot_files(checked.graph.boot).values():
        message = message.replace(str(path), show_path(path))
    diagnostic = Diagnostic("VM073", message, span, help=found.help)
    return Checked(None, checked.loaded, (diagnostic,))


def _locked(checked: Checked) -> Checked:
    """The same, and in what it is not what its lock file says."""
    from manager.graph.build import Checked
    from manager.graph.lock import check_lock

    if checked.graph is None or checked.loaded is None:
        return checked
    found = check_lock(checked.loaded, checked.graph)
    graph = None if found else checked.graph
    return Checked(graph, checked.loaded, (*checked.diagnostics, *found))


def _locked_lab(checked: CheckedLab) -> CheckedLab:
    """The same for a lab."""
    from dataclasses import replace

    from manager.graph.lab_lock import check_lock

    if checked.lab is None or checked.loaded is None:
        return checked
    found = check_lock(checked.loaded, checked.lab)
    lab = None if found else checked.lab
    return replace(checked, lab=lab, diagnostics=(*checked.diagnostics, *found))


def _as_text(path: Path, checked: Checked | CheckedLab, colour: bool) -> str:
    from manager.config.diagnostics import errors, render

    wrong = len(errors(checked.diagnostics))
    warnings = len(checked.diagnostics) - wrong
    counts = [_count(wrong, "error"), _count(warnings, "warning")]
    summary = f"{path}: {', '.join(count for count in counts if count) or 'ok'}"
    report = render(checked.diagnostics, colour=colour)
    return f"{report}\n\n{summary}" if report else summary


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}" if number else ""


def _as_json(path: Path, checked: Checked | CheckedLab) -> dict[str, object]:
    from manager.config.diagnostics import to_json

    return {
        "file": str(path),
        "ok": checked.usable,
        "diagnostics": [to_json(item) for item in checked.diagnostics],
    }
