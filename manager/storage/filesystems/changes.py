# SPDX-License-Identifier: BSD-2-Clause
"""Which files differ between two states of a disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import field

from manager.errors import HostError
from manager.lazy import dataclass
from manager.storage.disk import Disk
from manager.storage.filesystems import ext4, fat
from manager.storage.filesystems.volume import FileChange, LimitError, Ranges, Volume, volumes

MOST_VOLUMES = 16
"""That are compared; a table of the guest's may have more, one upon the other."""
_Changed = Callable[[Volume, Volume, Ranges], Iterator[FileChange]]


@dataclass(slots=True)
class Changes:
    """What became of the files of one volume."""

    partition: int
    """As Linux counts; 0 is the whole disk."""
    format: str
    """"ext4", which stands for ext2 and ext3 too, or "fat"."""
    files: list[FileChange] = field(default_factory=list)
    """By path."""
    problem: str = ""
    """Why there are none, or not all; empty when there are."""
    help: str | None = None


def changed_files(one: Disk, other: Disk, ranges: Ranges) -> list[Changes]:
    """What differs in each volume with a file system that `ranges` touch. Raises OSError.

    A volume that only one of the disks has, or that has another place or format, is passed over.
    """
    after = {(volume.number, volume.offset): volume for volume in volumes(other)}
    found: list[Changes] = []
    for before in volumes(one):
        later = after.get((before.number, before.offset))
        if later is None or later.size != before.size or not (own := before.own(ranges)):
            continue
        if (kind := _kind(before)) and kind == _kind(later):
            if len(found) == MOST_VOLUMES:
                found.append(Changes(before.number, kind, problem="many others come before it"))
                break
            found.append(_compare(before, later, own, kind))
    return found


def _kind(volume: Volume) -> str:
    if ext4.is_ext(volume):
        return "ext4"
    return "fat" if fat.is_fat(volume) else ""


_COMPARE: dict[str, _Changed] = {"ext4": ext4.changed, "fat": fat.changed}


def _compare(before: Volume, after: Volume, ranges: Ranges, kind: str) -> Changes:
    found = Changes(before.number, kind)
    try:
        for change in _COMPARE[kind](before, after, ranges):
            found.files.append(change)
    except LimitError as error:
        found.problem = str(error)
    except HostError as error:
        found.problem, found.help = error.message, error.help
    return found
