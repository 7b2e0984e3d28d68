# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr snapshot verify`, `export`, `import`, `convert`, `flatten` and `rebase`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from manager.cli.output import print_json, size
from manager.cli.progress import Progress
from manager.errors import UsageError, WrongStateError

if TYPE_CHECKING:
    from manager.snapshot.read import Snapshot


def verify(args: argparse.Namespace) -> int:
    """Carry out `snapshot verify`. Raises SnapshotCorruptError."""
    from manager.cli.snapshot.refs import find_snapshot
    from manager.snapshot import runs
    from manager.snapshot.read import verify_snapshot

    with Progress("verifying") as progress:
        checked = verify_snapshot(find_snapshot(args.path), progress.add)
    files = len(checked.manifest.objects) + 1
    if args.json:
        disks = [disk.head.id for disk in checked.manifest.disks]
        summary = {"ok": True, "files": files, "ram_bytes": checked.ram_size, "disks": disks}
        print_json(summary)
    else:
        written = sum(
            runs.size(layer.runs) for disk in checked.manifest.disks for layer in disk.layers
        )
        on_disks = f", {size(written)} written to disks" if checked.manifest.disks else ""
        ram = f"{size(checked.ram_size)} of RAM"
        print(f"{checked.directory}: ok, {files} files, {ram}{on_disks}")
    return 0


def export(args: argparse.Namespace) -> int:
    """Carry out `snapshot export`. Raises VmmgrError."""
    from manager.cli.snapshot.refs import find_snapshot
    from manager.snapshot import archive
    from manager.snapshot.read import open_snapshot

    opened = open_snapshot(find_snapshot(args.path))
    file = Path(args.file or f"{opened.header.machine}{archive.SUFFIX}")
    with Progress("exporting") as progress:
        archive.export(opened, file, progress.add)
    return _report(args, file, f"{file}: {size(file.stat().st_size)}")


def load(args: argparse.Namespace) -> int:
    """Carry out `snapshot import`. Raises VmmgrError."""
    from manager.snapshot import archive
    from manager.snapshot.store import CURRENT, Store
    from manager.state.paths import MachinePaths
    from manager.state.situation import look

    paths = MachinePaths.of(args.name)
    store, tag = Store(paths.snapshots), args.tag or CURRENT
    if tag == CURRENT and look(paths).state == "running":
        raise WrongStateError(
            f"{args.name} is running; an imported state would be lost when it ends",
            help=f"choose another name, a tag, or end it: `vmmgr down {args.name}`",
        )
    paths.make()
    if store.path(tag) is not None:
        raise UsageError(
            f"{args.name} has {'a suspended state' if tag == CURRENT else tag} already",
            help="choose another tag" if args.tag else f"name a tag, or `discard {args.name}`",
        )
    with Progress("importing") as progress:
        path = store.add(tag, lambda target: archive.unpack(Path(args.file), target, progress.add))
    name = args.name if tag == CURRENT else f"{args.name}:{tag}"
    return _report(args, path, f"{args.file} is {name} now")


def convert(args: argparse.Namespace) -> int:
    """Carry out `snapshot convert`. Raises VmmgrError."""
    from manager.cli.snapshot.refs import find_snapshot
    from manager.snapshot import archive
    from manager.snapshot.read import open_snapshot

    output = Path(args.output)
    with Progress("converting") as progress:
        if Path(args.path).is_file():
            archive.unpack(Path(args.path), output, progress.add)
        else:
            archive.export(open_snapshot(find_snapshot(args.path)), output, progress.add)
    return _report(args, output, f"{args.path} converted to {output}")


def flatten(args: argparse.Namespace) -> int:
    """Carry out `snapshot flatten`. Raises VmmgrError."""
    from manager.snapshot import rewrite

    return _rewrite(args, rewrite.flatten)


def rebase(args: argparse.Namespace) -> int:
    """Carry out `snapshot rebase`. Raises VmmgrError."""
    from manager.cli.snapshot.refs import find_snapshot
    from manager.snapshot import rewrite
    from manager.snapshot.read import open_snapshot

    onto = open_snapshot(find_snapshot(args.onto))
    return _rewrite(args, lambda opened, target: rewrite.rebase(opened, onto, target))


VERBS = {
    "verify": verify,
    "export": export,
    "import": load,
    "convert": convert,
    "flatten": flatten,
    "rebase": rebase,
}


def _rewrite(args: argparse.Namespace, write: Callable[[Snapshot, Path], None]) -> int:
    """Write a snapshot anew: to --output, or in the place of NAME:TAG."""
    from manager.cli.snapshot.refs import find_snapshot, split, store_of
    from manager.snapshot.read import open_snapshot

    opened = open_snapshot(find_snapshot(args.path))
    before = opened.ram_on_disk
    named = split(args.path)
    if args.output:
        target = Path(args.output)
        write(opened, target)
    elif named is not None:
        target = store_of(named[0]).add(named[1], lambda path: write(opened, path))
    else:
        raise UsageError(f"{args.path} is no machine's", help="say where to with --output")
    after = open_snapshot(target).ram_on_disk
    what = args.output or args.path
    text = f"{what}: RAM takes {size(after)} on disk, {size(before)} before"
    return _report(args, target, text)


def _report(args: argparse.Namespace, path: Path, text: str) -> int:
    if args.json:
        print_json({"path": str(path)})
    else:
        print(text, file=sys.stderr)
    return 0
