# SPDX-License-Identifier: BSD-2-Clause
"""Running a recorded machine again: the same input at the same times, every check compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from blake3 import blake3

from manager.bus.clock import SECOND
from manager.bus.record import Record
from manager.errors import HostError, SnapshotCorruptError, SnapshotMismatchError
from manager.lazy import dataclass
from manager.machine.boot_images import of_file
from manager.machine.inputs import Input
from manager.replay import digests
from manager.replay.entries import Check, End, Entry, Header, Heard

if TYPE_CHECKING:
    from manager.graph.nodes import Graph
    from manager.machine.machine import Machine
    from manager.snapshot.read import Snapshot

SLICE = 50_000_000
"""Virtual ns after which output is passed on."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first thing that was not as it was recorded."""

    at: int
    """Virtual time in ns of the check that failed."""
    after: int
    """Virtual time of the last check that held: what went wrong did so in between."""
    ports: tuple[str, ...] = ()
    """Ports that sent something else."""
    states: tuple[str, ...] = ()
    """Records that differ."""
    ended: str = ""
    """How one of the two ended and the other did not."""

    def lines(self) -> list[str]:
        """In plain words."""
        lines = [
            f"the replay differs at {seconds(self.at)}; up to {seconds(self.after)} it was the same"
        ]
        if self.ended:
            lines.append(f"  {self.ended}")
        lines += [f"  {port} sent something else" for port in self.ports]
        if self.states:
            lines.append(f"  different state: {', '.join(self.states)}")
        return lines


def seconds(time: int) -> str:
    """A virtual time for people, to the nanosecond.

    >>> seconds(1_500_000_001)
    '1.500000001 s'
    """
    return f"{time // SECOND}.{time % SECOND:09} s"


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


def _start_snapshot(path: str, id: str) -> Snapshot:
    """What a log begins with. Raises VmmgrError unless it is still there."""
    from manager.snapshot.read import open_snapshot

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


@dataclass(slots=True)
class _Port:
    count: int = 0
    digest: blake3 = field(default_factory=blake3)


class Replay:
    """Feeds `machine` the input that `entries` have for after its present time.

    `output` gets (port, data) as the guest sends it. Checks that lie behind are skipped; of the
    first one after a start in the middle, what ports sent is not known and only state compared.
    """

    def __init__(
        self,
        machine: Machine,
        records: Sequence[str],
        entries: Sequence[Entry],
        *,
        begun_at: int,
        output: Callable[[str, bytes], None] = lambda port, data: None,
    ) -> None:
        self.machine = machine
        self.divergence: Divergence | None = None
        self.checked = 0
        """Checks that held."""
        self.found: Mapping[str, Record] = {}
        """The state at the check that failed."""
        now = machine.now()
        self._ids = list(records)
        self._output = output
        self._ports = {id: _Port() for id in machine.ports}
        self._whole = now == begun_at
        self._last_check = now
        self._checks = [entry for entry in entries if isinstance(entry, Check) and entry.at > now]
        self._next = 0
        self._end = next((entry for entry in entries if isinstance(entry, End)), None)
        last = max([now, *(entry.at for entry in entries)])
        # Input with a later stamp than the end never arrived.
        self.last_at = self._end.at if self._end is not None else last
        self._timer = machine.clock.timer(self._due)
        for entry in entries:
            if isinstance(entry, Input) and entry.at > now:
                machine.inputs.schedule(entry)
        self._arm()

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
            self._collect()
        if self.divergence is not None or (end is None and ended is None):
            return self.divergence
        if end is not None and end.reason in ("ended", "fault") and ended is None:
            # What stopped the guest did so inside a block, perhaps after the last deadline.
            ended = machine.run(target + 1)
            self._collect()
        if (ended is not None) != (end is not None and end.reason in ("ended", "fault")):
            self._diverge(
                machine.now(),
                ended=f"the replay ended: {ended.detail}"
                if ended is not None
                else f"the recorded run ended: {end.detail if end is not None else ''}",
            )
        elif end is not None:
            self._compare(end.check)
            if self.divergence is None and end.ram:
                ram = digests.of_ram(machine.memory)
                if ram != end.ram:
                    self._diverge(end.at, states=("RAM",))
        return self.divergence

    def _arm(self) -> None:
        if self._next < len(self._checks):
            self._timer.arm(self._checks[self._next].at)

    def _due(self) -> None:
        self._collect()
        check = self._checks[self._next]
        self._next += 1
        self._compare(check)
        if self.divergence is None:
            self._arm()

    def _collect(self) -> None:
        for id, port in self.machine.ports.items():
            if data := port.take_output():
                self._ports[id].count += len(data)
                self._ports[id].digest.update(data)
                self._output(id, data)

    def _compare(self, check: Check) -> None:
        states = self.machine.records()
        different = digests.differing(self._ids, check.states, digests.joined(states))
        ports = []
        for id, port in self._ports.items():
            if self._whole and check.ports is not None:
                heard = check.ports.get(id, Heard(0, b""))
                sent = (port.count, port.digest.digest(digests.OUTPUT_BYTES) if port.count else b"")
                if sent != (heard.count, heard.digest):
                    ports.append(id)
            self._ports[id] = _Port()
        if different or ports:
            self.found = states
            self._diverge(check.at, ports=tuple(ports), states=tuple(different))
            return
        self._whole = True
        self._last_check = check.at
        self.checked += 1

    def _diverge(
        self,
        at: int,
        ports: tuple[str, ...] = (),
        states: tuple[str, ...] = (),
        ended: str = "",
    ) -> None:
        self.divergence = Divergence(at, self._last_check, ports, states, ended)
        self._timer.disarm()
        self.machine.stop()
