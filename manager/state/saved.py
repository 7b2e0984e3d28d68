# SPDX-License-Identifier: BSD-2-Clause
"""The state that a suspend leaves and a resume takes: the store's `current` snapshot.

That of a lab's machine is the one that the lab's own state was made with, which its number tells.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from manager.errors import SnapshotCorruptError
from manager.lab import parts
from manager.lab.parts import member_tag
from manager.lazy import dataclass
from manager.state.paths import MachinePaths

if TYPE_CHECKING:
    from manager.machine.machine import Machine
    from manager.snapshot.read import Snapshot


@dataclass(frozen=True, slots=True)
class Saved:
    """A suspended state."""

    path: Path
    at: float
    """The host's time of the suspend, in seconds since 1970; 0 when the state has gone."""

    @property
    def size(self) -> int:
        """Bytes it takes on disk; blocks that it shares with other snapshots count too."""
        try:
            return sum(entry.lstat().st_blocks * 512 for entry in self.path.iterdir())
        except OSError:  # what should be a snapshot is none
            return 0


def _saved_tag(paths: MachinePaths) -> str:
    """What the suspended state is called."""
    if (lab := paths.lab) is None:
        return "current"
    try:
        return member_tag(str((lab.snapshots / "current").readlink()))
    except OSError:
        return member_tag("none")


def find_saved(paths: MachinePaths) -> Saved | None:
    """The machine's suspended state, if it has one, readable or not."""
    link = paths.snapshots / _saved_tag(paths)
    if not link.is_symlink():
        return None
    try:
        path = link.parent / link.readlink()
        return Saved(path, path.stat().st_mtime)
    except OSError:
        return Saved(link, 0.0)


def open_saved(paths: MachinePaths) -> Snapshot:
    """Open and check the suspended state. Raises SnapshotCorruptError."""
    from manager.snapshot.read import open_snapshot
    from manager.snapshot.store import Store

    current = Store(paths.snapshots).path(_saved_tag(paths))
    if current is None:
        raise SnapshotCorruptError(f"{paths.snapshots}: the suspended state is gone")
    return open_snapshot(current)


def save(paths: MachinePaths, machine: Machine) -> Saved:
    """Make the machine's present state the suspended one; durable once this returns.

    Raises VmmgrError, and then the state before is still there.
    """
    from manager.snapshot.store import Store

    path = Store(paths.snapshots).commit(machine.run_to_image())
    return Saved(path, path.stat().st_mtime)


def discard_saved(paths: MachinePaths) -> bool:
    """Drop the suspended state; whether there was any. Raises HostError.

    A lab's goes with those of its machines, and none of those goes alone.
    """
    from manager.snapshot.store import Store

    if paths.lab is not None:
        return False
    found = find_saved(paths) is not None
    Store(paths.snapshots).discard()
    drop_orphans(paths)
    return found


def drop_orphans(lab: MachinePaths) -> None:
    """Drop what the machines of a lab saved for snapshots of it that are not there."""
    if lab.is_lab:
        parts.drop_orphans(lab.snapshots, [member.snapshots for member in lab.members()])
