# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr export`: a machine file as a command line of bhyve or QEMU."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from manager.cli.arguments import add_settings, load
from manager.errors import ExitCode


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `export` to the command line."""
    parser = subparsers.add_parser("export")
    parser.add_argument("file", type=Path, metavar="FILE", help="a machine file")
    parser.add_argument(
        "--to", choices=("bhyve", "bhyve-config", "qemu"), required=True, help="for which program"
    )
    add_settings(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the other program's text; what it does not say goes to standard error as well."""
    from manager.interop import to_bhyve, to_qemu

    exporters = {
        "bhyve": to_bhyve.export_argv,
        "bhyve-config": to_bhyve.export_config,
        "qemu": to_qemu.export,
    }
    translation = exporters[args.to](load(args.file, args.settings))
    print(translation.text, end="")
    for line in translation.lost:
        print(f"not expressed: {line}", file=sys.stderr)
    return ExitCode.OK
