# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr plan`: the machine that a file stands for, down to ports and interrupts."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from manager import files
from manager.cli.arguments import add_settings, load, load_lab
from manager.cli.output import print_json
from manager.errors import ExitCode, HostError

if TYPE_CHECKING:
    from manager.graph.nodes import Graph


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `plan` to the command line."""
    parser = subparsers.add_parser("plan")
    parser.add_argument("file", type=Path, metavar="FILE", help="a machine or lab file")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--lock",
        action="store_true",
        help="write NAME.lock next to the file: what the guest sees, for `validate --locked`",
    )
    add_settings(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the plan; raises ConfigError."""
    from manager.config.labs import is_lab
    from manager.graph import plan

    if is_lab(args.file):
        return _plan_lab(args)
    graph = load(args.file, args.settings)
    if args.lock:
        from manager.graph.lock import lock_path, lock_text

        _write_lock(lock_path(graph), lock_text(graph))
        return ExitCode.OK
    protocol = _protocol(graph)
    if args.json:
        print_json(plan.to_json(graph, protocol), indented=True)
    else:
        print(plan.render(graph, protocol))
    return ExitCode.OK


def _plan_lab(args: argparse.Namespace) -> int:
    from manager.graph import lab_plan

    lab = load_lab(args.file, args.settings)
    if args.lock:
        from manager.graph.lab_lock import lock_path, lock_text

        _write_lock(lock_path(lab), lock_text(lab))
        return ExitCode.OK
    if args.json:
        print_json(lab_plan.to_json(lab), indented=True)
    else:
        print(lab_plan.render(lab))
    return ExitCode.OK


def _protocol(graph: Graph) -> str | None:
    """How the kernel will be entered; None where there is no kernel, or none to be read yet."""
    from manager.boot import loader
    from manager.boot.errors import BootImageError
    from manager.graph.nodes import KernelBoot

    if not isinstance(graph.boot, KernelBoot) or not graph.boot.kernel.exists():
        return None
    try:
        return loader.protocol_of(graph.boot).value
    except BootImageError as error:
        print(f"vmmgr: {error}", file=sys.stderr)
        return None


def _write_lock(path: Path, text: str) -> None:
    from manager.config.files import show_path

    try:
        changed = not path.exists() or files.read_text(path) != text
        if changed:
            path.write_text(text)
    except (OSError, UnicodeDecodeError) as error:
        raise HostError(f"{path}: cannot write the lock file: {error}") from None
    print(f"{show_path(path)}: {'written' if changed else 'up to date'}")
