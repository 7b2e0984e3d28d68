# SPDX-License-Identifier: BSD-2-Clause
"""Whether a snapshot fits a machine file, checked before anything is restored."""

from __future__ import annotations

from collections.abc import Mapping

from manager.bus.memory import layout
from manager.bus.record import Plain
from manager.errors import SnapshotMismatchError
from manager.graph.boot_files import boot_files
from manager.graph.differences import differences
from manager.graph.identity import identity, identity_hash
from manager.graph.nodes import Graph
from manager.machine import bar_memory
from manager.machine.boot_images import of_file
from manager.snapshot.read import Snapshot


def check_images(graph: Graph, snapshot: Snapshot) -> None:
    """Raises SnapshotMismatchError when the machine was booted from other files than are there.

    A file that is gone, or was not known when the snapshot was written, is not compared; nor is a
    snapshot that does not fit anyway, which `check` says better.
    """
    if snapshot.header.identity_hash != identity_hash(graph):
        return
    lines = []
    for key, path in boot_files(graph.boot).items():
        saved = snapshot.images.get(key)
        if saved is not None and path.is_file() and of_file(path) != saved:
            lines.append(f"  - boot.{key}: {path} is not the file that the machine was booted from")
    if lines:
        listed = "\n".join(lines)
        raise SnapshotMismatchError(
            f"{graph.source}: the suspended machine was booted from something else\n{listed}",
            help="boot what is there now with `vmmgr up --fresh`, or bring the old file back",
        )


def check(graph: Graph, snapshot: Snapshot, *, any_schedule: bool = False) -> None:
    """Raises SnapshotMismatchError, naming every difference, unless the snapshot fits `graph`.

    With `any_schedule` it does not matter how its CPUs had their turns.
    """
    saved = snapshot.manifest.identity
    current = identity(graph)
    assert isinstance(saved, Mapping)
    if any_schedule:
        saved, current = _without_schedule(saved), _without_schedule(current)
    lines = [str(difference) for difference in differences(saved, current)]
    regions = [(region.base, region.length) for region in snapshot.manifest.ram]
    if not lines and regions != [*layout(graph.memory_size), *bar_memory.layout(graph)]:
        lines.append("memory: the snapshot's RAM is laid out otherwise")
    if not lines:
        return
    listed = "\n".join(f"  - {line}" for line in lines)
    raise SnapshotMismatchError(
        f"{graph.source}: the suspended machine is not the one in the machine file\n{listed}\n"
        f"  identity in the snapshot: {snapshot.header.identity_hash}\n"
        f"  identity of the file:     {identity_hash(graph)}",
        help="undo these changes, or get the file that fits with `vmmgr snapshot show --config "
        f"{graph.name} > old.toml`, or drop the suspended state with `vmmgr discard {graph.name}`",
    )


def _without_schedule(identity: Mapping[str, Plain]) -> dict[str, Plain]:
    cpu = identity.get("cpu")
    if not isinstance(cpu, Mapping):
        return dict(identity)
    left_out = ("schedule", "quantum")
    return {**identity, "cpu": {key: item for key, item in cpu.items() if key not in left_out}}
