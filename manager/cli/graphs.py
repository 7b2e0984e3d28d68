# SPDX-License-Identifier: BSD-2-Clause
"""The device graphs of machines and snapshots, and their differences as text."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from manager.cli.colour import has_colour
from manager.errors import SnapshotCorruptError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from manager.client.client import Client
    from manager.graph.differences import Difference
    from manager.graph.nodes import Graph
    from manager.snapshot.read import Snapshot

_MARKS = {"missing": "-", "extra": "+", "moved": ">", "changed": "~"}
_INKS = {"missing": "\x1b[31m", "extra": "\x1b[32m", "moved": "\x1b[33m", "changed": "\x1b[33m"}


def of_snapshot(opened: Snapshot) -> Graph:
    """The graph that a snapshot was made of. Raises SnapshotCorruptError."""
    from manager.graph.plain import GraphFormatError, from_plain

    try:
        return from_plain(opened.manifest.config)
    except GraphFormatError as error:
        raise SnapshotCorruptError(
            f"{opened.file}: its configuration cannot be read: {error}",
            help=f"read it with vmmgr {opened.header.writer}",
        ) from None


def of_running(client: Client) -> Graph:
    """The graph of the machine at the other end."""
    from manager.graph.plain import from_plain

    return from_plain(client.execute("query-graph")["graph"])


def changed_since(graph: Graph, client: Client) -> list[str]:
    """In what a machine file differs from the machine that runs, a line each."""
    from manager.graph.boot_files import boot_files
    from manager.graph.plain import from_plain
    from manager.graph.wiring import compare
    from manager.machine.boot_images import of_file

    answer = client.execute("query-graph")
    found = compare(from_plain(answer["graph"]), graph)
    lines = list(as_text([*found.guest, *found.host], has_colour(sys.stderr)))
    for key, path in boot_files(graph.boot).items():
        booted = answer.get("images", {}).get(key)
        if booted is not None and path.is_file() and of_file(path) != booted:
            lines.append(f"  ~ boot.{key}: the content of {path} has changed")
    return lines


def as_text(items: Iterable[Difference], colour: bool) -> Iterator[str]:
    """A line for each difference."""
    for item in items:
        if item.kind == "changed":
            before, after = item.values()
            text = f"{item.subject}: {before} -> {after}"
        elif item.kind == "moved":
            text = f"{item.subject} moved to {item.current}"
        else:
            text = item.subject
        ink, end = (_INKS[item.kind], "\x1b[0m") if colour else ("", "")
        yield f"  {ink}{_MARKS[item.kind]} {text}{end}"


def open_graph(directory: Path) -> Graph:
    """The graph of the snapshot in a directory. Raises SnapshotCorruptError."""
    from manager.snapshot.read import open_snapshot

    return of_snapshot(open_snapshot(directory))
