# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr schema`: the JSON Schema of machine files and of lab files, for editors."""

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
    parser.add_argument("--lab", action="store_true", help="that of lab files")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the schema."""
    from manager.config.json_schema import lab_schema, machine_schema

    schema = lab_schema() if args.lab else machine_schema()
    print_json(schema, indented=True, versioned=False)
    return ExitCode.OK
