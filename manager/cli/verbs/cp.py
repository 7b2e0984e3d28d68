# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr cp`: files between the host and a share of a machine that does not run."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from manager.cli.output import print_json
from manager.errors import HostError, UsageError, WrongStateError
from manager.names import MEMBER, NAME
from manager.text.shown import shown

if TYPE_CHECKING:
    from manager.graph.nodes import DiskSource, Graph
    from manager.state.situation import Situation
    from manager.storage.share.tree import Tree


class _Place(NamedTuple):
    """NAME:PATH."""

    machine: str
    path: str


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `cp` to the command line."""
    parser = subparsers.add_parser(
        "cp",
        description="Copies a file, or a folder with all that is in it, from a share of a machine "
        'that does not run, or to one with `mode = "overlay"`. NAME:/PATH is a path in the only '
        "share of a machine, NAME:SHARE/PATH one in the share of that name. Links are copied as "
        "links; devices, sockets and FIFOs are left out. A suspended machine can only be read.",
    )
    parser.add_argument("source", metavar="FROM", help="NAME:PATH, or a path of the host")
    parser.add_argument("target", metavar="TO", help="NAME:PATH, or a path of the host")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Copy. Raises VmmgrError."""
    source, target = _place(args.source), _place(args.target)
    if (source is None) == (target is None):
        what = "both are paths of the host" if source is None else "both are in machines"
        raise UsageError(
            f"{args.source} and {args.target}: {what}",
            help="one of them is NAME:/PATH, the other a path of the host",
        )
    try:
        if source is not None:
            count = _from_share(source, Path(args.target))
        else:
            assert target is not None
            count = _to_share(args.source, target)
    except OSError as error:
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        raise HostError(f"{args.source} to {args.target}: {where}{error.strerror}") from error
    if args.json:
        print_json({"from": args.source, "to": args.target, "files": count})
    else:
        print(shown(f"{args.target}: {count} file{'s' * (count != 1)}"), file=sys.stderr)
    return 0


def _place(text: str) -> _Place | None:
    """NAME:PATH; None for a path of the host, which has a slash before its first colon."""
    from manager.cli.arguments import is_file

    name, colon, path = text.partition(":")
    is_name = NAME.fullmatch(name) or (MEMBER.fullmatch(name) and not is_file(name))
    return _Place(name, path) if colon and is_name else None


def _from_share(place: _Place, target: Path) -> int:
    from manager.storage.share.copy import copy_out, find, parts_of

    with _opened(place, to_write=False) as (tree, path):
        number, parts = find(tree, path), parts_of(path)
        if not target.is_dir():
            with _directory(target.parent) as directory:
                return copy_out(tree, number, directory, os.fsencode(target.name))
        with _directory(target) as directory:
            if parts:
                return copy_out(tree, number, directory, parts[-1])
            children = [child for child in tree.names(number).slots if child is not None]
            return sum(copy_out(tree, one.node, directory, one.name) for one in children)


def _to_share(text: str, place: _Place) -> int:
    from manager.storage.share.copy import copy_in, find, parts_of
    from manager.storage.share.folder import names_in

    source, real = Path(text), Path(text).resolve(strict=True)
    with _opened(place, to_write=True) as (tree, path), _directory(real.parent) as directory:
        parts, own = parts_of(path), os.fsencode(real.name)
        if parts and not _is_directory(tree, path):
            parent = find(tree, path.rstrip("/").rpartition("/")[0])
            return copy_in(tree, parent, parts[-1], directory, own)
        number = find(tree, path)
        if text.rstrip("/").rpartition("/")[2] in (".", ".."):  # what is in it
            with _directory(real) as below:
                return sum(copy_in(tree, number, one, below, one) for one in names_in(below))
        return copy_in(tree, number, os.fsencode(source.name), directory, own)


@contextmanager
def _directory(path: Path) -> Iterator[int]:
    """A descriptor of a directory of the host."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _is_directory(tree: Tree, path: str) -> bool:
    from manager.storage.share.copy import find

    try:
        return tree.volume.node(find(tree, path)).is_directory
    except OSError:
        return False


@contextmanager
def _opened(place: _Place, *, to_write: bool) -> Iterator[tuple[Tree, str]]:
    """The share of a machine that does not run meanwhile, and the path in it."""
    from manager.cli.arguments import find_machine
    from manager.state.disks import MachineDisks
    from manager.state.lock import MachineLock
    from manager.storage.share.tree import Tree
    from manager.storage.share.volume import Volume

    situation = find_machine(place.machine)
    lock = MachineLock.take(situation.paths.lock)
    if lock is None:
        whole = situation.name.partition("/")[0]  # a machine of a lab does nothing alone
        raise WrongStateError(
            f"{situation.name} is running",
            help=f"`vmmgr suspend {whole}` to read, or `vmmgr down {whole}`",
        )
    try:
        kept = MachineDisks(situation.paths)
        graph = kept.graph()
        source, path = _share(situation, graph, place.path)
        if to_write:
            _refuse_to_write(situation, source)
        assert graph is not None
        with closing(kept.open(graph)) as disks:
            yield Tree(Volume(disks.blocks(source.name))), path
    finally:
        lock.release()


def _share(situation: Situation, graph: Graph | None, path: str) -> tuple[DiskSource, str]:
    """The share that a path is in, and the path there."""
    from manager.devices.claims import SHARES

    shares = [disk for disk in graph.disks if disk.is_share] if graph is not None else []
    names = [disk.name.removeprefix(SHARES) for disk in shares]
    if not shares:
        raise UsageError(
            f"{situation.name} has no share", help="`[shares.src]`, once it has been booted"
        )
    if path.startswith("/") or not path:
        if len(shares) == 1:
            return shares[0], path
        raise UsageError(
            f"{situation.name} has several shares: {', '.join(names)}",
            help=f"such as {situation.name}:{names[0]}{path or '/'}",
        )
    name, _, rest = path.partition("/")
    if name not in names:
        raise UsageError(
            f'{situation.name} has no share "{name}"', help=f"its shares: {', '.join(names)}"
        )
    return shares[names.index(name)], f"/{rest}"


def _refuse_to_write(situation: Situation, source: DiskSource) -> None:
    if source.mode == "read-only":
        raise UsageError(
            f"{source.title} of {situation.name} is read-only",
            help='take mode = "overlay", or change the folder and boot again',
        )
    if situation.state == "suspended":
        raise WrongStateError(
            f"{situation.name} is suspended: its guest would not hear of other files",
            help=f"resume it and power it off, or `vmmgr discard {situation.name}`",
        )
