# SPDX-License-Identifier: BSD-2-Clause
"""What is known of a machine's disks without opening their images, be it running or not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from manager.lazy import dataclass
from manager.snapshot import runs
from manager.state.disks import MachineDisks
from manager.storage.base import BLOCK

if TYPE_CHECKING:
    from manager.graph.nodes import DiskSource
    from manager.state.paths import MachinePaths


@dataclass(frozen=True, slots=True)
class KeptDisk:
    """A disk of a machine; all sizes are in bytes."""

    source: DiskSource
    size: int
    layers: list[tuple[str, int]]
    """The object and the number of blocks of each, the newest last."""
    unsaved: int
    """What was written since the newest layer takes on the host."""
    on_disk: int
    """What the layers take on the host."""
    half_written: bool
    """Whether a process died in writing its image."""

    @property
    def written(self) -> int:
        """What the layers hold; a block that is in several counts in each."""
        return BLOCK * sum(count for _, count in self.layers)


def kept_disks(paths: MachinePaths) -> list[KeptDisk]:
    """All disks of the last run. Raises SnapshotCorruptError."""
    disks = MachineDisks(paths)
    head, graph = disks.head(), disks.graph()
    if head is None or graph is None:
        return []
    sources = {source.name: source for source in graph.disks}
    return [
        KeptDisk(
            source=sources[entry.head.id],
            size=entry.head.size,
            layers=[(layer.file, runs.count(bytes(layer.runs))) for layer in entry.layers],
            unsaved=_on_disk(disks.directory / f"{entry.head.id}.data"),
            on_disk=sum(_on_disk(head.directory / layer.file) for layer in entry.layers),
            half_written=disks.intent(entry.head.id).exists(),
        )
        for entry in head.manifest.disks
        if entry.head.id in sources
    ]


def _on_disk(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except OSError:
        return 0
