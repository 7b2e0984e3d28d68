# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr snapshot ls` and `vmmgr snapshot tree`."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import TYPE_CHECKING, Any

from manager.cli.output import print_json, size
from manager.text.columns import columns
from manager.text.shown import shown

if TYPE_CHECKING:
    from manager.snapshot.listing import Listed
    from manager.state.paths import MachinePaths

_HEAD = ("SNAPSHOT", "SAVED", "VIRTUAL TIME", "LOGICAL", "UNIQUE", "ON DISK", "ID", "PARENT")
_ID = 12
"""Digits of an id that are shown."""


def ls(args: argparse.Namespace) -> int:
    """Carry out `snapshot ls`. Raises VmmgrError."""
    from manager.cli.snapshot.refs import store_of
    from manager.snapshot.listing import listed, tree
    from manager.state.paths import MachinePaths, machine_names

    names = [args.name] if args.name else machine_names()
    labs = [paths for name in names if (paths := MachinePaths.of(name)).is_lab]
    found = {name: listed(store_of(name)) for name in names}
    for lab in labs:
        del found[lab.name]
    if args.json:
        snapshots = [_as_json(name, item) for name, items in found.items() for item in items]
        print_json({"snapshots": snapshots + [one for lab in labs for one in _of_lab(lab)]})
        return 0
    rows: list[tuple[str, ...]] = [_HEAD]
    for name, items in found.items():
        if args.tree or args.verb == "tree":
            rows += [_row(name, item, depth) for depth, item in tree(items)]
        else:
            rows += [_row(name, item, 0) for item in items]
    rows += [_lab_row(one) for lab in labs for one in _of_lab(lab)]
    print("\n".join(map(shown, columns(rows))))
    for items in found.values():
        for item in items:
            if item.fault:
                print(shown(f"damaged: {item.fault}"))
    return 0


VERBS = {"ls": ls, "tree": ls}


def _of_lab(lab: MachinePaths) -> list[dict[str, Any]]:
    """Snapshots of a lab as one; those of its machines are parts of them."""
    from manager.errors import SnapshotCorruptError
    from manager.snapshot.store import Store
    from manager.state.lab import open_lab

    found = []
    for tag, number in sorted(Store(lab.snapshots).links().items()):
        path = lab.snapshots / number
        known: dict[str, Any] = {"machine": lab.name, "tags": [tag], "path": str(path)}
        try:
            record = open_lab(lab, tag).record
            known |= {"saved_at": path.stat().st_mtime, "virtual_time": record.now, "fault": None}
        except SnapshotCorruptError as error:
            known |= {"saved_at": 0.0, "virtual_time": None, "fault": error.message}
        found.append(known)
    return found


def _lab_row(one: dict[str, Any]) -> tuple[str, ...]:
    (tag,) = one["tags"]
    name = one["machine"] if tag == "current" else f"{one['machine']}:{tag}"
    saved = datetime.fromtimestamp(one["saved_at"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    time = one["virtual_time"]
    return (name, saved, "damaged" if time is None else f"{time / 1e9:.3f} s", *"-" * 5)


def _row(name: str, item: Listed, depth: int) -> tuple[str, ...]:
    tags = [name if tag == "current" else f"{name}:{tag}" for tag in item.tags]
    label = "  " * max(depth - 1, 0) + ("└ " if depth else "") + ", ".join(tags)
    saved = datetime.fromtimestamp(item.saved_at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if item.snapshot is None:
        return (label, saved, "damaged", "-", size(item.unique), size(item.on_disk), "-", "-")
    seconds = f"{item.snapshot.header.virtual_time / 1e9:.3f} s"
    sizes = (size(item.logical), size(item.unique), size(item.on_disk))
    return (label, saved, seconds, *sizes, item.id[:_ID], item.parent[:_ID] or "-")


def _as_json(name: str, item: Listed) -> dict[str, Any]:
    header = item.snapshot.header if item.snapshot is not None else None
    return {
        "machine": name,
        "tags": list(item.tags),
        "path": str(item.path),
        "saved_at": item.saved_at,
        "id": item.id or None,
        "parent": item.parent or None,
        "saved_machine": header.machine if header is not None else None,
        "writer": header.writer if header is not None else None,
        "virtual_time": header.virtual_time if header is not None else None,
        "identity_hash": header.identity_hash if header is not None else None,
        "logical": item.logical,
        "unique": item.unique,
        "on_disk": item.on_disk,
        "fault": item.fault or None,
    }
