# SPDX-License-Identifier: BSD-2-Clause
"""Finding the snapshot that a word on the command line means."""

from __future__ import annotations

from pathlib import Path

from manager.errors import NoSuchMachineError, UsageError, WrongStateError
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

    Raises UsageError, NoSuchMachineError, WrongStateError.
    """
    named = split(reference)
    if named is None:
        return Path(reference)
    name, tag = named
    store = store_of(name)
    if MachinePaths.of(name).is_lab and not of_labs:
        raise UsageError(
            f"{name} is a lab, and this is done to a snapshot of a machine",
            help="`snapshot save`, `ls`, `restore` and `rm` are for labs too",
        )
    found = store.path(tag)
    if found is not None:
        return found
    known = ", ".join(f"{name}:{other}" for other in store.tags()) or "none"
    if tag == CURRENT:
        raise WrongStateError(f"{name} has no suspended state", help=f"its snapshots: {known}")
    raise UsageError(f"there is no snapshot {reference}", help=f"those of {name}: {known}")
