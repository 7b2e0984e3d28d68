# SPDX-License-Identifier: BSD-2-Clause
"""`python -m benchmarks [NAME...] [--against PAGE] [--json|--markdown|--picture FILE]`."""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import benchmarks
from benchmarks import check, host, picture, report
from benchmarks.row import FULL, Effort, Row


def discover() -> dict[str, ModuleType]:
    """Every benchmark of the package by its name."""
    found = {}
    for info in sorted(pkgutil.iter_modules(benchmarks.__path__), key=lambda info: info.name):
        if info.name != "__main__":
            module = importlib.import_module(f"benchmarks.{info.name}")
            if all(hasattr(module, part) for part in ("NAME", "PEERS", "measure")):
                found[module.NAME] = module
    return found


def measure(module: ModuleType, effort: Effort) -> list[Row]:
    """The rows of one benchmark."""
    takes_effort = bool(inspect.signature(module.measure).parameters)
    rows: list[Row] = module.measure(effort) if takes_effort else module.measure()
    return rows


def main(argv: Sequence[str]) -> int:
    """Measure, print as it goes, and write the files asked for."""
    modules = discover()
    args = _parser(modules).parse_args(argv)
    if args.list:
        for name, module in modules.items():
            print(f"{name:14} against {', '.join(module.PEERS) or 'no peer'}")
        return 0
    for name in args.names:
        if name not in modules:
            print(f"no benchmark {name!r}; there are: {', '.join(modules)}", file=sys.stderr)
            return 2
    page = check.read(args.against.read_text()) if args.against is not None else {}
    facts = host.facts() | {"effort": f"{args.rounds} rounds, scale {args.scale:g}"}
    for name, value in facts.items():
        print(f"{name:12} {value}")
    effort = Effort(args.rounds, args.scale)
    results = {}
    for name in args.names or modules:
        print(flush=True)
        results[name] = measure(modules[name], effort)
        print(report.text(name, results[name]), flush=True)
    if args.json is not None:
        args.json.write_text(json.dumps(report.plain(facts, results), indent=2) + "\n")
    if args.markdown is not None:
        args.markdown.write_text(report.markdown(facts, results))
    if args.picture is not None:
        args.picture.write_text(picture.svg(results))
    if args.against is not None:
        print(f"\nagainst {args.against}:")
        for line in list(check.slower(page, results)) or ["nothing got slower by a tenth"]:
            print(line)
    return 0


def _parser(modules: dict[str, ModuleType]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures vmmgr side by side with its peers. A peer that is not installed is "
        "reported as absent.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(modules))
    parser.add_argument("--list", action="store_true", help="name the benchmarks, measure nothing")
    parser.add_argument(
        "--against",
        type=Path,
        metavar="PAGE",
        help="name what got slower since --markdown wrote it",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every value here")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write a page here")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="also draw the ratios here")
    parser.add_argument(
        "--rounds", type=_rounds, default=FULL.rounds, metavar="N", help="repetitions [%(default)s]"
    )
    parser.add_argument(
        "--scale", type=_scale, default=FULL.scale, metavar="X",
        help="share of the full amount of work, for a quick look [%(default)s]",
    )  # fmt: skip
    return parser


def _rounds(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def _scale(text: str) -> float:
    if (value := float(text)) <= 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
