# SPDX-License-Identifier: BSD-2-Clause
"""What `push`, `pull`, `ls` and `prune` do with a store that machines share."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from manager.cli.output import print_json, size
from manager.cli.progress import Progress
from manager.errors import UsageError, VmmgrError, WrongStateError
from manager.text.shown import shown

if TYPE_CHECKING:
    from manager.state.paths import MachinePaths
    from manager.stores.form import Descriptor, Manifest
    from manager.stores.names import StoredName
    from manager.stores.push import Pushed
    from manager.stores.remote import Remote

REMOTE = (
    "oci://HOST/REPOSITORY (a registry), oci-layout:FOLDER or file:///FOLDER, or a URL of fsspec's "
    "such as s3://BUCKET/PREFIX"
)
_MOST_CONNECTIONS = 64


def add_connections(parser: argparse.ArgumentParser) -> None:
    """Add `-j`."""
    parser.add_argument(
        "-j",
        "--jobs",
        metavar="N",
        type=_connections,
        default=8,
        help="chunks that travel at a time [8]",
    )


def _connections(text: str) -> int:
    count = int(text) if text.isdecimal() and len(text) < 4 else 0
    if not 1 <= count <= _MOST_CONNECTIONS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {_MOST_CONNECTIONS}")
    return count


def push(args: argparse.Namespace) -> int:
    """Carry out `push`. Raises VmmgrError."""
    from manager.cli.snapshot.refs import find_snapshot, split
    from manager.snapshot.read import open_snapshot
    from manager.stores.names import StoredName
    from manager.stores.places import open_remote
    from manager.stores.push import push as send

    named = split(args.name)
    if named is None:
        raise UsageError(f"{args.name} is no NAME or NAME:TAG", help="`vmmgr ls` shows machines")
    snapshot = open_snapshot(find_snapshot(args.name))
    name = _renamed(args.to, StoredName.of(*named))
    remote = open_remote(args.remote)
    with Progress(f"pushing {name.shown}") as progress:
        done = send(snapshot, name, remote, args.jobs, progress.add)
    images = [disk.head.id for disk in snapshot.manifest.disks if disk.head.base]
    if args.json:
        print_json(_pushed_json(args.remote, name, done, images))
        return 0
    print(done.digest)
    sent = f"{size(done.bytes_sent)} sent" if done.bytes_sent else "it was there"
    text = f"{name.shown}: {sent}, {done.chunks_sent} of {done.chunks} chunks"
    print(shown(f"{text}; {size(done.stored)} in {args.remote}"), file=sys.stderr)
    if images:
        print(f"the images of its disks ({', '.join(images)}) were not sent", file=sys.stderr)
    return 0


def _pushed_json(
    remote: str, name: StoredName, done: Pushed, images: list[str]
) -> dict[str, object]:
    return {
        "remote": remote,
        "name": name.machine,
        "tag": name.tag,
        "digest": done.digest,
        "chunks": done.chunks,
        "chunks_sent": done.chunks_sent,
        "bytes": done.stored,
        "bytes_sent": done.bytes_sent,
        "images_not_sent": images,
    }


def pull(args: argparse.Namespace) -> int:
    """Carry out `pull`. Raises VmmgrError."""
    from manager.snapshot.store import CURRENT, Store
    from manager.state.paths import MachinePaths, machine_names, state_home
    from manager.stores.places import open_remote
    from manager.stores.pull import pulled
    from manager.stores.remote import manifest_of

    remote = open_remote(args.remote)
    source = _wanted(args, remote)
    target = _renamed(args.to, source)
    paths = MachinePaths.of(target.machine)
    manifest, blob = manifest_of(remote, source)
    if args.digest and blob.digest != args.digest:
        raise _signed_otherwise(args, source, blob)
    if _has(paths, target, manifest):
        return _report_pull(args, target, blob, 0, 0, "is here already")
    homes = [MachinePaths.of(name).snapshots for name in machine_names()]
    local = [home / number for home in homes for number in {*Store(home).links().values()}]
    with (
        Progress(f"pulling {source.shown}") as progress,
        pulled(
            remote, manifest, blob.digest, state_home() / ".pulls", local, args.jobs, progress.add
        ) as result,
    ):
        if _has(paths, target, manifest):  # who pulled the same at the same time was sooner
            return _report_pull(args, target, blob, 0, 0, "is here already")
        paths.make()
        _require_free(paths, target)
        Store(paths.snapshots).take_in(result.folder, target.tag)
    size_of, count = result.bytes_fetched, result.chunks_fetched
    text = f"{size(size_of)} fetched, {count} of {result.chunks} chunks"
    status = _report_pull(args, target, blob, size_of, count, text)
    if not args.json and target.tag == CURRENT:
        show = f"vmmgr snapshot show --config {target.machine}"
        print(f"to go on with it: `{show} >FILE.toml`, `vmmgr resume FILE.toml`", file=sys.stderr)
    return status


def _wanted(args: argparse.Namespace, remote: Remote) -> StoredName:
    """Which snapshot of a store is asked for."""
    from manager.stores.names import StoredName

    if args.name:
        machine, _, tag = args.name.partition(":")
        return StoredName.of(machine, tag or "current")
    found = remote.names()
    if len(found) == 1:
        return found[0]
    known = ", ".join(sorted(name.shown for name in found))
    raise UsageError(
        f"{args.remote} has {len(found)} snapshots" if found else f"{args.remote} has none",
        help=f"name one of them: {known}" if found else "push one first",
    )


def _renamed(to: str | None, source: StoredName) -> StoredName:
    """What `--as` makes of a name; without a tag in it, the tag stays."""
    from manager.stores.names import StoredName

    if not to:
        return source
    machine, _, tag = to.partition(":")
    return StoredName.of(machine, tag or source.tag)


def _has(paths: MachinePaths, target: StoredName, manifest: Manifest) -> bool:
    """Whether the machine has this very snapshot under this tag, and can read it."""
    from manager.errors import SnapshotCorruptError
    from manager.snapshot.read import open_snapshot
    from manager.snapshot.store import Store

    try:
        path = Store(paths.snapshots).path(target.tag)
        return path is not None and open_snapshot(path).id.hex() == manifest.about.snapshot
    except SnapshotCorruptError:
        return False


def _require_free(paths: MachinePaths, target: StoredName) -> None:
    """Raise unless the snapshot may get its name."""
    from manager.snapshot.store import CURRENT, Store
    from manager.state.situation import look

    name = target.machine
    if target.tag == CURRENT and look(paths).state == "running":
        raise WrongStateError(
            f"{name} is running; a pulled state would be lost when it ends",
            help=f"choose another name with --as, or end it: `vmmgr down {name}`",
        )
    if Store(paths.snapshots).path(target.tag) is not None:
        what = "a suspended state" if target.tag == CURRENT else target.tag
        drop = f"discard {name}" if target.tag == CURRENT else f"snapshot rm {name} {target.tag}"
        raise UsageError(
            f"{name} has {what} already", help=f"another name with --as, or `vmmgr {drop}` first"
        )


def _signed_otherwise(args: argparse.Namespace, source: StoredName, blob: Descriptor) -> VmmgrError:
    from manager.stores.faults import damaged

    return damaged(args.remote, f"{source.shown} is {blob.digest}, not {args.digest}")


def _report_pull(
    args: argparse.Namespace,
    target: StoredName,
    blob: Descriptor,
    fetched: int,
    chunks: int,
    text: str,
) -> int:
    if args.json:
        print_json(
            {
                "remote": args.remote,
                "name": target.machine,
                "tag": target.tag,
                "digest": blob.digest,
                "chunks_fetched": chunks,
                "bytes_fetched": fetched,
            }
        )
    else:
        print(f"{target.shown}: {text}", file=sys.stderr)
    return 0


def list_remote(args: argparse.Namespace) -> int:
    """Carry out `ls REMOTE`. Raises VmmgrError."""
    from manager.stores.places import open_remote
    from manager.stores.remote import manifest_of
    from manager.stores.workers import CONNECTIONS, in_parallel
    from manager.text.columns import columns

    remote = open_remote(args.remote)
    names = sorted(remote.names(), key=str)
    found = list(
        in_parallel(lambda name: manifest_of(remote, name), names, CONNECTIONS, remote.abandon)
    )
    listed = list(zip(names, found, strict=True))
    if args.json:
        snapshots = [
            {
                "name": name.machine,
                "tag": name.tag,
                "machine": manifest.about.machine,
                "snapshot": manifest.about.snapshot,
                "virtual_time_ns": manifest.about.virtual_time,
                "bytes": manifest.stored,
                "chunks": len(manifest.chunks),
                "digest": blob.digest,
            }
            for name, (manifest, blob) in listed
        ]
        print_json({"remote": args.remote, "snapshots": snapshots})
        return 0
    rows: list[tuple[str, ...]] = [("SNAPSHOT", "VIRTUAL TIME", "STORED", "CHUNKS", "DIGEST")]
    rows += [
        (
            name.shown,
            f"{manifest.about.virtual_time / 1e9:.3f} s",
            size(manifest.stored),
            str(len(manifest.chunks)),
            blob.digest,
        )
        for name, (manifest, blob) in listed
    ]
    print("\n".join(map(shown, columns(rows))))
    return 0


def prune_remote(args: argparse.Namespace) -> int:
    """Carry out `prune REMOTE`. Raises VmmgrError."""
    from manager.stores.names import StoredName
    from manager.stores.places import open_remote

    remote = open_remote(args.remote)
    dropped = []
    for text in args.drop:
        machine, _, tag = text.partition(":")
        dropped.append(StoredName.of(machine, tag or "current"))
    done = remote.prune(dropped, args.older_than / 1e9)
    if args.json:
        print_json({"remote": args.remote, "chunks": done.blobs, "bytes": done.size})
    else:
        print(
            shown(f"{args.remote}: {done.blobs} chunks, {size(done.size)} freed"), file=sys.stderr
        )
    return 0
