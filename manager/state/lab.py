# SPDX-License-Identifier: BSD-2-Clause
"""A lab's snapshot: those of its machines, taken at one time, and the record that makes them one.

The record lies in a numbered directory of the lab's own store; each machine has its snapshot in
its own store, tagged by that number. The link to the number is moved last: until then the lab's
state is the one before, whole, and what machines have saved for the new one leads nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from manager import cbor, files
from manager.errors import SnapshotCorruptError
from manager.lazy import dataclass
from manager.snapshot.faults import corrupt
from manager.snapshot.read import open_snapshot, verify_snapshot
from manager.snapshot.store import CURRENT, Store
from manager.snapshot.write import building
from manager.state.saved import drop_orphans, member_tag

if TYPE_CHECKING:
    from manager.bus.record import Plain
    from manager.snapshot.image import Image
    from manager.state.paths import MachinePaths

RECORD = "lab.cbor"
"""The record's file: BLAKE3 of the rest, 32 bytes, and a map in CBOR."""
FORMAT = 1
_DIGEST = 32
_LARGEST = 256 << 20


@dataclass(frozen=True, slots=True)
class Over:
    """A machine that came to its end before its lab."""

    kind: str
    status: int
    """The exit code that says so."""
    detail: str


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


@dataclass(frozen=True, slots=True)
class LabSnapshot:
    """A lab's snapshot, as it was opened."""

    directory: Path
    record: LabRecord
    ids: Mapping[str, bytes]
    """Of each machine's snapshot; without those that are over."""


def commit(
    lab: MachinePaths,
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

    def fill(target: Path) -> None:
        for name, image in images.items():
            store = Store(lab.member(name).snapshots)
            saved[name] = store.commit(image, member_tag(target.name), goes_on=goes_on)
        ids: dict[str, Plain] = {
            name: open_snapshot(path).id for name, path in sorted(saved.items())
        }
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
                "machines": ids,
                "over": over,
            }
        )
        with building(target) as folder:
            files.replace(folder / RECORD, blake3(data).digest() + data)

    directory = Store(lab.snapshots).add(tag, fill)
    drop_orphans(lab)
    return directory, saved


def open_lab(lab: MachinePaths, tag: str = CURRENT) -> LabSnapshot:
    """Read and check a lab's record, and that its machines' snapshots are those it was made with.

    Raises SnapshotCorruptError.
    """
    directory = Store(lab.snapshots).path(tag)
    if directory is None:
        raise SnapshotCorruptError(f"{lab.snapshots}: the suspended state is gone")
    file = directory / RECORD
    try:
        data = files.read_own(file, _LARGEST)
    except OSError as error:
        raise corrupt(file, f"cannot be read: {error.strerror}") from None
    if blake3(data[_DIGEST:]).digest() != data[:_DIGEST]:
        raise corrupt(file, "its content is not what was written")
    try:
        snapshot = _read(directory, cbor.decode(data[_DIGEST:]))
    except (ValueError, LookupError, TypeError) as error:
        raise corrupt(file, f"this version cannot read it: {error}") from None
    for name, id in snapshot.ids.items():
        path = Store(lab.member(name).snapshots).path(member_tag(directory.name))
        if path is None or open_snapshot(path).id != id:
            raise corrupt(file, f"the state of {lab.name}/{name} is not the one saved with it")
    return snapshot


def verify_lab(lab: MachinePaths) -> None:
    """Check all of a lab's suspended state, RAM too. Raises SnapshotCorruptError."""
    snapshot = open_lab(lab)
    for name in snapshot.ids:
        verify_snapshot(
            Store(lab.member(name).snapshots).root / member_tag(snapshot.directory.name)
        )


def _read(directory: Path, plain: Any) -> LabSnapshot:
    if plain["format"] != FORMAT:
        raise ValueError(f"format {plain['format']}")
    over = {name: Over(**end) for name, end in plain["over"].items()}
    record = LabRecord(plain["now"], plain["identity"], plain["wires"], over)
    return LabSnapshot(directory, record, plain["machines"])
