# SPDX-License-Identifier: BSD-2-Clause
"""Removing machines: their directories, with all that is in them."""

from __future__ import annotations

import shutil
from pathlib import Path

from manager.errors import HostError, WrongStateError
from manager.lazy import dataclass
from manager.state.lock import MachineLock
from manager.state.paths import MachinePaths, machine_names, require_no_lab, state_home
from manager.state.situation import Situation, left_behind, look

_GOING = ".going-"
"""What the name of a directory begins with that is being removed."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What would be lost with a machine."""

    snapshots: tuple[str, ...]
    """The tags of saved snapshots; neither the suspended state nor what is kept for disks."""
    is_suspended: bool
    has_disks: bool
    """Whether the guest may have written to disks."""
    size: int
    """Bytes on the host's disk."""

    @classmethod
    def of(cls, situation: Situation) -> Holdings:
        """Look into a machine's directory. Raises HostError."""
        from manager.snapshot.store import CURRENT, HEAD, Store
        from manager.state.disks import BOOT

        paths = situation.paths
        tags = Store(paths.snapshots).tags()
        own = tuple(tag for tag in tags if tag not in (CURRENT, HEAD, BOOT))
        heads = (HEAD in Store(one.snapshots).tags() for one in (paths, *paths.members()))
        size = disk_usage(paths.directory)
        return cls(own, situation.saved is not None, any(heads), size)


def disk_usage(directory: Path) -> int:
    """Bytes that a directory takes; what vanishes meanwhile does not count."""
    total = 0
    for path in directory.rglob("*"):
        try:
            total += path.lstat().st_blocks * 512
        except FileNotFoundError:
            continue
    return total


def remove(paths: MachinePaths, *, only_unused: bool = False) -> None:
    """Remove a machine that does not run, with all its states.

    With `only_unused`, one that by now holds something is left as it is.

    Raises WrongStateError while it runs, HostError when the host refuses.
    """
    require_no_lab(paths, "rm")
    if not paths.exists():
        return
    lock = MachineLock.take(paths.lock)
    if lock is None:
        raise WrongStateError(
            f"{paths.name} is running", help=f"power it off first: `vmmgr down {paths.name}`"
        )
    try:
        if only_unused and not is_unused(left_behind(paths)):
            return
        # A start that comes now makes a new directory; it finds the old one or none, never half.
        going = paths.directory.with_name(f"{_GOING}{paths.name}-{paths.directory.stat().st_ino}")
        paths.directory.rename(going)
        shutil.rmtree(going)
    except OSError as error:
        raise HostError(f"{error.filename}: cannot remove: {error.strerror}") from None
    finally:
        lock.release()


def unused() -> list[Situation]:
    """Machines that hold nothing but logs and recordings, and directories of none, by name."""
    found = [look(MachinePaths.of(name)) for name in machine_names()]
    return [situation for situation in found if is_unused(situation)]


def is_unused(situation: Situation) -> bool:
    """Whether nothing of the machine is needed to go on with it; a lab's goes with the lab."""
    return (
        situation.paths.lab is None
        and situation.state == "stopped"
        and not situation.holds_something
    )


def half_removed() -> list[Path]:
    """Directories of machines whose removal was interrupted."""
    return sorted(state_home().glob(f"{_GOING}*"))
