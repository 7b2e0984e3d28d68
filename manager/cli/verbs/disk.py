# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr disk`: what a machine's disks hold over their images, and images of it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manager.cli.output import print_json, size
from manager.errors import UsageError, WrongStateError
from manager.text.shown import shown

if TYPE_CHECKING:
    from manager.graph.nodes import DiskSource, Graph
    from manager.state.disks import MachineDisks
    from manager.state.kept_disks import KeptDisk
    from manager.state.situation import Situation

_HEAD = ("MACHINE", "DISK", "SIZE", "WRITTEN", "ON DISK", "LAYERS", "BEGINS WITH")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `disk` and its verbs to the command line."""
    parser = subparsers.add_parser(
        "disk",
        description="What a guest writes to a disk goes to layers over the image, which stays as "
        "it is. These commands show them, and make images of them.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    listing = verbs.add_parser("ls", help="list the disks of machines")
    listing.add_argument("name", nargs="?", metavar="NAME", help="default: every machine")
    show = verbs.add_parser("show", help="print what a machine's disks hold, layer by layer")
    commit = verbs.add_parser(
        "commit", help="write what a disk holds into a copy of its image, or into the image"
    )
    export = verbs.add_parser("export", help="write a disk to an image of its own")
    reset = verbs.add_parser("reset", help="forget what was written: the disk begins anew")
    for verb in (show, commit, export, reset):
        verb.add_argument("name", metavar="NAME", help="a machine, or its machine file")
    for verb in (commit, export):
        verb.add_argument("disk", metavar="DISK", help="its name in `[disks]`")
    for verb in (show, reset):
        verb.add_argument("disk", nargs="?", metavar="DISK", help="default: all of them")
    export.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    target = commit.add_mutually_exclusive_group(required=True)
    target.add_argument("-o", "--output", type=Path, metavar="FILE", help="the copy")
    target.add_argument("--image", action="store_true", help="write the image itself")
    commit.add_argument(
        "--force",
        action="store_true",
        help="with --image: though snapshots need the image as it is, and will be of no use",
    )
    new = verbs.add_parser("new", help="make an image: empty, or of a folder")
    new.add_argument("file", type=Path, metavar="FILE")
    new.add_argument("size", nargs="?", metavar="SIZE", help="such as 1G; not needed for a folder")
    new.add_argument("--folder", type=Path, metavar="FOLDER", help="what it begins with")
    new.add_argument("--format", choices=("ext4", "fat", "iso"), help="of the folder's image")
    for verb in (listing, show, commit, export, reset, new):
        verb.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out one verb. Raises VmmgrError."""
    return {
        "ls": _ls,
        "show": _show,
        "commit": _commit,
        "export": _export,
        "reset": _reset,
        "new": _new,
    }[args.verb](args)


# -- looking --------------------------------------------------------------------------------------


