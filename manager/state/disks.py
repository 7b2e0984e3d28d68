# SPDX-License-Identifier: BSD-2-Clause
"""A machine's disks between its runs, and while it runs.

What they hold is a snapshot without RAM, the head, and a log of what was written since, which
survives a process that is killed. A snapshot of the running machine becomes the head as well,
before the log is emptied: what the log holds is in the new head already, so at every instant head
and log together are what the guest has written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from manager import files
from manager.errors import HostError, SnapshotCorruptError, SnapshotMismatchError
from manager.snapshot.store import HEAD, Store
from manager.state.paths import MachinePaths

if TYPE_CHECKING:
    from manager.graph.nodes import Graph
    from manager.machine.disks import Disks
    from manager.snapshot.image import Image
    from manager.snapshot.read import Snapshot
    from manager.storage.disk import Disk
    from manager.storage.layer import Layer
    from manager.storage.write_back import Intent
    from manager.storage.write_log import WriteLog


_INTENT = ".writing"
"""Ends the name of the file that says what an image is about to become."""
BOOT = "boot-disks"
"""The link to what the disks held when the machine was last booted: where a replay begins."""


class MachineDisks:
    """The disks of the machine with these paths. Only the process that owns it may use this."""

    def __init__(self, paths: MachinePaths) -> None:
        self._store = Store(paths.snapshots)
        self.directory = paths.directory / "disks"
        """Where the logs are."""

    def for_boot(self, graph: Graph) -> Disks | None:
        """As the last run left them; None when the machine has none.

        Raises SnapshotMismatchError when an image has changed since, HostError, UsageError.
        """
        from manager.machine.disks import open_disks

        if not graph.disks:
            return None
        written = self._complete()
        head = self.head()
        disks = open_disks(
            graph, head, self._open_log, recover=True, partial=True, anew=written, look=True
        )
        self._make_head(graph, disks)
        for name in written:
            self.intent(name).unlink()
        return disks

    def held_at_boot(self, graph: Graph) -> bytes:
        """A hash of all that the next boot finds on the disks; empty without disks.

        Raises SnapshotMismatchError when an image has changed since, HostError, UsageError.
        """
        from blake3 import blake3

        from manager import cbor

        disks = self.for_boot(graph)
        if disks is None:
            return b""
        disks.close()
        head = self.head()
        assert head is not None
        return blake3(cbor.encode([entry.to_plain() for entry in head.manifest.disks])).digest()

    def for_resume(self, graph: Graph, snapshot: Snapshot) -> Disks | None:
        """As `snapshot` holds them; what was written since is dropped.

        Raises SnapshotMismatchError when an image has changed since, HostError, UsageError.
        """
        from manager.machine.disks import open_disks

        if not graph.disks:
            return None
        if names := self._complete():
            self._settle(graph, names)
        disks = open_disks(graph, snapshot, self._open_log, look=True)
        self._make_head(graph, disks)
        return disks

    def adopt(self, graph: Graph, disks: Disks) -> None:
        """The machine goes on with other disks, of an earlier time. Raises HostError."""
        if not disks:
            return
        self._make_head(graph, disks)
        for name, disk in disks.items():
            log = self._open_log(name)
            log.truncate(0)
            disk.change_log(log)

    def keep_for_replay(self) -> Path | None:
        """Keep what the disks hold now until the next boot; where it is, or None without disks."""
        head = self._store.path(HEAD)
        if head is None:
            self._store.discard(BOOT)
        else:
            self._store.tag(BOOT, head)
        return head

    def reset(self, names: Collection[str] = ()) -> None:
        """Forget what was written to the disks of these names, or to all: they begin anew.

        Raises HostError, UsageError.
        """
        graph = self.graph()
        if names and graph is not None:
            with suppress(SnapshotMismatchError):  # an image in parts stays what it is
                names = [*names, *self._complete()]
            self._settle(graph, names)
            return
        self._store.discard(HEAD)
        for path in self.directory.glob("*") if self.directory.is_dir() else ():
            path.unlink(missing_ok=True)

    # -- while the machine does not run -------------------------------------------------------

    def graph(self) -> Graph | None:
        """The machine of the last run; None when it had no disks. Raises SnapshotCorruptError."""
        from manager.graph.plain import GraphFormatError, from_plain

        head = self.head()
        if head is None:
            return None
        try:
            return from_plain(head.manifest.config)
        except GraphFormatError as error:
            raise SnapshotCorruptError(
                f"{head.file}: its machine cannot be read: {error}"
            ) from None

    def open(self, graph: Graph) -> Disks:
        """As the next boot would find them.

        Raises SnapshotMismatchError when an image has changed since, HostError, UsageError.
        """
        from manager.machine.disks import open_disks

        if names := self._complete():
            self._settle(graph, names)
        return open_disks(graph, self.head(), self._open_log, recover=True, partial=True)

    # -- images that are written ------------------------------------------------------------

    def write_back(self, graph: Graph, disks: Disks, names: Iterable[str]) -> None:
        """Write what lies over the images of these disks into them; the machine does not run.

        A process that is killed meanwhile loses nothing: the next boot goes on. Snapshots that lie
        on the images as they were no longer fit. Raises HostError, SnapshotMismatchError.
        """
        done = []
        for source in graph.disks:
            disk = disks[source.name]
            if source.name in names and source.image is not None and disk.written_blocks():
                from manager.storage.cache import image_cache
                from manager.storage.write_back import Intent

                intent = Intent.of(disk, source.image)
                intent.write(self.intent(source.name))
                intent.carry_out(disk, image_cache())
                done.append(source.name)
        if done:
            self._settle(graph, done)

    def needed_by(self, disk: Disk, name: str) -> list[str]:
        """The tags of snapshots that lie on the image of a disk as it is now."""
        from manager.snapshot.read import open_snapshot

        found = []
        for tag, number in sorted(self._store.links().items()):
            if tag in (HEAD, BOOT):
                continue
            with suppress(SnapshotCorruptError):
                entries = open_snapshot(self._store.root / number).manifest.disks
                if any(e.head.id == name and e.head.base == disk.base.digest for e in entries):
                    found.append(tag)
        return found

    def _complete(self) -> list[str]:
        """Go on with images that a process died in writing; the names of their disks."""
        names = []
        for path in sorted(self.directory.glob(f"*{_INTENT}")):
            from manager.storage.cache import image_cache
            from manager.storage.write_back import Intent

            name = path.name.removesuffix(_INTENT)
            intent = Intent.read(path)
            if intent is not None:
                with closing(self._over(intent, name)) as disk:
                    intent.carry_out(disk, image_cache())
                names.append(name)
        return names

    def _over(self, intent: Intent, name: str) -> Disk:
        """What is to be written into an image, which may be written in part."""
        from manager.snapshot.save_disks import layers_of
        from manager.storage.base import RawImage
        from manager.storage.disk import Disk

        head = self.head()
        layers: tuple[Layer, ...] = ()
        for entry in head.manifest.disks if head is not None else ():
            if entry.head.id == name and head is not None:
                layers, _ = layers_of(head.directory, head.manifest, entry)
        base = RawImage(intent.image, intent.before)
        return Disk(base, self._open_log(name), layers, recover=True)

    def _settle(self, graph: Graph, names: Collection[str]) -> None:
        """Their images are what these disks hold: they have no layers from now on."""
        from manager.machine.disks import open_disks

        head = self.head()
        disks = open_disks(graph, head, self._open_log, recover=True, partial=True, anew=names)
        with closing(disks):
            self._make_head(graph, disks)
        for name in names:
            self.intent(name).unlink(missing_ok=True)

    def intent(self, name: str) -> Path:
        """Where it is noted that a process writes the image of a disk."""
        return self.directory / f"{name}{_INTENT}"

    def head(self) -> Snapshot | None:
        """What the disks hold, but for the logs. Raises SnapshotCorruptError."""
        from manager.snapshot.read import open_snapshot

        path = self._store.path(HEAD)
        return open_snapshot(path) if path is not None else None

    def _make_head(self, graph: Graph, disks: Disks) -> None:
        self._store.commit(_without_ram(graph, disks), HEAD, goes_on=True)

    def _open_log(self, name: str) -> WriteLog:
        from manager.storage.write_log import WriteLog

        try:
            files.make_private(self.directory)
            return WriteLog.at(self.directory / name)
        except OSError as error:
            raise HostError(f"{self.directory}: {error.strerror}", help="free some room") from error


def _without_ram(graph: Graph, disks: Disks) -> Image:
    from manager.graph import identity
    from manager.snapshot.image import Image

    image = Image(
        machine=graph.name,
        virtual_time=0,
        executed=0,
        identity_hash=identity.identity_hash(graph),
        full_hash=identity.full_hash(graph),
        identity=identity.identity(graph),
        config=identity.to_plain(graph),
        records={},
        ram=[],
    )
    return replace(image, disks=disks)
