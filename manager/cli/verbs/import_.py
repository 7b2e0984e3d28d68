# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr import`: a bhyve command line or configuration file as a machine file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from manager import files
from manager.errors import ExitCode, UsageError


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `import` to the command line."""
    parser = subparsers.add_parser("import")
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    argv = kinds.add_parser(
        "bhyve", help="a command line of bhyve, vmrun.sh or xhyve, in one argument"
    )
    argv.add_argument("argv", metavar="ARGV", help="such as '-c 1 -m 512M -s 0,hostbridge vm0'")
    config = kinds.add_parser("bhyve-config", help="a configuration file (bhyve -k)")
    config.add_argument("file", type=Path, metavar="FILE", help="NAME=VALUE lines; `-` for stdin")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the machine file; what it does not say goes to standard error as well."""
    from manager.interop.from_bhyve import import_argv, import_config

    if args.kind == "bhyve":
        translation = import_argv(args.argv)
    else:
        translation = import_config(_read(args.file), str(args.file))
    print(translation.text, end="")
    for line in translation.lost:
        print(f"not expressed: {line}", file=sys.stderr)
    return ExitCode.OK


def _read(path: Path) -> str:
    try:
        return sys.stdin.read(files.TEXT) if str(path) == "-" else files.read_text(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: cannot be read: it is no UTF-8 text") from None
