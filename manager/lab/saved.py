# SPDX-License-Identifier: BSD-2-Clause
"""A lab's snapshot: those of its machines, taken at one time, and the record that makes them one.

The record lies in a numbered directory of the lab's own store; each machine has its snapshot in
its own store, tagged by that number. The link to the number is moved last: until then the lab's
state is the one before, whole, and what machines have saved for the new one leads nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from manager import cbor, files
from manager.bus.record import NEVER
from manager.errors import SnapshotCorruptError
from manager.lab.parts import drop_orphans, member_tag
from manager.lazy import dataclass
from manager.names import NAME
from manager.snapshot.faults import corrupt
from manager.snapshot.read import Snapshot, open_snapshot
from manager.snapshot.store import CURRENT, Store
from manager.snapshot.write import building

if TYPE_CHECKING:
    from manager.bus.record import Plain
    from manager.machine.ended import Ended
    from manager.snapshot.image import Image

RECORD = "lab.cbor"
"""The record's file: BLAKE3 of the rest, 32 bytes, and a map in CBOR."""
FORMAT = 1
LARGEST = 256 << 20
"""Bytes of a record."""
_DIGEST = 32


@dataclass(frozen=True, slots=True)
class Over:
    """A machine that came to its end before its lab."""

    kind: str
    """`fault` where it was no end that the guest meant, and others of manager.vmm.outcome."""
    status: int
    """The exit code that says so."""
    detail: str

    @classmethod
    def of_guest(cls, ended: Ended) -> Over:
        """The guest's own end."""
        return cls("fault" if ended.is_fault else "ended", int(ended.status), ended.detail)


def last_word(over: Mapping[str, Over]) -> Over:
    """How a lab ended whose machines all did: as the first by name that was not as it should be."""
    ends = sorted(over.items())
    name, last = next(((name, end) for name, end in ends if end.status), ends[-1])
    faulted = any(end.kind == "fault" for end in over.values())
    return Over("fault" if faulted else "ended", last.status, f"{name}: {last.detail}")


@dataclass(frozen=True, slots=True)
class LabRecord:
    """What a lab is beside its machines."""

    now: int
    """The end of the last quantum, ns of virtual time."""
    identity: str
    """Hash of what the guests can see of the lab."""
    wires: Mapping[str, Plain]
    """What is under way on links and cables, and between a machine and them."""
    over: Mapping[str, Over]
    config: Mapping[str, Plain] = field(default_factory=dict)
    """The lab itself, see manager.graph.lab_plain; empty where that was not written down."""


@dataclass(frozen=True, slots=True)
class LabSnapshot:
    """A lab's snapshot, as it was opened."""

    directory: Path
    record: LabRecord
    machines: Mapping[str, Snapshot]
    """Each machine's, by its name in the lab; without those that are over."""


