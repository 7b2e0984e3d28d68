# SPDX-License-Identifier: BSD-2-Clause
"""Writing a snapshot: built beside its place, made durable, then renamed into it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from manager.bus.record import Plain, Record, RecordError, describe, from_plain, to_plain
from manager.errors import HostError, VmmgrError
from manager.snapshot import cbor, preamble, ram
from manager.snapshot.faults import host_failures
from manager.snapshot.image import Image, RamRegion
from manager.snapshot.manifest import (
    PAGE,
    ChunkEntry,
    Header,
    Manifest,
    ManifestError,
    RamEntry,
    parse,
)

FILE_NAME = "snapshot.vmms"
DEVICE = "device"
SCHEMA = "schema"
TEMP_MARK = ".tmp-"


def write(directory: Path, image: Image, *, reuse: Path | None = None) -> None:
    """Write `image` as the new directory `directory`, wholly or not at all.

    When this returns, the snapshot survives a power failure. RAM that `reuse`, an earlier snapshot
    on the same filesystem, already holds is shared with it through hard links.

    Raises HostError if `directory` exists or the host refuses something, VmmgrError for state that
    does not fit its own schema; then nothing is left behind.
    """
    if os.path.lexists(directory):
        raise HostError(f"{directory} exists", help="remove it, or choose another name")
    content = _Content.of(image)
    temp = directory.parent / f".{directory.name}{TEMP_MARK}{os.getpid()}"
    help = "what was saved before is untouched"
    placed = False
    with host_failures(f"cannot write the snapshot {directory}", help):
        try:
            if temp.exists():
                shutil.rmtree(temp)
            temp.mkdir(mode=0o700)
            content.write(temp, reuse)
            sync_directory(temp)
            temp.rename(directory)
            placed = True
            sync_directory(directory.parent)
        except BaseException:
            shutil.rmtree(directory if placed else temp, ignore_errors=True)
            raise


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable. Raises OSError."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@dataclass(slots=True)
class _Content:
    """All that will be written, checked and laid out before the disk is touched."""

    file: bytes
    objects: dict[str, tuple[ram.Scan, memoryview]]

    @classmethod
    def of(cls, image: Image) -> _Content:
        objects: dict[str, tuple[ram.Scan, memoryview]] = {}
        regions: list[RamEntry] = []
        for region in sorted(image.ram, key=lambda region: region.base):
            view = memoryview(region.data).cast("B")
            _check_region(region, view)
            found = ram.scan(view)
            objects.setdefault(found.entry.file, (found, view))
            regions.append(RamEntry(region.base, len(view), found.entry.file, 0))
        try:
            chunks = _chunks(image.records)
            entries = [entry for entry, _ in chunks]
            at = preamble.SIZE
            for entry in entries:
                entry.offset = at
                at += entry.stored
            header = Header(
                image.writer,
                image.machine,
                image.virtual_time,
                image.executed,
                image.identity_hash,
                image.full_hash,
            )
            found_objects = [found.entry for found, _ in objects.values()]
            manifest = Manifest(
                header, image.identity, image.config, entries, found_objects, regions
            )
            encoded = cbor.encode(manifest.to_plain())
            # What could not be read back must not be written.
            parse(cbor.decode(encoded))
        except (ManifestError, RecordError, TypeError, ValueError) as error:
            raise VmmgrError(
                f"the machine {image.machine!r} cannot be saved: {error}",
                help="this is a defect of vmmgr; please report it with this message",
            ) from error
        head = preamble.Preamble(
            at, len(encoded), blake3(encoded).digest(), at + len(encoded), image.writer
        )
        parts = [head.pack(), *(payload for _, payload in chunks), encoded]
        return cls(b"".join(parts), objects)

    def write(self, temp: Path, reuse: Path | None) -> None:
        for found, view in self.objects.values():
            if reuse is None or not ram.link_object(reuse, temp, found.entry):
                ram.write_object(temp, found, view)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        fd = os.open(temp / FILE_NAME, flags, 0o600)
        try:
            rest = memoryview(self.file)
            while rest:
                rest = rest[os.write(fd, rest) :]
            os.fchmod(fd, ram.READ_ONLY)
            os.fsync(fd)
        finally:
            os.close(fd)


def _check_region(region: RamRegion, view: memoryview) -> None:
    if not view or region.base % PAGE or len(view) % PAGE:
        raise ValueError(f"RAM at {region.base:#x} is not a whole number of pages")


def _chunks(records: Mapping[str, Record]) -> list[tuple[ChunkEntry, bytes]]:
    chunks: list[tuple[ChunkEntry, bytes]] = []
    schemas: dict[str, Plain] = {}
    for device, record in records.items():
        kind = type(record)
        plain = to_plain(record)
        from_plain(kind, plain, kind.VERSION, device)
        schema = describe(kind)
        if schemas.setdefault(kind.TYPE, schema) != schema:
            raise ValueError(f"two schemas are called {kind.TYPE}")
        payload = cbor.encode(plain)
        identifier = f"{DEVICE}/{device}"
        entry = _entry(identifier, DEVICE, kind.TYPE, device, kind.VERSION, payload)
        chunks.append((entry, payload))
    payload = cbor.encode(schemas)
    chunks.append((_entry(SCHEMA, SCHEMA, SCHEMA, "", 1, payload), payload))
    return chunks


def _entry(
    id: str, kind: str, type: str, instance: str, version: int, payload: bytes
) -> ChunkEntry:
    return ChunkEntry(
        id=id,
        kind=kind,
        type=type,
        instance=instance,
        version=version,
        codec="none",
        stored=len(payload),
        raw=len(payload),
        hash=blake3(payload).digest(),
        mandatory=kind == DEVICE,
    )
