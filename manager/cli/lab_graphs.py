# SPDX-License-Identifier: BSD-2-Clause
"""The graphs of labs: of those that run or are suspended, and what has changed since."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from manager.cli.colour import has_colour
from manager.cli.graphs import as_text
from manager.errors import SnapshotCorruptError, WrongStateError

if TYPE_CHECKING:
    from pathlib import Path

    from manager.client.client import Client
    from manager.graph.lab import Lab
    from manager.state.paths import MachinePaths


def of_running(client: Client, name: str) -> Lab:
    """The lab at the other end."""
    from manager.graph.lab_plain import from_plain

    return from_plain(client.execute("query-graph")["lab"], name)


def of_saved(paths: MachinePaths) -> Lab:
    """The lab that a suspended state was made of. Raises SnapshotCorruptError."""
    from manager.graph.lab_plain import from_plain
    from manager.graph.plain import GraphFormatError
    from manager.state.lab import open_lab

    opened = open_lab(paths)
    try:
        return from_plain(opened.record.config, paths.name)
    except GraphFormatError as error:
        raise SnapshotCorruptError(
            f"{opened.directory}: its configuration cannot be read: {error}",
            help="name its lab file instead",
        ) from None


def of_name(paths: MachinePaths) -> tuple[str, Lab]:
    """What a known lab is called now, and the lab. Raises VmmgrError."""
    from manager.cli.clients import connect
    from manager.state.situation import look

    situation = look(paths)
    if situation.state == "running":
        with connect(situation, timeout=None) as client:
            return f"{paths.name} (running)", of_running(client, paths.name)
    if situation.saved is not None:
        return f"{paths.name} (suspended)", of_saved(paths)
    raise WrongStateError(
        f"{paths.name} is {situation.state}, so there is nothing to compare with",
        help="name its lab file instead",
    )


def changed_since(lab: Lab, client: Client) -> list[str]:
    """In what a lab file, or one of its machines', differs from the lab that runs, a line each."""
    from manager.graph.lab_plain import from_plain
    from manager.graph.wiring import compare_labs

    answer = client.execute("query-graph")
    found = compare_labs(from_plain(answer["lab"], lab.name), lab)
    lines = list(as_text([*found.guest, *found.host], has_colour(sys.stderr)))
    for name, booted in answer["images"].items():
        if name in lab.members:
            lines += _changed_files(name, lab, booted)
    return lines


def _changed_files(name: str, lab: Lab, booted: dict[str, str]) -> list[str]:
    from manager.graph.boot_files import boot_files
    from manager.machine.boot_images import of_file

    files: dict[str, Path] = boot_files(lab.members[name].boot)
    return [
        f"  ~ {name}: boot.{key}: the content of {path} has changed"
        for key, path in files.items()
        if key in booted and path.is_file() and of_file(path) != booted[key]
    ]
