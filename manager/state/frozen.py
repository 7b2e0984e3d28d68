# SPDX-License-Identifier: BSD-2-Clause
"""Frozen folders of shares that nothing kept lies on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from manager.errors import HostError, SnapshotCorruptError
from manager.state.paths import state_home

if TYPE_CHECKING:
    from manager.state.situation import Situation


def unused_folders(going: Sequence[Situation] = ()) -> dict[Path, int]:
    """Images of shares that no state of any machine lies on, nor any run: bytes on disk of each.

    Machines that are `going` do not count.

    A state is what has the file of a snapshot below the state directory: snapshots, machines that
    are suspended or kept ready, checkpoints, what disks hold. Raises HostError.
    """
    from manager.storage.cache import image_cache
    from manager.storage.share.unused import unused

    try:
        return unused(image_cache(), _needed([one.paths.directory for one in going]))
    except OSError as error:
        raise HostError(f"{error.filename}: {error.strerror}") from error


def remove_folder(path: Path) -> None:
    """Remove one of them, unless a machine has begun to use it. Raises HostError."""
    from manager.storage.share.unused import remove

    try:
        remove(path)
    except OSError as error:
        raise HostError(f"{path}: cannot remove: {error.strerror}") from error


def _needed(going: Sequence[Path]) -> set[bytes]:
    from manager.snapshot.read import open_snapshot
    from manager.snapshot.write import FILE_NAME

    found: set[bytes] = set()
    for path in state_home().rglob(FILE_NAME):
        if any(path.is_relative_to(directory) for directory in going):
            continue
        try:
            found |= {bytes(entry.head.base) for entry in open_snapshot(path.parent).manifest.disks}
        except SnapshotCorruptError:
            continue  # no machine can go on from it
    return found
