# SPDX-License-Identifier: BSD-2-Clause
"""The same snapshot, RAM and disks stored otherwise; every chunk stays as it is, known or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from manager.errors import SnapshotMismatchError
from manager.snapshot.backing import Backing, NoTracker
from manager.snapshot.image import RamRegion
from manager.snapshot.read import Snapshot
from manager.snapshot.save_disks import SavedDisks
from manager.snapshot.save_ram import SavedRam
from manager.snapshot.write import assemble, building, write_state


def flatten(snapshot: Snapshot, directory: Path) -> None:
    """Write `snapshot` to `directory` without deltas. Its RAM is checked on the way.

    Raises SnapshotCorruptError, HostError.
    """
    _rewrite(snapshot, directory, None)


def rebase(snapshot: Snapshot, onto: Snapshot, directory: Path) -> None:
    """Write `snapshot` to `directory`, sharing the bases of `onto`: only what differs is stored.

    Where too much differs RAM is stored whole. The RAM of both is checked on the way. Raises
    SnapshotMismatchError when their RAM is laid out otherwise, SnapshotCorruptError, HostError.
    """
    if _layout(snapshot) != _layout(onto):
        raise SnapshotMismatchError(
            f"{snapshot.file}: its RAM is not laid out as that of {onto.file}",
            help="only snapshots of machines with equal memory can share RAM",
        )
    onto.verify_ram()
    _rewrite(snapshot, directory, onto)


def _layout(snapshot: Snapshot) -> list[tuple[int, int]]:
    return [(entry.base, entry.length) for entry in snapshot.manifest.ram]


def _rewrite(snapshot: Snapshot, directory: Path, onto: Snapshot | None) -> None:
    snapshot.verify_ram()
    regions = []
    for index, (base, memory) in enumerate(snapshot.map_ram()):
        memory.backing = None
        if onto is not None:
            entry = onto.manifest.ram[index]
            objects = {item.file: item for item in onto.manifest.objects}
            backing = Backing(
                onto.directory, onto.id, objects[entry.file], entry.offset, NoTracker()
            )
            memory.backing = backing
        regions.append(RamRegion(base, memory))
    payloads = [snapshot.payload(entry) for entry in snapshot.manifest.chunks]
    with building(directory) as temp:
        saved = SavedRam.write(regions, temp)
        disks = SavedDisks.copy(snapshot.directory, snapshot.manifest, temp)
        found = list({**saved.objects, **disks.objects}.values())
        manifest = replace(snapshot.manifest, objects=found, ram=saved.entries, disks=disks.entries)
        write_state(temp, assemble(manifest, payloads).file)
