# SPDX-License-Identifier: BSD-2-Clause
"""The state that a suspend leaves and a resume takes: the store's `current` snapshot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from manager.errors import SnapshotCorruptError
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


def find_saved(paths: MachinePaths) -> Saved | None:
    """The machine's suspended state, if it has one, readable or not."""
    link = paths.snapshots / "current"
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

    current = Store(paths.snapshots).current()
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
    """Drop the suspended state; whether there was any. Raises HostError."""
    from manager.snapshot.store import Store

    found = find_saved(paths) is not None
    Store(paths.snapshots).discard()
    return found
