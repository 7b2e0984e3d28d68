# SPDX-License-Identifier: BSD-2-Clause
"""Closing the sandbox around the process that owns a machine, once everything is open."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from manager import files
from manager.sandbox.landlock import KEEP, READ, REMOVE_FILE
from manager.sandbox.layers import TURNED_OFF, Layer, close_around
from manager.sandbox.reach import of_machine
from manager.storage.cache import image_cache

if TYPE_CHECKING:
    from pathlib import Path

    from manager.graph.nodes import Graph
    from manager.state.paths import MachinePaths
    from manager.vmm.boot_source import BootSource


def enclose(
    graph: Graph, paths: MachinePaths, socket: Path, source: BootSource
) -> tuple[Layer, ...]:
    """Give up all but what the machine needs, unless its file says no; which layers hold now."""
    if not graph.sandbox.enabled:
        return TURNED_OFF
    reach = of_machine(graph)
    reach.allow(paths.directory, KEEP)
    reach.allow(socket.parent, REMOVE_FILE)
    if source.shelf is not None:
        with suppress(OSError):  # the cache then says so
            files.make_private(source.shelf.store.root)
        reach.allow(source.shelf.store.root, KEEP)
    if source.warm_start is not None:
        # Emptied when it is found to be damaged; its RAM is linked, for which both sides need
        # the same rights.
        reach.allow(source.warm_start.path, KEEP)
    if graph.disks:
        reach.allow(image_cache(), READ)
    if any(disk.mode == "direct" for disk in graph.disks):
        reach.allow(image_cache() / "hashes", KEEP)
    _move_temporary_files(paths.directory)
    return close_around(reach)


def _move_temporary_files(directory: Path) -> None:
    """The logs of a rewound machine's disks begin as nameless files: in its own directory."""
    os.environ["TMPDIR"] = os.fspath(directory)
    if (tempfile := sys.modules.get("tempfile")) is not None:
        tempfile.tempdir = None  # type: ignore[attr-defined]
