# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr diff`: in what two machines differ, be they files, running, suspended or snapshots."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manager.cli.arguments import add_settings, is_file, load, load_lab
from manager.cli.colour import has_colour
from manager.cli.graphs import as_text, of_running, open_graph
from manager.cli.output import print_json
from manager.errors import ExitCode, UsageError, WrongStateError
from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.graph.differences import Difference
    from manager.graph.lab import Lab
    from manager.graph.nodes import Graph
    from manager.graph.wiring import GraphDifferences


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `diff` to the command line."""
    parser = subparsers.add_parser(
        "diff",
        description="Compares any two of: a machine file, the name of a running or suspended "
        "machine, the directory of a snapshot; or two labs, each a file or the name of one that "
        "runs or is suspended. Exits with 1 when they differ.",
    )
    for name in ("a", "b"):
        parser.add_argument(name, metavar=name.upper(), help="a file, a name or a snapshot")
    parser.add_argument(
        "--guest", action="store_true", help="compare only what the guest can see, not the wiring"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_settings(parser)
    parser.set_defaults(run=run)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two that are compared."""

    label: str
    graph: Graph


def run(args: argparse.Namespace) -> int:
    """Print the differences; 1 when there are any."""
    labels, found = _compared(args)
    host = [] if args.guest else found.host
    if args.json:
        sections = {
            "guest": [_as_json(item) for item in found.guest],
            "host": [_as_json(item) for item in host],
        }
        print_json({"a": labels[0], "b": labels[1], **sections}, indented=True)
    elif found.guest or host:
        print(f"--- {labels[0]}\n+++ {labels[1]}")
        for title, items in (("what the guest sees", found.guest), ("the host's wiring", host)):
            if items:
                print(f"{title}:")
                print("\n".join(as_text(items, has_colour(sys.stdout))))
    else:
        print("no difference" if not args.guest else "no difference that the guest can see")
    return ExitCode.FAILURE if found.guest or host else ExitCode.OK


def _compared(args: argparse.Namespace) -> tuple[tuple[str, str], GraphDifferences]:
    """What the two are called, and in what they differ."""
    from manager.graph.wiring import compare, compare_labs

    labs = [_lab(name, args.settings) for name in (args.a, args.b)]
    if labs[0] is not None and labs[1] is not None:
        return (labs[0][0], labs[1][0]), compare_labs(labs[0][1], labs[1][1])
    if found := next(filter(None, labs), None):
        raise UsageError(
            f"{found[0]} is a lab, and the other is none",
            help="compare two labs, or LAB/MEMBER with a machine",
        )
    one, two = (side(name, args.settings) for name in (args.a, args.b))
    return (one.label, two.label), compare(one.graph, two.graph)


def _lab(name: str, settings: list[str]) -> tuple[str, Lab] | None:
    """What a lab is called, and the lab, where NAME is one's: a file, or one that is known."""
    from manager.config.labs import is_lab
    from manager.names import NAME
    from manager.state.paths import MachinePaths

    if is_file(name):
        return (name, load_lab(Path(name), settings)) if is_lab(Path(name)) else None
    if NAME.fullmatch(name) is None or Path(name).is_dir():
        return None
    paths = MachinePaths.of(name)
    if not paths.is_lab:
        return None
    from manager.cli.lab_graphs import of_name

    return of_name(paths)


def side(name: str, settings: list[str]) -> Side:
    """What NAME stands for. Raises VmmgrError when there is no such thing."""
    path = Path(name)
    if path.is_dir():
        return Side(f"{name} (snapshot)", open_graph(path))
    if is_file(name):
        return Side(name, load(path, settings))
    return _of_machine(name)


def _of_machine(name: str) -> Side:
    from manager.client.client import Client
    from manager.state.situation import look_existing

    found = look_existing(name)
    if found.state == "running" and found.last_run is not None:
        with Client.connect(Path(found.last_run.socket)) as client:
            return Side(f"{name} (running)", of_running(client))
    if found.saved is not None:
        return Side(f"{name} (suspended)", open_graph(found.saved.path))
    raise WrongStateError(
        f"{name} is {found.state}, so there is nothing to compare with",
        help="name its machine file instead",
    )


def _as_json(item: Difference) -> dict[str, Any]:
    return {"kind": item.kind, "subject": item.subject, "a": item.saved, "b": item.current}
