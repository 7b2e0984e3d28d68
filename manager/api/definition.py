# SPDX-License-Identifier: BSD-2-Clause
"""A machine file, checked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from manager.api.machine import Machine
from manager.errors import UsageError

if TYPE_CHECKING:
    from manager.api.snapshot import Snapshot
    from manager.graph.nodes import Graph

Settings = Mapping[str, object]


def load(path: str | os.PathLike[str], set: Settings | None = None) -> Definition:
    """Read and check a machine file. `set` changes variables and keys, as `--set` does.

    Raises UsageError with every error in the file, or when a file to boot from is missing.

    >>> load("machines/hello.toml", set={"memory.size": "32M"}).memory_size
    33554432
    """
    from manager.graph.build import load_graph

    settings = [f"{key}={_text(value)}" for key, value in (set or {}).items()]
    return Definition(load_graph(Path(path), settings, require_files=True))


class Definition:
    """What a machine file declares. Machines are made of it, as many as you like."""

    __slots__ = ("_graph",)

    def __init__(self, graph: Graph) -> None:
        """Use `load`."""
        self._graph = graph

    @property
    def name(self) -> str:
        """The machine's name."""
        return self._graph.name

    @property
    def path(self) -> Path:
        """The machine file, as an absolute path."""
        return self._graph.source

    @property
    def memory_size(self) -> int:
        """Bytes of RAM."""
        return self._graph.memory_size

    @property
    def ports(self) -> tuple[str, ...]:
        """What the serial ports are called: "com1", "slots.4"."""
        return tuple(node.port_name for node in self._graph.serial_ports())

    @property
    def identity(self) -> str:
        """The hash of all that the guest can see: a snapshot fits when its own is equal."""
        from manager.graph.identity import identity_hash

        return identity_hash(self._graph)

    @property
    def graph(self) -> Graph:
        """The device graph. Not covered by the promise of docs/python-api.md."""
        return self._graph

    def boot(self) -> Machine:
        """A new machine, about to execute its first instruction. Raises VmmgrError."""
        from manager.machine.machine import Machine as Core

        return Machine(self, Core.power_on(self._graph))

    def resume(self, snapshot: Snapshot | str | os.PathLike[str]) -> Machine:
        """A machine that goes on where the snapshot was taken; the snapshot stays as it is.

        Raises SnapshotMismatchError when it is another machine's, SnapshotCorruptError.
        """
        from manager.api.snapshot import Snapshot
        from manager.machine.machine import Machine as Core
        from manager.machine.match import check_images

        opened = snapshot if isinstance(snapshot, Snapshot) else Snapshot.open(snapshot)
        check_images(self._graph, opened.stored)
        return Machine(self, Core.restore(self._graph, opened.stored))

    def __repr__(self) -> str:
        return f"<Definition {self.name} from {self.path}>"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise UsageError(f"{value!r} cannot be set", help="give text, a number, True or False")
