# SPDX-License-Identifier: BSD-2-Clause
"""The snapshots of a lab that keeps state: manager.lab.saved in its directories."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from manager.lab.saved import LabRecord, LabSnapshot, LabStore
from manager.snapshot.check import Advance, unwatched
from manager.snapshot.read import verify_snapshot
from manager.snapshot.store import CURRENT

if TYPE_CHECKING:
    from manager.snapshot.image import Image
    from manager.state.paths import MachinePaths


def lab_store(lab: MachinePaths) -> LabStore:
    """Where its snapshots are."""
    return LabStore(lab.snapshots, lambda name: lab.member(name).snapshots, lab.name)


def commit(
    lab: MachinePaths,
    record: LabRecord,
    images: Mapping[str, Image],
    tag: str = CURRENT,
    *,
    goes_on: bool = False,
) -> tuple[Path, dict[str, Path]]:
    """Save all machines and the record, and make `tag` name that; each machine's snapshot.

    Raises HostError, VmmgrError; then `tag` names what it did before.
    """
    return lab_store(lab).commit(record, images, tag, goes_on=goes_on)


def open_lab(lab: MachinePaths, tag: str = CURRENT) -> LabSnapshot:
    """Read and check a lab's snapshot. Raises SnapshotCorruptError."""
    return lab_store(lab).open(tag)


def verify_lab(lab: MachinePaths, tag: str = CURRENT, advance: Advance = unwatched) -> LabSnapshot:
    """Check all of a lab's snapshot, RAM too. Raises SnapshotCorruptError."""
    snapshot = open_lab(lab, tag)
    for machine in snapshot.machines.values():
        verify_snapshot(machine.directory, advance)
    return snapshot
