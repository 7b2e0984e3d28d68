# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr new`: a commented machine or lab file to start from."""

from __future__ import annotations

import argparse
from pathlib import Path

from manager.errors import ExitCode, HostError, UsageError


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `new` to the command line."""
    from manager.config.starters import TEMPLATES

    kinds = "; ".join(f"{name}: {what}" for name, what in TEMPLATES.items())
    parser = subparsers.add_parser("new")
    parser.add_argument("name", metavar="NAME", help="the machine's name; the file is NAME.toml")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--template", choices=tuple(TEMPLATES), default="minimal", help=kinds)
    what.add_argument(
        "--lab", action="store_true", help="two machines that greet each other over a link"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write NAME.toml, and what it boots if it brings that; nothing is overwritten."""
    from manager.config.starters import greeting_guest, starter, starting_lab
    from manager.names import NAME, NAME_HELP, name_like

    folder, name = Path(args.name).parent, Path(args.name).name.removesuffix(".toml")
    if NAME.fullmatch(name) is None:
        raise UsageError(
            f"{name!r} is not a name for a {'lab' if args.lab else 'machine'}",
            help=f"`{name_like(name)}` would be one; {NAME_HELP}",
        )
    if args.lab:
        contents = {folder / file: data for file, data in starting_lab(name).items()}
    else:
        contents = {folder / f"{name}.toml": starter(args.template, name).encode()}
        if args.template == "minimal":
            contents[folder / f"{name}.bin"] = greeting_guest(name)
    for path in contents:
        if path.exists():
            raise UsageError(f"{path} is there already", help="choose another name")
    for path, data in contents.items():
        try:
            path.write_bytes(data)
        except OSError as error:
            raise HostError(f"{path}: cannot write: {error.strerror}") from None
        print(f"{path}: written")
    return ExitCode.OK
