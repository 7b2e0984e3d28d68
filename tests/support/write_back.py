# SPDX-License-Identifier: BSD-2-Clause
"""A machine that has written to a disk, and a process that writes that into its image.

usage: write_back.py FILE HOME
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from manager.graph.build import load_graph
from manager.graph.nodes import Graph
from manager.machine.disks import Disks
from manager.state.directory import MachineDirectory
from manager.state.disks import MachineDisks
from manager.state.paths import MachinePaths


@contextmanager
def stopped(file: Path, home: Path) -> Iterator[tuple[Graph, MachineDisks, Disks]]:
    """The disks of a machine that does not run."""
    graph = load_graph(file)
    with MachineDirectory.take(MachinePaths.of(graph.name, home)) as directory:
        directory.lock_images(graph)
        kept = MachineDisks(directory.paths)
        disks = kept.for_boot(graph)
        assert disks is not None
        try:
            yield graph, kept, disks
        finally:
            disks.close()


def prepare(file: Path, home: Path, content: bytes) -> None:
    """The guest has written `content` to the begin of the disk: half is in a layer."""
    half = len(content) // 2
    for at, piece in ((0, content[:half]), (half, content[half:])):
        with stopped(file, home) as (_, _, disks):
            disks["root"].write(at, piece)


def finish(file: Path, home: Path) -> None:
    """Write the image."""
    with stopped(file, home) as (graph, kept, disks):
        kept.write_back(graph, disks, list(disks))


if __name__ == "__main__":
    finish(Path(sys.argv[1]), Path(sys.argv[2]))
