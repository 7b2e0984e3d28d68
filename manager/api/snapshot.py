# SPDX-License-Identifier: BSD-2-Clause
"""A machine that was written down."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manager.errors import SnapshotCorruptError

if TYPE_CHECKING:
    from manager.api.machine import Machine
    from manager.snapshot.read import Snapshot as Stored


class Snapshot:
    """A snapshot's directory, opened: its state is checked, its RAM is only mapped when needed."""

    __slots__ = ("_stored",)

    def __init__(self, stored: Stored) -> None:
        """Use `Snapshot.open`."""
        self._stored = stored

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Snapshot:
        """Open the snapshot in directory `path`. Raises SnapshotCorruptError."""
        from manager.snapshot.read import open_snapshot

        return cls(open_snapshot(Path(path)))

    @property
    def path(self) -> Path:
        """Its directory."""
        return self._stored.directory

    @property
    def machine(self) -> str:
        """The name of the machine that it is of."""
        return self._stored.header.machine

    @property
    def time(self) -> int:
        """When it was taken: ns of virtual time."""
        return self._stored.header.virtual_time

    @property
    def identity(self) -> str:
        """The hash of all that the guest can see of its machine."""
        return self._stored.header.identity_hash

    @property
    def devices(self) -> dict[str, str]:
        """Device id -> type of its state, the CPU among them."""
        return self._stored.devices

    @property
    def stored(self) -> Stored:
        """What was read. Not covered by the promise of docs/python-api.md."""
        return self._stored

    def device(self, id: str) -> dict[str, Any]:
        """The state of one device: named fields. Raises KeyError."""
        return dict(self._stored.states[id].fields)

    def verify(self) -> None:
        """Check every byte of it, RAM included. Raises SnapshotCorruptError."""
        self._stored.verify_ram()

    def resume(self) -> Machine:
        """The machine, with the machine file as it was when the snapshot was taken."""
        from manager.api.definition import Definition
        from manager.graph.plain import GraphFormatError, from_plain

        try:
            graph = from_plain(self._stored.manifest.config)
        except GraphFormatError as error:
            raise SnapshotCorruptError(f"{self.path}: its configuration: {error}") from None
        return Definition(graph).resume(self)

    def __repr__(self) -> str:
        return f"<Snapshot of {self.machine} at {self.time} ns in {self.path}>"
