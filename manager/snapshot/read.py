# SPDX-License-Identifier: BSD-2-Clause
"""Reading a snapshot: everything but RAM is read, checked and decoded at open; RAM is mapped."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from blake3 import blake3

from manager.bus.memory import Ram
from manager.bus.record import Plain, Record, RecordError, from_plain
from manager.errors import SnapshotCorruptError, SnapshotMismatchError
from manager.snapshot import cbor, preamble, ram
from manager.snapshot.faults import START_OVER, corrupt, host_failures
from manager.snapshot.manifest import ChunkEntry, Header, Manifest, ManifestError, RamEntry, parse
from manager.snapshot.origin import CopiedPages, Origin
from manager.snapshot.write import DEVICE, FILE_NAME, SCHEMA

MAX_FILE = 64 << 20
"""The largest `snapshot.vmms` that is read."""

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class DeviceState:
    """A device's state as it was stored: named fields of schema `version`."""

    chunk: ChunkEntry
    fields: dict[str, Plain]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An opened snapshot. All of `snapshot.vmms` has been checked; RAM only for its size."""

    directory: Path
    preamble: preamble.Preamble
    manifest: Manifest
    states: Mapping[str, DeviceState]
    """Device id -> state, in the order they were written."""
    unknown: tuple[ChunkEntry, ...]
    """Optional chunks of kinds that this version does not know."""
    data: bytes
    """All of `snapshot.vmms`."""
    _schemas: bytes

    @property
    def file(self) -> Path:
        """Path of `snapshot.vmms`."""
        return self.directory / FILE_NAME

    @property
    def id(self) -> bytes:
        """The hash of the manifest: it stands for all of the snapshot."""
        return self.preamble.manifest_hash

    @property
    def header(self) -> Header:
        """Who wrote it, of which machine, when in virtual time."""
        return self.manifest.header

    @property
    def devices(self) -> dict[str, str]:
        """Device id -> type."""
        return {device: state.chunk.type for device, state in self.states.items()}

    @property
    def ram_size(self) -> int:
        """Bytes of guest RAM."""
        return sum(region.length for region in self.manifest.ram)

    @property
    def ram_on_disk(self) -> int:
        """Bytes that RAM takes on disk. Raises SnapshotCorruptError."""
        return self.check_objects()

    def payload(self, entry: ChunkEntry) -> bytes:
        """The stored bytes of a chunk."""
        return self.data[entry.offset : entry.offset + entry.stored]

    def check_objects(self) -> int:
        """Check that all RAM objects are there and of the right size; return their disk use.

        Raises SnapshotCorruptError.
        """
        entries, writer = self.manifest.objects, self.header.writer
        return sum(ram.disk_usage(self.directory, entry, writer) for entry in entries)

    def schema(self, type: str) -> dict[str, Plain]:
        """The stored description of a device type, as `record.describe` made it; {} if none."""
        try:
            schemas = cbor.decode(self._schemas)
        except cbor.CborError as error:
            raise self._corrupt(error.fault, chunk=SCHEMA) from None
        found = schemas.get(type) if isinstance(schemas, dict) else None
        return found if isinstance(found, dict) else {}

    def record(self, device: str, kind: type[R]) -> R:
        """The state of one device, upgraded to the present version of its record.

        Raises SnapshotMismatchError if the snapshot has no such device or it is of another type,
        SnapshotCorruptError if the state cannot be read as a `kind`.
        """
        state = self.states.get(device)
        if state is None or state.chunk.type != kind.TYPE:
            found = f"of type {state.chunk.type}, not" if state else "not there as a"
            raise SnapshotMismatchError(
                f"{self.file}: device {device} is {found} {kind.TYPE}", help=_OTHER_DEVICES
            )
        help = START_OVER
        if state.chunk.version > kind.VERSION:
            help = f"read it with vmmgr {self.header.writer} or newer"
        try:
            return from_plain(kind, state.fields, state.chunk.version, device)
        except (RecordError, LookupError, TypeError, ValueError, ArithmeticError) as error:
            # The latter come from an upgrade step that met fields of the wrong shape.
            fault = str(error) if isinstance(error, RecordError) else f"cannot upgrade: {error!r}"
            raise self._corrupt(
                fault, offset=state.chunk.offset, chunk=state.chunk.id, help=help
            ) from error

    def check_device_set(self, expected: Mapping[str, str]) -> None:
        """Compare the devices (id -> type) both ways; raises SnapshotMismatchError for all at once.

        `expected` is what the machine file asks for now.
        """
        saved = self.devices
        lines = [
            f"only in the machine file: {device} ({type})"
            for device, type in expected.items()
            if device not in saved
        ]
        lines += [
            f"only in the snapshot: {device} ({type})"
            for device, type in saved.items()
            if device not in expected
        ]
        lines += [
            f"changed: {device}: {saved[device]} in the snapshot, {type} in the machine file"
            for device, type in expected.items()
            if saved.get(device, type) != type
        ]
        if lines:
            listed = "".join(f"\n  {line}" for line in lines)
            raise SnapshotMismatchError(
                f"{self.file}: its devices are not those of the machine file{listed}",
                help=_OTHER_DEVICES,
            )

    def map_ram(self) -> list[tuple[int, Ram]]:
        """Map RAM copy-on-write, as (guest physical base, mapping); takes no time to speak of.

        Writes go to private pages, never to the files. Raises SnapshotCorruptError if a file has
        gone or changed its size, HostError if the host refuses the mapping.
        """
        objects = {entry.file: entry for entry in self.manifest.objects}
        writer = self.header.writer
        mapped: list[tuple[int, Ram]] = []
        with host_failures(f"cannot map the RAM of {self.directory}", "free some memory"):
            for entry in self.manifest.ram:
                memory = ram.map_region(self.directory, objects, entry, writer)
                memory.origin = Origin(
                    self.directory,
                    self.id,
                    objects[entry.file],
                    entry.offset,
                    CopiedPages(),
                    bytes(entry.runs),
                )
                mapped.append((entry.base, memory))
        return mapped

    def verify_ram(self) -> None:
        """Read all RAM and compare it with its hashes; raises SnapshotCorruptError."""
        regions: list[RamEntry] = self.manifest.ram
        with host_failures(f"cannot read the RAM of {self.directory}", "try again"):
            for entry in self.manifest.objects:
                ram.verify_object(self.directory, entry, regions, self.header.writer)

    def _corrupt(
        self, fault: str, *, offset: int | None = None, chunk: str = "", help: str = START_OVER
    ) -> SnapshotCorruptError:
        writer = self.header.writer
        return corrupt(self.file, fault, offset=offset, chunk=chunk, writer=writer, help=help)


_OTHER_DEVICES = (
    "bring the machine file back to what was saved, or boot afresh with `vmmgr up FILE --fresh`"
)


def verify(path: Path) -> Snapshot:
    """Open a snapshot and check every byte of it, RAM included."""
    snapshot = open_snapshot(path)
    snapshot.verify_ram()
    return snapshot


def open_snapshot(path: Path) -> Snapshot:
    """Open the snapshot in directory `path`, or the one whose `snapshot.vmms` it is.

    Checks the preamble, manifest, all chunks, and the size of each RAM file; reads no RAM. Raises
    SnapshotCorruptError for anything that is missing, damaged or of a version that is too new.
    """
    directory = path.parent if path.name == FILE_NAME else path
    # A pointer may move while we read; its target does not.
    directory = Path(os.path.realpath(directory))
    opened = decode(directory, _read_file(directory / FILE_NAME))
    with host_failures(f"cannot read {directory}", "try again"):
        opened.check_objects()
    return opened


def decode(directory: Path, data: bytes) -> Snapshot:
    """The snapshot in `directory` whose `snapshot.vmms` is `data`; RAM is not looked at.

    Raises SnapshotCorruptError.
    """
    file = directory / FILE_NAME
    head = _preamble(file, data)
    manifest = _manifest(file, head, data)
    states: dict[str, DeviceState] = {}
    unknown: list[ChunkEntry] = []
    schemas = cbor.encode({})
    for entry in manifest.chunks:
        payload = _payload(file, head, entry, data)
        if entry.kind == DEVICE:
            if entry.instance in states:
                raise _chunk_fault(file, head, entry, f"device {entry.instance} is there twice")
            states[entry.instance] = _device_state(file, head, entry, payload)
        elif entry.kind == SCHEMA and entry.version == 1 and entry.codec == "none":
            schemas = payload
        elif entry.mandatory:
            fault = f"holds {entry.kind!r}, which this vmmgr does not know and may not pass over"
            help = f"read it with vmmgr {head.writer} or newer"
            raise _chunk_fault(file, head, entry, fault, help)
        else:
            unknown.append(entry)
    return Snapshot(directory, head, manifest, states, tuple(unknown), data, schemas)


def _read_file(file: Path) -> bytes:
    try:
        fd = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as stream:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise corrupt(file, "is not a regular file")
            if status.st_size > MAX_FILE:
                raise corrupt(file, f"is larger than {MAX_FILE} bytes")
            return stream.read(MAX_FILE)
    except FileNotFoundError:
        raise corrupt(file, "there is no such snapshot", help="see `vmmgr ls`") from None
    except OSError as error:
        raise corrupt(file, f"cannot be read: {error.strerror}") from error


def _preamble(file: Path, data: bytes) -> preamble.Preamble:
    try:
        head = preamble.parse(data)
    except preamble.PreambleError as error:
        raise corrupt(file, str(error), offset=error.offset) from None
    if head.major != preamble.MAJOR:
        raise corrupt(
            file,
            f"has format {head.major}.{head.minor}; this vmmgr reads {preamble.MAJOR}.x",
            offset=8,
            writer=head.writer,
            help=f"read it with vmmgr {head.writer}",
        )
    if head.file_length != len(data):
        fault = f"expected {head.file_length} bytes, got {len(data)}"
        at = min(head.file_length, len(data))
        raise corrupt(file, fault, offset=at, writer=head.writer)
    start, length = head.manifest_offset, head.manifest_length
    if start < preamble.SIZE or start + length != len(data):
        raise corrupt(file, "the manifest is not at the end", offset=16, writer=head.writer)
    return head


def _manifest(file: Path, head: preamble.Preamble, data: bytes) -> Manifest:
    at = head.manifest_offset
    encoded = data[at:]
    if (got := blake3(encoded).digest()) != head.manifest_hash:
        fault = f"manifest: expected hash {head.manifest_hash.hex()}, got {got.hex()}"
        raise corrupt(file, fault, offset=at, writer=head.writer)
    try:
        manifest = parse(cbor.decode(encoded), newer_minor=head.minor > preamble.MINOR)
    except cbor.CborError as error:
        fault = f"manifest: {error.fault}"
        raise corrupt(file, fault, offset=at + error.offset, writer=head.writer) from None
    except ManifestError as error:
        raise corrupt(file, f"manifest: {error}", offset=at, writer=head.writer) from None
    end = preamble.SIZE
    for entry in manifest.chunks:
        if entry.offset != end:
            raise _chunk_fault(file, head, entry, f"does not begin at {end:#x}, where it has to")
        end += entry.stored
    if end != at:
        fault = f"the chunks end at {end:#x}, the manifest begins at {at:#x}"
        raise corrupt(file, fault, offset=min(end, at), writer=head.writer)
    return manifest


def _payload(file: Path, head: preamble.Preamble, entry: ChunkEntry, data: bytes) -> bytes:
    payload = data[entry.offset : entry.offset + entry.stored]
    if (got := blake3(payload).digest()) != entry.hash:
        fault = f"expected hash {entry.hash.hex()}, got {got.hex()}"
        raise _chunk_fault(file, head, entry, fault)
    return payload


def _device_state(
    file: Path, head: preamble.Preamble, entry: ChunkEntry, payload: bytes
) -> DeviceState:
    if entry.codec != "none" or entry.raw != entry.stored:
        fault = f"codec {entry.codec!r}, {entry.stored} bytes for {entry.raw}: cannot be decoded"
        raise _chunk_fault(file, head, entry, fault)
    try:
        fields = cbor.decode(payload)
    except cbor.CborError as error:
        at = entry.offset + error.offset
        raise corrupt(file, error.fault, offset=at, chunk=entry.id, writer=head.writer) from None
    if not isinstance(fields, dict):
        raise _chunk_fault(file, head, entry, "expected named fields")
    return DeviceState(entry, fields)


def _chunk_fault(
    file: Path, head: preamble.Preamble, entry: ChunkEntry, fault: str, help: str = START_OVER
) -> SnapshotCorruptError:
    return corrupt(file, fault, offset=entry.offset, chunk=entry.id, writer=head.writer, help=help)
