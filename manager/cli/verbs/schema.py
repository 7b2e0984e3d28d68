# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr schema`: the JSON Schema of machine files, for editors."""

from __future__ import annotations

import argparse

from manager.cli.output import print_json
from manager.errors import ExitCode


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `schema` to the command line."""
    parser = subparsers.add_parser(
        "schema",
        description="Prints the JSON Schema (draft-07) of machine files. An editor that knows "
        "TOML checks and explains a file whose first line is `#:schema PATH`.",
    )
    parser.set_defaults(run=run)


def run(_args: argparse.Namespace) -> int:
    """Print the schema."""
    from manager.config.json_schema import machine_schema

    print_json(machine_schema(), indented=True, versioned=False)
    return ExitCode.OK
