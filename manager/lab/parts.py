# SPDX-License-Identifier: BSD-2-Clause
"""The parts of a lab's snapshot in the stores of its machines."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def member_tag(number: str) -> str:
    """What a machine's snapshot is called that belongs to a lab's snapshot of this number."""
    return f"lab-{number}"


def drop_orphans(records: Path, members: Iterable[Path]) -> None:
    """Drop from the machines' stores what was saved for snapshots whose record is not there."""
    from manager.snapshot.store import Store

    store = Store(records)
    if not store.root.is_dir():
        return
    with store.exclusive():  # what is being saved now is no orphan
        kept = {member_tag(number) for number in store.links().values()}
        for member in map(Store, members):
            for tag in member.tags():
                if tag.startswith(member_tag("")) and tag not in kept:
                    member.discard(tag)
