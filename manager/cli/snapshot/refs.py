# SPDX-License-Identifier: BSD-2-Clause
"""Finding the snapshot that a word on the command line means."""

from __future__ import annotations

from pathlib import Path

from manager.errors import NoSuchMachineError, UsageError, WrongStateError
from manager.lab.parts import member_tag
from manager.names import MEMBER
from manager.snapshot.store import CURRENT, Store
from manager.state.paths import MachinePaths


def store_of(name: str) -> Store:
    """The store of a machine that is known. Raises NoSuchMachineError."""
    paths = MachinePaths.of(name)
    if not paths.exists():
        raise NoSuchMachineError(
            f"there is no machine {name!r}", help="`vmmgr ls` shows those that have state"
        )
    return Store(paths.snapshots)


def split(reference: str) -> tuple[str, str] | None:
    """(machine, tag) of NAME or NAME:TAG; None for a path.

    >>> split("demo:before"), split("demo"), split("./demo")
    (('demo', 'before'), ('demo', 'current'), None)
    """
    if "/" in reference or reference in (".", ".."):
        return None
    name, _, tag = reference.partition(":")
    return name, tag or CURRENT


def find_snapshot(reference: str, *, of_labs: bool = False) -> Path:
    """The directory of a snapshot; of a lab's only where that is wanted.

    LAB/MEMBER and LAB/MEMBER:TAG are the part that a machine has in its lab's snapshot.

    Raises UsageError, NoSuchMachineError, WrongStateError, SnapshotCorruptError.
    """
    named = split(reference)
    if named is None:
        return _part_of_lab(reference) or Path(reference)
    name, tag = named
    store = store_of(name)
    if MachinePaths.of(name).is_lab and not of_labs:
        raise UsageError(
            f"{name} is a lab, and this is done to a snapshot of a machine",
            help=f"`{name}/MEMBER` is the part of a machine of it" + (tag != CURRENT) * f":{tag}",
        )
    found = store.path(tag)
    if found is not None:
        return found
    known = ", ".join(f"{name}:{other}" for other in store.tags()) or "none"
    if tag == CURRENT:
        raise WrongStateError(f"{name} has no suspended state", help=f"its snapshots: {known}")
    raise UsageError(f"there is no snapshot {reference}", help=f"those of {name}: {known}")


def find_lab(reference: str) -> tuple[MachinePaths, str] | None:
    """The lab and the tag that NAME or NAME:TAG means; None for what is no lab's.

    Raises UsageError, WrongStateError when the lab has no such snapshot.
    """
    named = split(reference)
    if named is None or not (paths := MachinePaths.of(named[0])).is_lab:
        return None
    find_snapshot(reference, of_labs=True)
    return paths, named[1]


def is_part_of_lab(reference: str) -> bool:
    """Whether it is LAB/MEMBER or LAB/MEMBER:TAG, and not a path."""
    name = reference.partition(":")[0]
    if not MEMBER.fullmatch(name) or Path(reference).exists():
        return False
    lab = MachinePaths.of(name).lab
    return lab is not None and lab.is_lab


def _part_of_lab(reference: str) -> Path | None:
    """What LAB/MEMBER or LAB/MEMBER:TAG means; None for a path."""
    if not is_part_of_lab(reference):
        return None
    name, _, tag = reference.partition(":")
    lab = MachinePaths.of(name).lab
    assert lab is not None
    store = store_of(name)
    if tag.startswith(member_tag("")) and (part := store.path(tag)) is not None:
        return part
    whole = find_snapshot(f"{lab.name}:{tag or CURRENT}", of_labs=True)
    found = store.path(member_tag(whole.name))
    if found is None:
        raise WrongStateError(f"{name} was over when {lab.name}:{tag or CURRENT} was saved")
    return found
