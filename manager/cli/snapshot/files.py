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
    from manager.snapshot.check import Advance
    from manager.snapshot.read import Snapshot
    from manager.state.paths import MachinePaths


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
    from manager.cli.snapshot.refs import find_lab, find_snapshot
    from manager.snapshot import archive
    from manager.snapshot.read import open_snapshot

    if (lab := find_lab(args.path)) is not None:
        from manager.cli.snapshot import labs

        file = Path(args.file or f"{lab[0].name}{archive.SUFFIX}")
        labs.export(*lab, file)
    else:
        opened = open_snapshot(find_snapshot(args.path))
        name = opened.header.machine.replace("/", "-")  # that of a machine of a lab has one
        file = Path(args.file or f"{name}{archive.SUFFIX}")
        with Progress("exporting") as progress:
            archive.export(opened, file, progress.add)
    return _report(args, file, f"{file}: {size(file.stat().st_size)}")


def load(args: argparse.Namespace) -> int:
    """Carry out `snapshot import`. Raises VmmgrError."""
    from manager.snapshot.store import CURRENT, Store
    from manager.state.lab_moves import is_lab_archive
    from manager.state.paths import MachinePaths, require_no_lab
    from manager.state.removal import remove
    from manager.state.situation import look

    paths, file = MachinePaths.of(args.name), Path(args.file)
    require_no_lab(paths, "snapshot import FILE")
    tag, holds_lab = args.tag or CURRENT, is_lab_archive(file)
    is_new = not paths.exists()
    if not is_new and paths.is_lab != holds_lab and (paths.is_lab or look(paths).is_known):
        kinds = ("a lab", "a machine") if holds_lab else ("a machine", "a lab")
        raise UsageError(
            f"{file} holds {kinds[0]}, and {args.name} is {kinds[1]}", help="choose another name"
        )
    if tag == CURRENT and look(paths).state == "running":
        raise WrongStateError(
            f"{args.name} is running; an imported state would be lost when it ends",
            help=f"choose another name, a tag, or end it: `vmmgr down {args.name}`",
        )
    paths.make()
    if Store(paths.snapshots).path(tag) is not None:
        raise UsageError(
            f"{args.name} has {'a suspended state' if tag == CURRENT else tag} already",
            help="choose another tag" if args.tag else f"name a tag, or `discard {args.name}`",
        )
    try:
        with Progress("importing") as progress:
            path = _take_in(file, paths, tag, progress.add, holds_lab=holds_lab)
    except BaseException:
        if is_new:
            remove(paths, only_unused=True)
        raise
    name = args.name if tag == CURRENT else f"{args.name}:{tag}"
    return _report(args, path, f"{args.file} is {name} now")


def _take_in(
    file: Path, paths: MachinePaths, tag: str, advance: Advance, *, holds_lab: bool
) -> Path:
    """Make what is in an archive the snapshot `tag`; where it is. Raises VmmgrError."""
    from manager.snapshot import archive
    from manager.snapshot.store import Store
    from manager.state.lab_moves import import_lab

    if holds_lab:
        return import_lab(file, paths, tag, advance)
    return Store(paths.snapshots).add(tag, lambda target: archive.unpack(file, target, advance))


def convert(args: argparse.Namespace) -> int:
    """Carry out `snapshot convert`. Raises VmmgrError."""
    from manager.cli.snapshot.refs import find_lab, find_snapshot
    from manager.snapshot import archive
    from manager.snapshot.read import open_snapshot
    from manager.state.lab_moves import is_lab_archive

    output, file = Path(args.output), Path(args.path)
    if not file.is_file() and (lab := find_lab(args.path)) is not None:
        from manager.cli.snapshot import labs

        labs.export(*lab, output)
    elif not file.is_file():
        with Progress("converting") as progress:
            archive.export(open_snapshot(find_snapshot(args.path)), output, progress.add)
    elif is_lab_archive(file):
        raise UsageError(
            f"{file} holds a lab, which is not one directory",
            help=f"take it in: `vmmgr snapshot import {file} NAME`",
        )
    else:
        with Progress("converting") as progress:
            archive.unpack(file, output, progress.add)
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
    from manager.cli.snapshot.refs import find_snapshot, is_part_of_lab, split, store_of
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
        whose = "part of a lab's" if is_part_of_lab(args.path) else "no machine's"
        raise UsageError(f"{args.path} is {whose}", help="say where to with --output")
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
