# SPDX-License-Identifier: BSD-2-Clause
"""Running a recorded machine again: the same input at the same times, every check compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from manager.errors import HostError, SnapshotCorruptError, SnapshotMismatchError
from manager.machine.boot_images import of_file
from manager.machine.inputs import Input
from manager.replay.checks import OF_ITSELF, Checks, Divergence, end_of
from manager.replay.entries import Entry, Header

if TYPE_CHECKING:
    from manager.graph.nodes import Graph
    from manager.machine.machine import Machine
    from manager.snapshot.read import Snapshot

SLICE = 50_000_000
"""Virtual ns after which output is passed on."""


def graph_of(header: Header) -> Graph:
    """The machine of a log. Raises SnapshotCorruptError."""
    from manager.graph.plain import GraphFormatError, from_plain

    try:
        return from_plain(header.config)
    except GraphFormatError as error:
        raise SnapshotCorruptError(f"the log's machine cannot be read: {error}") from None


def check_images(header: Header) -> None:
    """Raise SnapshotMismatchError unless the boot files are what they were, HostError for none."""
    changed = []
    for path, digest in header.images.items():
        try:
            found = of_file(Path(path))
        except HostError as error:
            raise HostError(
                error.message,
                help="a log names the machine's files: put it back, or a link to where it is now",
            ) from None
        if found != digest:
            changed.append(path)
    if changed:
        raise SnapshotMismatchError(
            f"{', '.join(changed)}: not what the recorded machine was booted from",
            help="put the file back, or replay `--from` a snapshot that was made after the boot",
        )


def machine_at_start(header: Header) -> Machine:
    """A machine where the log begins. Raises VmmgrError."""
    from manager.machine.disks import open_disks
    from manager.machine.machine import Machine

    graph = graph_of(header)
    if not header.start.snapshot:
        check_images(header)
        if not header.start.disks:
            return Machine.power_on(graph)
        held = _start_snapshot(header.start.path, header.start.disks)
        return Machine.power_on(graph, disks=open_disks(graph, held))
    return restored(graph, _start_snapshot(header.start.path, header.start.snapshot))


class StateGoneError(SnapshotMismatchError):
    """A recording begins with a state that was powered off or removed since."""

    def __init__(self, where: str) -> None:
        super().__init__(
            f"{where}: the state that the recording begins with is gone",
            help="replay `--from` a snapshot that was made later; what is saved, imported or "
            "restored under a TAG stays when the machine is powered off",
        )


def _start_snapshot(path: str, id: str) -> Snapshot:
    """What a log begins with. Raises VmmgrError unless it is still there."""
    from manager.snapshot.read import open_snapshot

    if not Path(path).exists():
        raise StateGoneError(path)
    opened = open_snapshot(Path(path))
    if opened.id.hex() != id:
        raise SnapshotMismatchError(
            f"{path} is not the snapshot that the log begins with",
            help="it was replaced since; replay an older or newer log",
        )
    return opened


def restored(graph: Graph, snapshot: Snapshot) -> Machine:
    """The machine of a snapshot."""
    from manager.machine.machine import Machine

    return Machine.restore(graph, snapshot)


class Replay(Checks):
    """Feeds `machine` the input that `entries` have for after its present time, and compares."""

    def __init__(
        self,
        machine: Machine,
        records: Sequence[str],
        entries: Sequence[Entry],
        *,
        begun_at: int,
        output: Callable[[str, bytes], None] = lambda port, data: None,
    ) -> None:
        super().__init__(machine, records, entries, begun_at=begun_at, output=output)
        now = machine.now()
        self._end = end_of(entries)
        last = max([now, *(entry.at for entry in entries)])
        # Input with a later stamp than the end never arrived.
        self.last_at = self._end.at if self._end is not None else last
        for entry in entries:
            if isinstance(entry, Input) and entry.at > now:
                machine.inputs.schedule(entry)

    def run(self, until: int | None = None) -> Divergence | None:
        """Go to `until`, or to the end of what was recorded; the first divergence stops it.

        Nothing is known behind a recorded end, so it stops there at the latest.
        """
        machine = self.machine
        target = self.last_at if until is None else until
        if self._end is not None:
            target = min(target, self._end.at)
        end = self._end if self._end is not None and target >= self._end.at else None
        ended = None
        while self.divergence is None and ended is None and machine.now() < target:
            ended = machine.run(min(machine.now() + SLICE, target))
            self.collect()
        if self.divergence is not None or (end is None and ended is None):
            return self.divergence
        if end is not None and end.reason in OF_ITSELF and ended is None:
            # What stopped the guest did so inside a block, perhaps after the last deadline.
            ended = machine.run(target + 1)
            self.collect()
        self.compare_how_it_ended(end, ended)
        return self.divergence
