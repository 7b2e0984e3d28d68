# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr cp`: files between the host and a share of a machine."""

from __future__ import annotations

import argparse
import errno
import os
import stat
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
    from manager.cli.running_share import RunningShare
    from manager.graph.nodes import DiskSource, Graph
    from manager.state.situation import Situation
    from manager.storage.share.copy import Source, StillShare


class _Place(NamedTuple):
    """NAME:PATH."""

    machine: str
    path: str


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `cp` to the command line."""
    parser = subparsers.add_parser(
        "cp",
        description="Copies a file, or a folder with all that is in it, from a share of a machine, "
        'or to one with `mode = "overlay"`. NAME:/PATH is a path in the only '
        "share of a machine, NAME:SHARE/PATH one in the share of that name. Links are copied as "
        "links; devices, sockets and FIFOs are left out. What is copied to a machine that runs is "
        "input, which is recorded. A suspended machine can only be read.",
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
        help = "free some room" if error.errno in (errno.ENOSPC, errno.EDQUOT) else None
        message = f"{args.source} to {args.target}: {where}{error.strerror}"
        raise HostError(message, help=help) from error
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
    from manager.storage.share.copy import below, copy_out

    with _opened(place, to_write=False) as (share, path):
        if not target.is_dir():
            with _directory(target.parent) as directory:
                return copy_out(share, path, directory, os.fsencode(target.name))
        with _directory(target) as directory:
            if path:
                return copy_out(share, path, directory, path.rpartition(b"/")[2])
            names = share.names(path)
            return sum(copy_out(share, below(path, one), directory, one) for one in names)


def _to_share(text: str, place: _Place) -> int:
    from manager.storage.share.copy import below, copy_in
    from manager.storage.share.folder import names_in

    is_inside = text.rstrip("/").rpartition("/")[2] in (".", "..")
    source, real = Path(text), _real(text)
    with _opened(place, to_write=True) as (share, path), _directory(real.parent) as directory:
        own = os.fsencode(real.name)
        if path and not _is_directory(share, path):
            share.look(path.rpartition(b"/")[0])
            return copy_in(share, path, directory, own)
        if is_inside:
            with _directory(real) as inside:
                return sum(
                    copy_in(share, below(path, one), inside, one) for one in names_in(inside)
                )
        return copy_in(share, below(path, os.fsencode(source.name)), directory, own)


def _real(text: str) -> Path:
    """Where a path of the host leads; a link itself, unless a slash or a dot is behind it."""
    path = Path(text)
    if text.endswith("/") or text.rpartition("/")[2] in (".", ".."):
        return path.resolve(strict=True)
    path.lstat()
    return path.parent.resolve(strict=True) / path.name


@contextmanager
def _directory(path: Path) -> Iterator[int]:
    """A descriptor of a directory of the host."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _is_directory(share: Source, path: bytes) -> bool:
    try:
        return stat.S_ISDIR(share.look(path).mode)
    except (OSError, HostError):
        return False


@contextmanager
def _opened(place: _Place, *, to_write: bool) -> Iterator[tuple[StillShare | RunningShare, bytes]]:
    """The share, and the path in it. A machine that does not run cannot begin to meanwhile."""
    from manager.cli.arguments import find_machine
    from manager.state.lock import MachineLock
    from manager.state.situation import look

    situation = find_machine(place.machine)
    lock = MachineLock.take(situation.paths.lock)
    if lock is None:
        with _running(look(situation.paths), place) as found:
            yield found
        return
    try:
        with _still(situation, place, to_write=to_write) as found:
            yield found
    finally:
        lock.release()


@contextmanager
def _running(situation: Situation, place: _Place) -> Iterator[tuple[RunningShare, bytes]]:
    from manager.cli.clients import connect
    from manager.cli.running_share import RunningShare
    from manager.graph.plain import from_plain

    with connect(situation) as client:
        graph = from_plain(client.execute("query-graph")["graph"])
        source, path = _share(situation, graph, place.path)
        share = RunningShare(client, _name(source))
        try:
            yield share, path
            share.finish()
        except BaseException:
            share.abandon()
            raise


@contextmanager
def _still(
    situation: Situation, place: _Place, *, to_write: bool
) -> Iterator[tuple[StillShare, bytes]]:
    from manager.state.disks import MachineDisks
    from manager.storage.share.copy import StillShare
    from manager.storage.share.tree import Tree
    from manager.storage.share.volume import Volume

    def no_room(name: str, fault: str) -> None:
        raise HostError(f"{source.title} of {situation.name} {fault}", help="free some room")

    kept = MachineDisks(situation.paths)
    graph = kept.graph()
    source, path = _share(situation, graph, place.path)
    if to_write:
        _refuse_to_write(situation, source)
    assert graph is not None
    with closing(kept.open(graph)) as disks:
        disks.on_trouble = no_room
        before = disks[source.name].mark()
        try:
            yield StillShare(Tree(Volume(disks.blocks(source.name)))), path
        except BaseException:
            disks[source.name].back(before)
            raise


def _share(situation: Situation, graph: Graph | None, path: str) -> tuple[DiskSource, bytes]:
    """The share that a path is in, and the path there."""
    from manager.storage.share.copy import path_of

    shares = [disk for disk in graph.disks if disk.is_share] if graph is not None else []
    names = [_name(disk) for disk in shares]
    if not shares:
        raise UsageError(
            f"{situation.name} has no share", help="`[shares.src]`, once it has been booted"
        )
    if path.startswith("/") or not path:
        if len(shares) == 1:
            return shares[0], path_of(os.fsencode(path))
        raise UsageError(
            f"{situation.name} has several shares: {', '.join(names)}",
            help=f"such as {situation.name}:{names[0]}{path or '/'}",
        )
    name, _, rest = path.partition("/")
    if name not in names:
        raise UsageError(
            f'{situation.name} has no share "{name}"', help=f"its shares: {', '.join(names)}"
        )
    return shares[names.index(name)], path_of(os.fsencode(rest))


def _name(source: DiskSource) -> str:
    """The share's name, which that of its disk is made from."""
    from manager.devices.claims import SHARES

    return source.name.removeprefix(SHARES)


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
