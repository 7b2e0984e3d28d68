# SPDX-License-Identifier: BSD-2-Clause
"""Reading a snapshot: everything but RAM is read, checked and decoded at open; RAM is mapped."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

from manager import cbor
from manager.bus.memory import Ram
from manager.bus.record import Plain, Record, RecordError, from_plain
from manager.errors import SnapshotCorruptError, SnapshotMismatchError
from manager.lazy import dataclass
from manager.snapshot import ram
from manager.snapshot.backing import Backing, CopiedPages
from manager.snapshot.check import Advance, unwatched, verify_object
from manager.snapshot.decode import DeviceState, State, decode_state
from manager.snapshot.faults import START_OVER, corrupt, host_failures
from manager.snapshot.manifest import ChunkEntry, Header, Manifest
from manager.snapshot.places import place_of
from manager.snapshot.preamble import Preamble
from manager.snapshot.write import FILE_NAME, SCHEMA

MAX_FILE = 64 << 20
"""The largest `snapshot.vmms` that is read."""

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An opened snapshot. All of `snapshot.vmms` has been checked; RAM only for its size."""

    directory: Path
    _state: State
    data: bytes
    """All of `snapshot.vmms`."""

    @property
    def preamble(self) -> Preamble:
        """Of `snapshot.vmms`."""
        return self._state.preamble

    @property
    def manifest(self) -> Manifest:
        """What the snapshot says about itself."""
        return self._state.manifest

    @property
    def states(self) -> Mapping[str, DeviceState]:
        """Device id -> state, in the order they were written."""
        return self._state.devices

    @property
    def images(self) -> Mapping[str, str]:
        """Key of `[boot]` -> digest of the file booted from; empty where it is not known."""
        return self._state.images

    @property
    def unknown(self) -> tuple[ChunkEntry, ...]:
        """Optional chunks of kinds that this version does not know."""
        return self._state.unknown

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
        return self._on_disk(
            {name for entry in self.manifest.ram for name in (entry.file, entry.delta)}
        )

    @property
    def disks_on_disk(self) -> int:
        """Bytes that the layers of disks take on the host. Raises SnapshotCorruptError."""
        return self._on_disk({one.file for disk in self.manifest.disks for one in disk.layers})

    def payload(self, entry: ChunkEntry) -> bytes:
        """The stored bytes of a chunk."""
        return self.data[entry.offset : entry.offset + entry.stored]

    def check_objects(self) -> int:
        """Check that all objects are there and of the right size; return their disk use.

        Raises SnapshotCorruptError.
        """
        return self._on_disk({entry.file for entry in self.manifest.objects})

    def _on_disk(self, names: set[str]) -> int:
        entries, writer = self.manifest.objects, self.header.writer
        wanted = (entry for entry in entries if entry.file in names)
        return sum(ram.disk_usage(self.directory, entry, writer) for entry in wanted)

    def schema(self, type: str) -> dict[str, Plain]:
        """The stored description of a device type, as `record.describe` made it; {} if none."""
        try:
            schemas = cbor.decode(self._state.schemas)
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
        """Map RAM copy-on-write, as (guest physical base, mapping), in constant time.

        Writes go to private pages, never to the files. Raises SnapshotCorruptError if a file has
        gone or changed its size, HostError if the host refuses the mapping.
        """
        objects = {entry.file: entry for entry in self.manifest.objects}
        writer = self.header.writer
        mapped: list[tuple[int, Ram]] = []
        with host_failures(f"cannot map the RAM of {self.directory}", "free some memory"):
            for entry in self.manifest.ram:
                memory = ram.map_region(self.directory, objects, entry, writer)
                memory.backing = Backing(
                    self.directory,
                    self.id,
                    objects[entry.file],
                    entry.offset,
                    CopiedPages(),
                    bytes(entry.runs),
                )
                mapped.append((entry.base, memory))
        return mapped

    def verify_ram(self, advance: Advance = unwatched) -> None:
        """Read all RAM and disk layers and compare with the hashes; raises SnapshotCorruptError."""
        manifest = self.manifest
        with host_failures(f"cannot read the RAM of {self.directory}", "try again"):
            for entry in manifest.objects:
                where = partial(place_of, manifest, entry.file)
                verify_object(self.directory, entry, where, self.header.writer, advance)

    def _corrupt(
        self, fault: str, *, offset: int | None = None, chunk: str = "", help: str = START_OVER
    ) -> SnapshotCorruptError:
        writer = self.header.writer
        return corrupt(self.file, fault, offset=offset, chunk=chunk, writer=writer, help=help)


_OTHER_DEVICES = (
    "bring the machine file back to what was saved, or boot afresh with `vmmgr up FILE --fresh`"
)


def verify_snapshot(path: Path, advance: Advance = unwatched) -> Snapshot:
    """Open a snapshot and check every byte of it, RAM included."""
    snapshot = open_snapshot(path)
    snapshot.verify_ram(advance)
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
    return Snapshot(directory, decode_state(directory / FILE_NAME, data), data)


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
        raise corrupt(file, "there is no such snapshot", help="see `vmmgr snapshot ls`") from None
    except OSError as error:
        raise corrupt(file, f"cannot be read: {error.strerror}") from error
