# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr resume`: go on with a suspended machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from manager.cli.arguments import add_escape, add_on_term, at_terminal
from manager.cli.guest_output import add_raw
from manager.errors import SnapshotCorruptError

if TYPE_CHECKING:
    from manager.graph.nodes import Graph
    from manager.state.situation import Situation


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "resume",
        description="Restores a suspended machine in a new process. Its state is kept until the "
        "machine is suspended again or ends. One whose machine file is not here, because it was "
        "imported, is made as it was saved.",
    )
    parser.add_argument("name", metavar="NAME|FILE", help="a machine, or its machine file")
    parser.add_argument("-d", "--detach", action="store_true", help="run it in the background")
    parser.add_argument(
        "--paused",
        action="store_true",
        help="let virtual time stand still until `vmmgr ctl NAME continue`",
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="first check all RAM against its hashes; without it that is done while the machine "
        "runs",
    )
    add_raw(parser)
    add_on_term(parser)
    add_escape(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    from manager.cli.arguments import find, load
    from manager.cli.audience import in_background, in_foreground, on_terminal
    from manager.cli.origins import origin, require_name
    from manager.cli.starts import start_of
    from manager.state.paths import require_no_lab
    from manager.vmm.launch import Launch

    situation = find(args.name)
    require_no_lab(situation.paths, "resume")
    if situation.paths.is_lab:
        from manager.cli import labs

        return labs.resume(args, situation)
    situation.require_saved()
    record, file = situation.last_run, origin(situation, args.name)
    if args.verify and situation.saved is not None:
        from manager.snapshot.read import verify_snapshot

        verify_snapshot(situation.saved.path)
    settings: list[str] = [*record.given] if record is not None else []
    if file is not None and file.exists():
        graph = load(file, settings, remember=True)
    else:
        settings = [f"name={situation.name}"]
        graph = _as_saved(situation, file)
    launch = Launch(
        graph,
        settings=settings,
        resume=True,
        detached=args.detach,
        paused=args.paused,
        raw=args.raw,
        on_term=args.on_term,
    )
    require_name(situation, file, launch.graph.name)
    if not args.detach and not at_terminal(launch.graph):
        return in_foreground(launch)
    start = start_of(launch, "resumed", attended=not args.detach)
    if not args.detach:
        return on_terminal(start, args.escape).status
    return in_background([start])


def _as_saved(situation: Situation, file: Path | None) -> Graph:
    """The graph of a machine whose file is not here: it came from another host, or is gone."""
    from dataclasses import replace

    from manager.cli.graphs import of_snapshot
    from manager.cli.origins import unmade
    from manager.state.saved import open_saved

    opened = open_saved(situation.paths)
    try:
        return replace(of_snapshot(opened), name=situation.name)
    except SnapshotCorruptError as error:
        raise unmade(situation, file, error.message) from None