@dataclass(frozen=True, slots=True)
class LabStore:
    """Where snapshots of a lab are."""

    own: Path
    """The store of records."""
    member: Callable[[str], Path]
    """The store of a machine, by its name in the lab."""
    name: str = "the lab"
    """For messages."""

    def commit(
        self,
        record: LabRecord,
        images: Mapping[str, Image],
        tag: str = CURRENT,
        *,
        goes_on: bool = False,
    ) -> tuple[Path, dict[str, Path]]:
        """Save all machines and the record, and make `tag` name that; each machine's snapshot.

        Raises HostError, VmmgrError; then `tag` names what it did before.
        """
        saved: dict[str, Path] = {}

        def put(own_tag: str) -> tuple[LabRecord, Mapping[str, Path]]:
            for name, image in images.items():
                saved[name] = Store(self.member(name)).commit(image, own_tag, goes_on=goes_on)
            return record, saved

        return self.add(tag, put), saved

    def add(self, tag: str, put: Callable[[str], tuple[LabRecord, Mapping[str, Path]]]) -> Path:
        """Have `put` add each machine's snapshot to its own store, and make `tag` name all of it.

        `put` is told the tag of the machines' snapshots, and returns the lab's record and where
        these are. Raises HostError, and what `put` does; then `tag` names what it did before.
        """
        names: list[str] = []

        def fill(target: Path) -> None:
            record, saved = put(member_tag(target.name))
            names.extend((*saved, *record.over))
            ids = {name: open_snapshot(path).id for name, path in saved.items()}
            with building(target) as folder:
                files.replace(folder / RECORD, encode(record, ids))

        directory = Store(self.own).add(tag, fill)
        drop_orphans(self.own, map(self.member, names))
        return directory

    def open(self, tag: str = CURRENT) -> LabSnapshot:
        """Read and check a record, and that the machines' snapshots are those it was made with.

        Raises SnapshotCorruptError.
        """
        directory = Store(self.own).path(tag)
        if directory is None:
            raise SnapshotCorruptError(f"{self.own}: the suspended state is gone")
        return self.open_at(directory)

    def open_at(self, directory: Path) -> LabSnapshot:
        """The same for a directory of the store. Raises SnapshotCorruptError."""
        file = directory / RECORD
        try:
            data = files.read_own(file, LARGEST)
        except OSError as error:
            raise corrupt(file, f"cannot be read: {error.strerror}") from None
        record, ids = decode(file, data)
        machines = {}
        for name, id in ids.items():
            path = Store(self.member(name)).path(member_tag(directory.name))
            if path is None or (machine := open_snapshot(path)).id != id:
                raise corrupt(file, f"the state of {self.name}/{name} is not the one saved with it")
            if machine.header.virtual_time < record.now:
                raise corrupt(file, f"{self.name}/{name} is behind the time of the lab")
            machines[name] = machine
        return LabSnapshot(directory, record, machines)


def encode(record: LabRecord, ids: Mapping[str, bytes]) -> bytes:
    """The record's file; `ids` are those of the machines' snapshots, by name."""
    machines: dict[str, Plain] = dict(ids)
    over: dict[str, Plain] = {
        name: {"kind": end.kind, "status": end.status, "detail": end.detail}
        for name, end in record.over.items()
    }
    data = cbor.encode(
        {
            "format": FORMAT,
            "now": record.now,
            "identity": record.identity,
            "wires": dict(record.wires),
            "machines": machines,
            "over": over,
            "config": dict(record.config),
        }
    )
    return blake3(data).digest() + data


def decode(file: Path, data: bytes) -> tuple[LabRecord, dict[str, bytes]]:
    """What `encode` was given. Raises SnapshotCorruptError, which is about `file`."""
    if blake3(data[_DIGEST:]).digest() != data[:_DIGEST]:
        raise corrupt(file, "its content is not what was written")
    try:
        return _read(cbor.decode(data[_DIGEST:]))
    except (ValueError, LookupError, TypeError) as error:
        raise corrupt(file, f"this version cannot read it: {error}") from None


def _read(plain: Any) -> tuple[LabRecord, dict[str, bytes]]:
    if plain["format"] != FORMAT:
        raise ValueError(f"format {plain['format']}")
    now, identity, wires, ids, ends = (
        plain[key] for key in ("now", "identity", "wires", "machines", "over")
    )
    config = plain.get("config", {})
    if type(now) is not int or not 0 <= now < NEVER or not isinstance(identity, str):
        raise ValueError("its time or its identity is none")
    if not all(isinstance(item, dict) for item in (wires, ids, ends, config)) or not ids | ends:
        raise ValueError("a part of it is no map, or it has no machine")
    if not all(isinstance(id, bytes) for id in ids.values()):
        raise ValueError("the id of a snapshot is none")
    if wrong := [name for name in (*ids, *ends) if NAME.fullmatch(name) is None]:
        raise ValueError(f"{wrong[0]!r} is no name of a machine")
    over = {name: Over(**end) for name, end in ends.items()}
    for end in over.values():
        if (type(end.kind), type(end.status), type(end.detail)) != (str, int, str):
            raise ValueError("the end of a machine is none")
    return LabRecord(now, identity, wires, over, config), dict(sorted(ids.items()))
