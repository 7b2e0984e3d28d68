# SPDX-License-Identifier: BSD-2-Clause
"""What a store holds: each snapshot with its names, time, sizes and parent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from manager.errors import SnapshotCorruptError
from manager.lazy import dataclass
from manager.snapshot.read import Snapshot, open_snapshot
from manager.snapshot.store import Store, unique_bytes


@dataclass(frozen=True, slots=True)
class Listed:
    """One snapshot of a store."""

    path: Path
    tags: tuple[str, ...]
    saved_at: float
    """The host's time, in seconds since 1970; 0 when unknown."""
    on_disk: int
    """Bytes of all its files, shared or not."""
    unique: int
    """Bytes that removing it would free."""
    snapshot: Snapshot | None
    fault: str
    """Why it cannot be opened, or an empty string."""

    @property
    def id(self) -> str:
        """The hash that stands for it, in hex; empty when it cannot be opened."""
        return self.snapshot.id.hex() if self.snapshot is not None else ""

    @property
    def parent(self) -> str:
        """The id of the snapshot that the machine had gone on from, or an empty string."""
        parents = self.snapshot.manifest.parents if self.snapshot is not None else []
        return parents[0].id.hex() if parents else ""

    @property
    def logical(self) -> int:
        """Bytes of the saved machine: RAM and state."""
        return self.snapshot.ram_size + len(self.snapshot.data) if self.snapshot else 0


def listed(store: Store) -> list[Listed]:
    """All snapshots that a tag names, oldest first."""
    names: dict[str, list[str]] = {}
    for tag, target in store.links().items():
        names.setdefault(target, []).append(tag)
    return [_look(store.root / name, sorted(names[name])) for name in sorted(names)]


def _look(path: Path, tags: Sequence[str]) -> Listed:
    snapshot, fault, saved_at, on_disk, unique = None, "", 0.0, 0, 0
    try:
        snapshot = open_snapshot(path)
    except SnapshotCorruptError as error:
        fault = error.message
    try:
        on_disk = sum(entry.lstat().st_blocks * 512 for entry in path.iterdir())
        unique = unique_bytes(path)
        saved_at = path.stat().st_mtime
    except OSError as error:
        fault = fault or f"{path}: {error.strerror}"
    return Listed(path, tuple(tags), saved_at, on_disk, unique, snapshot, fault)


def tree(found: Sequence[Listed]) -> Iterator[tuple[int, Listed]]:
    """Each snapshot after its parent, with its depth; one whose parent is gone is a root."""
    children: dict[str, list[Listed]] = {}
    known = {item.id for item in found if item.id}
    for item in found:
        children.setdefault(item.parent if item.parent in known else "", []).append(item)
    waiting = [(0, item) for item in reversed(children.get("", []))]
    while waiting:
        depth, item = waiting.pop()
        yield depth, item
        if item.id:
            waiting += [(depth + 1, child) for child in reversed(children.pop(item.id, []))]
