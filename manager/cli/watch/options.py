# SPDX-License-Identifier: BSD-2-Clause
"""`--watch` and what belongs to it."""

from __future__ import annotations

import argparse
from pathlib import Path

from manager.errors import UsageError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add `--watch` and what belongs to it."""
    parser.add_argument(
        "--watch",
        action="store_true",
        help="boot it anew when its machine file, or the content of what it boots from, changes; "
        "the console stays, and a machine that ended waits for the next change",
    )
    parser.add_argument(
        "--rebuild",
        metavar="CMD",
        help="with --watch: the command that makes what it boots from; it runs before the first "
        "boot and when a source changes, and where it fails the machine is left as it is",
    )
    parser.add_argument(
        "--sources",
        metavar="DIR",
        type=Path,
        action="append",
        default=[],
        help="with --rebuild: a folder of sources, may be given again [the machine file's folder]",
    )


def check(args: argparse.Namespace, count: int) -> None:
    """Raise UsageError for options that do not go together."""
    if not args.watch and (args.rebuild is not None or args.sources):
        raise UsageError("--rebuild and --sources need --watch")
    if args.sources and args.rebuild is None:
        raise UsageError("--sources needs --rebuild", help="what it boots from is watched anyway")
    if not args.watch:
        return
    if args.detach or args.json or args.dry_run:
        raise UsageError("--watch stays at the console: it goes with no -d, --json and --dry-run")
    if count > 1:
        raise UsageError("--watch is for one machine")
    for folder in args.sources:
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder of sources")
