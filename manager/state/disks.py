# SPDX-License-Identifier: BSD-2-Clause
"""A machine's disks between its runs, and while it runs.

What they hold is a snapshot without RAM, the head, and a log of what was written since, which
survives a process that is killed. A snapshot of the running machine becomes the head as well,
before the log is emptied: what the log holds is in the new head already, so at every instant head
and log together are what the guest has written.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from manager.errors import HostError
from manager.snapshot.store import HEAD, Store
from manager.state.paths import MachinePaths

if TYPE_CHECKING:
    from manager.graph.nodes import Graph
    from manager.machine.disks import Disks
    from manager.snapshot.image import Image
    from manager.snapshot.read import Snapshot
    from manager.storage.write_log import WriteLog


BOOT = "boot-disks"
"""The link to what the disks held when the machine was last booted: where a replay begins."""


class MachineDisks:
    """The disks of the machine with these paths. Only the process that owns it may use this."""

    def __init__(self, paths: MachinePaths) -> None:
        self._store = Store(paths.snapshots)
        self._directory = paths.directory / "disks"

    def for_boot(self, graph: Graph) -> Disks | None:
        """As the last run left them; None when the machine has none.

        Raises SnapshotMismatchError when an image has changed since, HostError, UsageError.
        """
        from manager.machine.disks import open_disks
        from manager.snapshot.read import open_snapshot

        if not graph.disks:
            return None
        head = self._store.path(HEAD)
        snapshot = open_snapshot(head) if head is not None else None
        disks = open_disks(graph, snapshot, self._open_log, recover=True, partial=True)
        self._make_head(graph, disks)
        return disks

    def for_resume(self, graph: Graph, snapshot: Snapshot) -> Disks | None:
        """As `snapshot` holds them; what was written since is dropped.

        Raises SnapshotMismatchError when an image has changed since, HostError, UsageError.
        """
        from manager.machine.disks import open_disks

        if not graph.disks:
            return None
        disks = open_disks(graph, snapshot, self._open_log)
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

    def reset(self) -> None:
        """Forget all that was written: the disks begin anew. Raises HostError."""
        self._store.discard(HEAD)
        for path in self._directory.glob("*") if self._directory.is_dir() else ():
            path.unlink(missing_ok=True)

    def _make_head(self, graph: Graph, disks: Disks) -> None:
        self._store.commit(_without_ram(graph, disks), HEAD, goes_on=True)

    def _open_log(self, name: str) -> WriteLog:
        from manager.storage.write_log import WriteLog

        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            return WriteLog.at(self._directory / name)
        except OSError as error:
            raise HostError(
                f"{self._directory}: {error.strerror}", help="free some room"
            ) from error


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
