# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr config`: a machine file with `extends`, variables and defaults filled in."""

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
    """Add `config` to the command line."""
    parser = subparsers.add_parser("config")
    parser.add_argument("file", type=Path, metavar="FILE", help="a machine or lab file")
    parser.add_argument(
        "--hash",
        action="store_true",
        help="print the identity hash and the full hash instead; of a lab the identity alone",
    )
    parser.add_argument(
        "--origin", action="store_true", help="say of each value where it came from"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_settings(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the canonical TOML, or JSON, or the hashes; raises ConfigError."""
    from manager.config import emit
    from manager.config.diagnostics import ConfigError, render
    from manager.config.labs import is_lab
    from manager.graph.build import check
    from manager.graph.labs import check_lab

    kind = check_lab if is_lab(args.file) else check
    checked: Checked | CheckedLab = kind(args.file, args.settings, require_files=False)
    if not checked.usable or checked.loaded is None:
        raise ConfigError(checked.diagnostics)
    if checked.diagnostics:
        print(render(checked.diagnostics, colour=has_colour(sys.stderr)), file=sys.stderr)
    hashes = _hashes(checked)
    model = checked.loaded.model
    if args.hash and args.json:
        print_json(hashes, indented=True)
    elif args.hash:
        print("\n".join(f"{name} {digest}" for name, digest in hashes.items()))
    elif args.origin and args.json:
        origins = emit.origins_to_json(checked.loaded)
        print_json({"values": origins}, indented=True)
    elif args.origin:
        print(emit.with_origins(checked.loaded), end="")
    elif args.json:
        print_json({"config": emit.to_json(model), **hashes}, indented=True)
    else:
        print(emit.to_toml(model), end="")
    return ExitCode.OK


def _hashes(checked: Checked | CheckedLab) -> dict[str, str]:
    """What is the same of files that stand for the same."""
    from manager.graph.build import Checked
    from manager.graph.identity import full_hash, identity_hash, lab_identity_hash

    if not isinstance(checked, Checked):
        return {"identity": lab_identity_hash(checked.lab)} if checked.lab is not None else {}
    if checked.graph is None:
        return {}
    return {"identity": identity_hash(checked.graph), "full": full_hash(checked.graph)}
