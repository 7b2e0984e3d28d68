# SPDX-License-Identifier: BSD-2-Clause
"""Wording of what goes wrong with a store: which one, what of it, what next."""

from __future__ import annotations

from manager.errors import HostError, NoSuchMachineError, SnapshotCorruptError

AGAIN = "nothing was counted as done; the same command goes on where this one stopped"


def damaged(place: str, fault: str) -> SnapshotCorruptError:
    """The error for content that is not what it should be."""
    return SnapshotCorruptError(
        f"{place}: {fault}",
        help="nothing of it was taken in; push the snapshot again from where it is whole",
    )


def unreachable(place: str, fault: str, help: str = AGAIN) -> HostError:
    """The error for a store that cannot be read or written."""
    return HostError(f"{place}: {fault}", help=help)


def not_there(place: str, what: str) -> NoSuchMachineError:
    """The error for a snapshot that the store does not have."""
    return NoSuchMachineError(
        f"{place}: there is no {what}", help=f"`vmmgr ls {place}` shows what there is"
    )
