# SPDX-License-Identifier: BSD-2-Clause
"""Closing the sandbox around the process that owns machines, once everything is open."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from manager import files
from manager.sandbox.landlock import KEEP, READ, READ_FILE, REMOVE_FILE
from manager.sandbox.layers import TURNED_OFF, Layer, close_around
from manager.sandbox.reach import Reach, of_machine
from manager.storage.cache import image_cache

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from manager.vmm.owned import Owned


def enclose(all_owned: Sequence[Owned], captures: Iterable[Path] = ()) -> tuple[Layer, ...]:
    """Give up all but what these machines need, unless a file says no; which layers hold now.

    The first one's directory, or its lab's, has the process's temporary files. A rewind looks where
    to cut `captures`.
    """
    if not all(owned.launch.graph.sandbox.enabled for owned in all_owned):
        return TURNED_OFF
    reach = Reach()
    for owned in all_owned:
        reach.add(of_machine(owned.launch.graph))
        _allow_state(reach, owned)
    for capture in captures:
        reach.allow(capture, READ_FILE)
    paths = all_owned[0].directory.paths
    home = paths.lab or paths
    reach.allow(home.directory, KEEP)
    _move_temporary_files(home.directory)
    return close_around(reach)


def _allow_state(reach: Reach, owned: Owned) -> None:
    graph, source = owned.launch.graph, owned.source
    reach.allow(owned.socket.parent, REMOVE_FILE)
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


def _move_temporary_files(directory: Path) -> None:
    """The logs of a rewound machine's disks begin as nameless files: in its own directory."""
    os.environ["TMPDIR"] = os.fspath(directory)
    if (tempfile := sys.modules.get("tempfile")) is not None:
        tempfile.tempdir = None  # type: ignore[attr-defined]