def _ls(args: argparse.Namespace) -> int:
    from manager.cli.arguments import find_machine
    from manager.state.kept_disks import kept_disks
    from manager.state.paths import MachinePaths, machine_names

    paths = (
        [find_machine(args.name).paths]
        if args.name
        else [MachinePaths.of(n) for n in machine_names()]
    )
    found = [(item.name, disk) for item in paths for disk in kept_disks(item)]
    if args.json:
        print_json({"disks": [_as_json(*item) for item in found]})
        return 0
    rows = [_HEAD, *(_row(*item) for item in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print(shown("  ".join(cells).rstrip()))
    return 0


def _row(machine: str, disk: KeptDisk) -> tuple[str, ...]:
    return (
        machine,
        disk.source.name,
        size(disk.size),
        size(disk.written + disk.unsaved),
        size(disk.on_disk + disk.unsaved),
        str(len(disk.layers)),
        _begins_with(disk.source),
    )


def _begins_with(source: DiskSource) -> str:
    if source.folder is not None:
        return f"{source.folder} as {source.format}"
    return str(source.image) if source.image is not None else "nothing"


def _as_json(machine: str, disk: KeptDisk) -> dict[str, Any]:
    source = disk.source
    return {
        "machine": machine,
        "disk": source.name,
        "mode": source.mode,
        "image": str(source.image) if source.image is not None else None,
        "folder": str(source.folder) if source.folder is not None else None,
        "size": disk.size,
        "written": disk.written,
        "unsaved": disk.unsaved,
        "on_disk": disk.on_disk,
        "layers": [{"object": name, "blocks": count} for name, count in disk.layers],
        "half_written": disk.half_written,
    }


def _show(args: argparse.Namespace) -> int:
    from manager.cli.arguments import find_machine
    from manager.state.kept_disks import kept_disks
    from manager.storage.base import BLOCK

    situation = find_machine(args.name)
    kept = kept_disks(situation.paths)
    if args.disk is not None:
        kept = [disk for disk in kept if disk.source.name == args.disk]
    if not kept:
        raise _no_disk(situation.name, args.disk)
    if args.json:
        print_json({"disks": [_as_json(situation.name, disk) for disk in kept]})
        return 0
    for disk in kept:
        print(shown(f"{disk.source.name}: {size(disk.size)}, {disk.source.mode}"))
        print(shown(f"  begins with  {_begins_with(disk.source)}"))
        for name, count in disk.layers:
            print(shown(f"  layer        {size(count * BLOCK)} in {name}"))
        print(f"  since then   {size(disk.unsaved)}")
        if disk.half_written:
            print(
                f"  the image is half written: `vmmgr up` or `disk commit` of {args.name} goes on"
            )
    return 0


def _no_disk(machine: str, disk: str | None) -> UsageError:
    what = f'disk "{disk}"' if disk is not None else "disks"
    return UsageError(f"{machine} has no {what}", help=f"`vmmgr disk ls {machine}` shows them all")


# -- images of it ---------------------------------------------------------------------------------


@contextmanager
def _stopped(situation: Situation, name: str) -> Iterator[tuple[Graph, MachineDisks, DiskSource]]:
    """A disk of a machine that does not run meanwhile. Raises VmmgrError."""
    from manager.state.disks import MachineDisks
    from manager.state.lock import MachineLock

    lock = MachineLock.take(situation.paths.lock)
    if lock is None:
        raise _is_running(situation.name, name)
    try:
        kept = MachineDisks(situation.paths)
        graph = kept.graph()
        sources = graph.disks if graph is not None else ()
        source = next((one for one in sources if one.name == name), None)
        if graph is None or source is None:
            raise _no_disk(situation.name, name)
        yield graph, kept, source
    finally:
        lock.release()


def _is_running(machine: str, disk: str) -> WrongStateError:
    return WrongStateError(
        f"{machine} is running",
        help=f"`vmmgr down {machine}` comes first; or, while it runs: `vmmgr snapshot save "
        f"{machine} now`, then `vmmgr snapshot disk {machine}:now {disk} -o FILE`",
    )


def _export(args: argparse.Namespace) -> int:
    from manager.cli.arguments import find_machine
    from manager.storage.export import export, refuse_existing

    refuse_existing(args.output)
    situation = find_machine(args.name)
    with (
        _stopped(situation, args.disk) as (graph, kept, _),
        closing(kept.open(graph)) as disks,
    ):
        export(disks[args.disk], args.output)
    text = f"{args.output}: {_file_size(args.output)}"
    return _report(args, text, {"name": situation.name, "disk": args.disk, "file": args.output})


def _commit(args: argparse.Namespace) -> int:
    from manager.cli.arguments import find_machine
    from manager.storage.locked import ImageLock

    if args.output is not None:
        return _export(args)
    situation = find_machine(args.name)
    name = situation.name
    with _stopped(situation, args.disk) as (graph, kept, source):
        if source.image is None:
            raise UsageError(
                f'disk "{args.disk}" has no image to write',
                help=f"`vmmgr disk export {name} {args.disk} -o FILE` makes one",
            )
        if situation.state == "suspended":
            raise WrongStateError(
                f"{name} is suspended, and its state needs {source.image} as it is",
                help=f"resume it and power it off, or `vmmgr discard {name}`; "
                "with -o FILE a copy is written",
            )
        lock = ImageLock(source.image, to_write=True)
        with closing(kept.open(graph)) as disks:
            tags = kept.needed_by(disks[args.disk], args.disk)
            if tags and not args.force:
                raise WrongStateError(
                    f"snapshots of {name} need {source.image} as it is: {', '.join(tags)}",
                    help="remove them, or give --force: they can then not be resumed; "
                    "with -o FILE a copy is written",
                )
            kept.write_back(graph, disks, [args.disk])
        lock.release()
    text = f"{source.image} has what {name} wrote to {args.disk}"
    return _report(args, text, {"name": name, "disk": args.disk, "file": source.image})


def _reset(args: argparse.Namespace) -> int:
    from manager.cli.arguments import find_machine
    from manager.state.kept_disks import kept_disks

    situation = find_machine(args.name)
    name = situation.name
    if situation.state == "suspended":
        raise WrongStateError(
            f"{name} is suspended, with its disks", help=f"`vmmgr discard {name}` comes first"
        )
    kept = kept_disks(situation.paths)
    names = [disk.source.name for disk in kept if args.disk in (None, disk.source.name)]
    if not names:
        raise _no_disk(name, args.disk)
    with _stopped(situation, names[0]) as (_, disks, _):
        disks.reset(names if args.disk is not None else ())
    return _report(args, f"{', '.join(names)}: begins anew", {"name": name, "disks": names})


def _new(args: argparse.Namespace) -> int:
    from manager.config.units import parse_size
    from manager.storage.export import make_image

    try:
        count = parse_size(args.size) if args.size is not None else None
    except ValueError as error:
        raise UsageError(f"{args.size}: {error}", help="a size such as 512M or 1G") from None
    make_image(args.file, count, args.folder, args.format)
    return _report(args, f"{args.file}: {_file_size(args.file)}", {"file": args.file})


def _file_size(path: Path) -> str:
    status = path.stat()
    return f"{size(status.st_size)}, {size(status.st_blocks * 512)} on disk"


def _report(args: argparse.Namespace, text: str, result: dict[str, Any]) -> int:
    if args.json:
        plain = {key: str(item) if isinstance(item, Path) else item for key, item in result.items()}
        print_json(plain)
    else:
        print(shown(text), file=sys.stderr)
    return 0
