# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr snapshot save`, `restore`, `rm`, `clone` and `gc`: the snapshots of a machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manager.cli.output import print_json, size
from manager.errors import UsageError, WrongStateError

if TYPE_CHECKING:
    from manager.state.paths import MachinePaths


def save(args: argparse.Namespace) -> int:
    """Carry out `snapshot save`. Raises VmmgrError."""
    from manager.cli.arguments import find
    from manager.snapshot.store import CURRENT, Store, check_tag
    from manager.state.paths import require_no_lab

    if args.tag == CURRENT:
        raise UsageError(f"{CURRENT!r} is the suspended state itself", help="choose another tag")
    situation = find(args.name)
    require_no_lab(situation.paths, "snapshot save")
    name = situation.name
    if situation.state == "running":
        from manager.cli.clients import connect

        if args.tag:
            check_tag(args.tag)
        arguments = {"tag": args.tag} if args.tag else {}
        with connect(situation, timeout=None) as client:
            result = client.execute("snapshot-save", **arguments)
        links = Store(situation.paths.snapshots).links()
        saved = Path(result["snapshot"]).name
        result["tag"] = args.tag or next(tag for tag, to in links.items() if to == saved)
        text = f"{name}:{result['tag']} saved in {result['seconds'] * 1000:.0f} ms"
    else:
        result = _tag_suspended(situation.paths, args.tag)
        text = f"{name}:{result['tag']} is the suspended state of {name}"
    return _report(args, text, {"name": name, **result})


def _tag_suspended(paths: MachinePaths, tag: str | None) -> dict[str, Any]:
    from manager.snapshot.store import Store

    store = Store(paths.snapshots)
    with _owned(paths):
        current = store.current()
        if current is None:
            raise WrongStateError(f"{paths.name} has no state to save", help="boot it first")
        tag = tag or store.free_tag()
        store.tag(tag, current)
    return {"tag": tag, "snapshot": str(current)}


def restore(args: argparse.Namespace) -> int:
    """Carry out `snapshot restore`. Raises VmmgrError."""
    from manager.cli.snapshot.refs import find_snapshot, store_of
    from manager.snapshot.read import open_snapshot
    from manager.snapshot.store import CURRENT
    from manager.state.lab import open_lab
    from manager.state.last_run import read_last_run, write_last_run
    from manager.state.paths import MachinePaths, require_no_lab

    paths = MachinePaths.of(args.name)
    require_no_lab(paths, "snapshot restore")
    path = find_snapshot(f"{args.name}:{args.tag}", of_labs=True)
    if paths.is_lab:
        open_lab(paths, args.tag)
    else:
        open_snapshot(path)
    with _owned(paths):
        store_of(args.name).tag(CURRENT, path)
        record = read_last_run(paths.last_run)
        if record is not None:
            record.phase, record.fault = "suspended", None
            write_last_run(paths.last_run, record)
    text = f"{args.name} is suspended as of {args.tag}; resume it with `vmmgr resume {args.name}`"
    return _report(args, text, {"name": args.name, "tag": args.tag, "snapshot": str(path)})


def remove(args: argparse.Namespace) -> int:
    """Carry out `snapshot rm`. Raises VmmgrError."""
    from manager.cli.snapshot.refs import find_snapshot, store_of
    from manager.snapshot.store import CURRENT
    from manager.state.paths import MachinePaths, require_no_lab
    from manager.state.saved import drop_orphans

    require_no_lab(MachinePaths.of(args.name), "snapshot rm")
    if args.tag == CURRENT:
        raise UsageError(
            f"{CURRENT!r} is the suspended state", help=f"`vmmgr discard {args.name}` drops it"
        )
    store = store_of(args.name)
    if args.tag not in store.tags():
        find_snapshot(f"{args.name}:{args.tag}", of_labs=True)
    store.discard(args.tag)
    drop_orphans(MachinePaths.of(args.name))
    return _report(args, f"{args.name}:{args.tag} removed", {"name": args.name, "tag": args.tag})


def clone(args: argparse.Namespace) -> int:
    """Carry out `snapshot clone`. Raises VmmgrError."""
    from manager.cli.snapshot.refs import find_lab, find_snapshot, is_part_of_lab, split
    from manager.snapshot.read import open_snapshot
    from manager.snapshot.store import Store
    from manager.state.last_run import copied, read_last_run, write_last_run
    from manager.state.paths import MachinePaths, require_no_lab
    from manager.state.situation import look

    paths = MachinePaths.of(args.name)
    if is_part_of_lab(args.snapshot):
        require_no_lab(MachinePaths.of(args.snapshot.partition(":")[0]), "snapshot clone")
    require_no_lab(paths, "snapshot clone SNAPSHOT")
    lab = find_lab(args.snapshot)
    if paths.is_lab != (lab is not None) and (paths.is_lab or look(paths).is_known):
        kinds = ("a lab", "a machine") if lab is not None else ("a machine", "a lab")
        raise UsageError(
            f"{args.snapshot} is {kinds[0]}, and {args.name} is {kinds[1]}",
            help="choose another name",
        )
    named = split(args.snapshot)
    before = read_last_run(MachinePaths.of(named[0]).last_run) if named is not None else None
    source = find_snapshot(args.snapshot, of_labs=True)
    path = open_snapshot(source).directory if lab is None else source
    paths.make()
    with _owned(paths):
        if lab is not None:
            from manager.cli.snapshot import labs

            labs.clone(args, *lab)
        else:
            Store(paths.snapshots).clone(path)
            if before is not None:
                write_last_run(paths.last_run, copied(before, args.name))
    how = args.name if before is not None or lab is not None else "FILE"
    text = f"{args.name} is a copy of {args.snapshot}; resume it with `vmmgr resume {how}`"
    return _report(args, text, {"name": args.name, "snapshot": str(path)})


def collect(args: argparse.Namespace) -> int:
    """Carry out `snapshot gc`. Raises VmmgrError."""
    from manager.cli.snapshot.refs import store_of
    from manager.state.paths import MachinePaths, machine_names
    from manager.state.saved import drop_orphans

    names = machine_names()
    if args.name:
        store_of(args.name)
        names = [name for name in names if name == args.name or name.startswith(f"{args.name}/")]
    for name in names:
        drop_orphans(MachinePaths.of(name))
    freed = sum(store_of(name).collect() for name in names)
    return _report(args, f"{size(freed)} freed", {"freed": freed})


VERBS = {"save": save, "restore": restore, "rm": remove, "clone": clone, "gc": collect}


@contextmanager
def _owned(paths: MachinePaths) -> Iterator[None]:
    """Keep the machine from being started meanwhile. Raises WrongStateError while it runs."""
    from manager.state.lock import MachineLock

    lock = MachineLock.take(paths.lock)
    if lock is None:
        raise WrongStateError(
            f"{paths.name} is running",
            help=f"`vmmgr suspend {paths.name}` or `vmmgr down {paths.name}` comes first",
        )
    try:
        yield
    finally:
        lock.release()


def _report(args: argparse.Namespace, text: str, result: dict[str, Any]) -> int:
    if args.json:
        print_json(result)
    else:
        print(text, file=sys.stderr)
    return 0
