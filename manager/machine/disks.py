# SPDX-License-Identifier: BSD-2-Clause
"""The disks of a machine: opened from what its graph names, and from what a snapshot holds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, closing
from datetime import datetime
from typing import TYPE_CHECKING

from manager.devices.claims import SHARES
from manager.errors import HostError, SnapshotMismatchError, UsageError
from manager.graph.nodes import DiskSource, Graph
from manager.storage.base import BLOCK, Base, Zeros
from manager.storage.blocks import DiskBlocks
from manager.storage.cache import image_cache
from manager.storage.disk import Disk
from manager.storage.layer import Layer
from manager.storage.write_log import WriteLog

if TYPE_CHECKING:
    from pathlib import Path

    from manager.snapshot.disk_entry import DiskEntry
    from manager.snapshot.read import Snapshot

OpenLog = Callable[[str], WriteLog]
"""Makes the log of a disk, by its name: empty, or with what an earlier process had written."""


def nameless(_name: str) -> WriteLog:
    """A log whose files vanish with the process."""
    return WriteLog.nameless()


class Disks(Mapping[str, Disk]):
    """Disks by name, and what controllers see of them.

    `on_trouble(name, fault)` is told when the host fails a disk, once until it is over; the machine
    is to pause where `fault` says that nothing may be lost.
    """

    def __init__(self, disks: Mapping[str, Disk], sources: Mapping[str, DiskSource]) -> None:
        self._disks = dict(disks)
        self._sources = sources
        self._blocks: dict[str, DiskBlocks] = {}
        self.on_trouble: Callable[[str, str], None] = lambda name, fault: None

    def __getitem__(self, name: str) -> Disk:
        return self._disks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._disks)

    def __len__(self) -> int:
        return len(self._disks)

    def blocks(self, name: str) -> DiskBlocks:
        """What a controller sees of a disk."""
        if name not in self._blocks:
            self._blocks[name] = DiskBlocks(
                self._disks[name],
                name,
                lambda fault: self.on_trouble(name, fault),
                self._sources[name].on_full,
            )
        return self._blocks[name]

    @property
    def waiting(self) -> dict[str, str]:
        """Disks with content that the host has no room for, and why; after trying once more."""
        found = {name: item.retry() for name, item in self._blocks.items() if item.disk.log.held}
        return {name: fault for name, fault in found.items() if fault}

    def describe(self) -> list[dict[str, str | int]]:
        """Each disk, for `status`: its name, size and what was written in bytes, and any fault."""
        return [
            {
                "name": name,
                "size": disk.size,
                "unsaved": disk.unsaved * BLOCK,
                "fault": self._blocks[name].fault if name in self._blocks else "",
            }
            for name, disk in self._disks.items()
        ]

    def close(self) -> None:
        """Close all files."""
        for disk in self._disks.values():
            disk.close()


def open_disks(
    graph: Graph,
    snapshot: Snapshot | None = None,
    open_log: OpenLog = nameless,
    *,
    recover: bool = False,
    partial: bool = False,
    anew: Collection[str] = (),
    look: bool = False,
) -> Disks:
    """The disks of a machine, as `snapshot` holds them, or else as they begin.

    With `recover` what the logs hold is on top; with `partial` a disk that the snapshot does not
    have begins anew. Those in `anew` begin anew whatever there is, and their logs are emptied once
    they are part of a snapshot. With `look` the folder of a share has to be what it was; else the
    share is as it was frozen, while that is in the cache. Raises HostError and UsageError when an
    image cannot be a disk, SnapshotMismatchError when it is not what it was.
    """
    entries = {entry.head.id: entry for entry in snapshot.manifest.disks} if snapshot else {}
    with ExitStack() as undo:
        found: dict[str, Disk] = {}
        for source in graph.disks:
            is_new = source.name in anew
            entry = entries.get(source.name) if not is_new else None
            if snapshot is not None and entry is None and not (partial or is_new):
                raise SnapshotMismatchError(
                    f'{snapshot.file}: it has no disk "{source.name}"',
                    help="boot afresh with `vmmgr up FILE --fresh`",
                )
            base = _base(source, None if look else entry)
            undo.callback(base.close)
            disk = _disk(source, base, entry, snapshot, open_log, recover and not is_new)
            if not recover:
                disk.log.truncate(0)
            undo.callback(disk.close)
            found[source.name] = disk
        undo.pop_all()
    return Disks(found, {source.name: source for source in graph.disks})


def _disk(
    source: DiskSource,
    base: Base,
    entry: DiskEntry | None,
    snapshot: Snapshot | None,
    open_log: OpenLog,
    recover: bool,
) -> Disk:
    layers: tuple[Layer, ...] = ()
    backing: object | None = None
    # Where nothing was written to a share, a boot takes the folder as it is now.
    may_change = source.is_share and recover and entry is not None and not entry.layers
    if entry is not None and snapshot is not None:
        from manager.snapshot.save_disks import layers_of

        if not may_change:
            check_base(source, base, entry)
        layers, backing = layers_of(snapshot.directory, snapshot.manifest, entry)
    try:
        log = open_log(source.name)
        read_only = source.mode == "read-only"
        disk = Disk(base, log, layers, read_only=read_only, recover=recover)
    except OSError as error:
        raise HostError(f'disk "{source.name}": {error.strerror}', help="free some room") from error
    if may_change and entry is not None and disk.unsaved:
        try:
            check_base(source, base, entry)
        except SnapshotMismatchError:
            disk.close()
            raise
    disk.backing = backing
    return disk


def disk_of(graph: Graph, snapshot: Snapshot, name: str) -> Disk:
    """One disk of a snapshot of the machine `graph`, to be read; the caller closes it.

    Raises UsageError when it has no such disk or the image cannot be a disk, HostError,
    SnapshotMismatchError when the image is not what it was, SnapshotCorruptError.
    """
    from manager.snapshot.save_disks import layers_of

    entries = {entry.head.id: entry for entry in snapshot.manifest.disks}
    if name not in entries:
        raise UsageError(
            f'{snapshot.file}: it has no disk "{name}"',
            help=f"its disks: {', '.join(entries) or 'none'}",
        )
    entry = entries[name]
    base: Base = Zeros(entry.head.size)
    source = next((source for source in graph.disks if source.name == name), None)
    if entry.head.base and source is not None:
        base = _base(source, entry)
    with ExitStack() as undo:
        undo.callback(base.close)
        if source is not None:
            check_base(source, base, entry)
        layers, _ = layers_of(snapshot.directory, snapshot.manifest, entry)
        undo.pop_all()
    return Disk(base, WriteLog.nameless(), layers, read_only=True)


def check_base(source: DiskSource, base: Base, entry: DiskEntry) -> None:
    """Raise SnapshotMismatchError unless `base` is what the layers of `entry` lie on."""
    if base.digest == bytes(entry.head.base) and base.size == entry.head.size:
        return
    what = source.image or source.folder or f"[disks.{source.name}]"
    changed = f"{entry.head.size} bytes then, {base.size} now"
    if base.size == entry.head.size or source.is_share:
        changed = _changes(base, entry) or "its content is another"
    raise SnapshotMismatchError(
        f"{source.title}: {what} has changed since the machine was saved: "
        f"{changed}{_written_at(source)}",
        help="put back what it was, or begin anew: `vmmgr discard NAME`, then "
        f"`vmmgr disk reset NAME {source.name}`",
    )


def beginnings(graph: Graph) -> dict[str, str]:
    """What each disk begins with, as a hash in hex; empty for a disk that begins empty.

    Raises HostError and UsageError when an image cannot be a disk.
    """
    found = {}
    for source in graph.disks:
        base = _base(source)
        base.close()
        found[source.name] = base.digest.hex()
    return found


def _changes(base: Base, entry: DiskEntry) -> str:
    """What differs in the folder of a share, if what it was is still in the cache."""
    from manager.storage.share.freeze import ShareImage, differences, open_frozen

    if not isinstance(base, ShareImage):
        return ""
    before = open_frozen(bytes(entry.head.base), image_cache(), read_only=True)
    if before is None:
        return ""
    with closing(before):
        return differences(before, base)


def _written_at(source: DiskSource) -> str:
    """When the image was last written, for people."""
    if source.image is None:
        return ""
    try:
        seconds = source.image.stat().st_mtime
    except OSError:
        return ""
    return f"; it was written at {datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M:%S}"


def _base(source: DiskSource, entry: DiskEntry | None = None) -> Base:
    """What a disk begins with; a share as it was for `entry`, while that is in the cache."""
    from manager.storage import images

    cache = image_cache()
    if source.is_share:
        return _share(source, cache, entry)
    if source.image is not None:
        direct = source.mode == "direct"
        return (images.open_to_write if direct else images.open_image)(source.image, cache)
    if source.folder is not None:
        assert source.format is not None
        return images.open_folder(source.folder, source.format, source.size, cache)
    assert source.size is not None
    return Zeros(source.size)


def _share(source: DiskSource, cache: Path, entry: DiskEntry | None) -> Base:
    from manager.storage.share.freeze import open_frozen, open_share

    assert source.folder is not None
    read_only = source.mode == "read-only"
    if entry is not None:
        frozen = open_frozen(bytes(entry.head.base), cache, read_only=read_only)
        if frozen is not None:
            return frozen
    name = source.name.removeprefix(SHARES)
    return open_share(name, source.folder, cache, read_only=read_only)
