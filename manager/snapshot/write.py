# SPDX-License-Identifier: BSD-2-Clause
"""Writing a snapshot: built beside its place, made durable, then renamed into it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from blake3 import blake3

from manager import cbor, files
from manager.bus.record import Plain, Record, RecordError, describe, from_plain, to_plain
from manager.errors import HostError, VmmgrError
from manager.lazy import dataclass
from manager.snapshot import preamble, ram
from manager.snapshot.faults import host_failures
from manager.snapshot.image import Image
from manager.snapshot.manifest import (
    DISKS,
    ChunkEntry,
    Header,
    Manifest,
    ManifestError,
    Parent,
    parse,
)
from manager.snapshot.save_disks import SavedDisks
from manager.snapshot.save_ram import SavedRam
from manager.snapshot.written import Written

FILE_NAME = "snapshot.vmms"
DEVICE = "device"
SCHEMA = "schema"
IMAGES = "images"
TEMP_MARK = ".tmp-"
UNTOUCHED = "what was saved before is untouched"


def write_snapshot(directory: Path, image: Image, *, reuse: Path | None = None) -> Written:
    """Write `image` as the new directory `directory`, wholly or not at all.

    When this returns, the snapshot survives a power failure. Of RAM that came from a snapshot on
    the same filesystem, only the pages that differ from it are written. RAM that `reuse`, an
    earlier snapshot, already holds is shared with it through hard links.

    Raises HostError if `directory` exists or the host refuses something, VmmgrError for state that
    does not fit its own schema; then nothing is left behind.
    """
    with building(directory) as temp:
        saved = SavedRam.write(image.ram, temp, reuse)
        disks = SavedDisks.write(image.disks, temp)
        content = layout(image, saved, disks)
        write_state(temp, content.file)
    return Written(directory, content.id, content.manifest, saved.fresh)


@contextmanager
def building(directory: Path) -> Iterator[Path]:
    """A directory to fill, which becomes `directory`, durably, when the block ends well.

    Raises HostError, for an OSError inside too; then nothing is left behind.
    """
    if os.path.lexists(directory):
        raise HostError(f"{directory} exists", help="remove it, or choose another name")
    temp = directory.parent / f".{directory.name}{TEMP_MARK}{os.getpid()}"
    placed = False
    with host_failures(f"cannot write the snapshot {directory}", UNTOUCHED):
        try:
            if temp.exists():
                shutil.rmtree(temp)
            temp.mkdir(mode=0o700)
            yield temp
            files.sync_directory(temp)
            temp.rename(directory)
            placed = True
            files.sync_directory(directory.parent)
        except BaseException:
            shutil.rmtree(directory if placed else temp, ignore_errors=True)
            raise


@dataclass(frozen=True, slots=True)
class Content:
    """All of `snapshot.vmms`."""

    file: bytes
    id: bytes
    manifest: Manifest


def write_state(directory: Path, data: bytes) -> None:
    """Write `snapshot.vmms`, durably. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    fd = os.open(directory / FILE_NAME, flags, 0o600)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
        os.fchmod(fd, ram.READ_ONLY)
        os.fsync(fd)
    finally:
        os.close(fd)


def layout(image: Image, saved: SavedRam, disks: SavedDisks) -> Content:
    """Lay out the state of a machine whose RAM and disks are written. Raises VmmgrError."""
    try:
        header = Header(
            image.writer,
            image.machine,
            image.virtual_time,
            image.executed,
            image.identity_hash,
            image.full_hash,
        )
        chunks = _chunks(image.records, image.images)
        manifest = Manifest(
            header,
            image.identity,
            image.config,
            [entry for entry, _ in chunks],
            list({**saved.objects, **disks.objects}.values()),
            saved.entries,
            [DISKS] if disks.entries else [],
            [Parent(id) for id in saved.parents],
            disks.entries,
        )
        return assemble(manifest, [payload for _, payload in chunks])
    except (ManifestError, RecordError, TypeError, ValueError) as error:
        raise VmmgrError(
            f"the machine {image.machine!r} cannot be saved: {error}",
            help="this is a defect of vmmgr; please report it with this message",
        ) from error


def assemble(manifest: Manifest, payloads: Sequence[bytes]) -> Content:
    """Put manifest and chunks together. Raises ValueError for what could not be read back."""
    at = preamble.SIZE
    for entry in manifest.chunks:
        entry.offset = at
        at += entry.stored
    encoded = cbor.encode(manifest.to_plain())
    parse(cbor.decode(encoded))
    id = blake3(encoded).digest()
    head = preamble.Preamble(at, len(encoded), id, at + len(encoded), manifest.header.writer)
    return Content(b"".join([head.pack(), *payloads, encoded]), id, manifest)


def _chunks(
    records: Mapping[str, Record], images: Mapping[str, str]
) -> list[tuple[ChunkEntry, bytes]]:
    chunks: list[tuple[ChunkEntry, bytes]] = []
    for device, record in records.items():
        kind = type(record)
        plain = to_plain(record)
        from_plain(kind, plain, kind.VERSION, device)
        payload = cbor.encode(plain)
        identifier = f"{DEVICE}/{device}"
        entry = _entry(identifier, DEVICE, kind.TYPE, device, kind.VERSION, payload)
        chunks.append((entry, payload))
    payload = _schemas(frozenset(type(record) for record in records.values()))
    chunks.append((_entry(SCHEMA, SCHEMA, SCHEMA, "", 1, payload), payload))
    if images:
        payload = cbor.encode(dict(images))
        chunks.append((_entry(IMAGES, IMAGES, IMAGES, "", 1, payload), payload))
    return chunks


@lru_cache(maxsize=16)
def _schemas(kinds: frozenset[type[Record]]) -> bytes:
    schemas: dict[str, Plain] = {}
    for kind in kinds:
        schema = describe(kind)
        if schemas.setdefault(kind.TYPE, schema) != schema:
            raise ValueError(f"two schemas are called {kind.TYPE}")
    return cbor.encode(schemas)


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
