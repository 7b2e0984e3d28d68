# SPDX-License-Identifier: BSD-2-Clause
"""From the bytes of `snapshot.vmms` to what is in it, checking everything on the way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from blake3 import blake3

from manager import cbor
from manager.bus.record import Plain
from manager.errors import SnapshotCorruptError
from manager.lazy import dataclass
from manager.snapshot import preamble
from manager.snapshot.faults import START_OVER, corrupt
from manager.snapshot.manifest import ChunkEntry, Manifest, ManifestError, parse
from manager.snapshot.write import DEVICE, IMAGES, SCHEMA

RENAMED = {"cpu": "cpu.0"}
"""Ids in the machine that earlier versions wrote -> what they are now."""


@dataclass(frozen=True, slots=True)
class DeviceState:
    """A device's state as it was stored: named fields of schema `version`."""

    chunk: ChunkEntry
    fields: dict[str, Plain]


@dataclass(frozen=True, slots=True)
class State:
    """All of `snapshot.vmms`, decoded."""

    preamble: preamble.Preamble
    manifest: Manifest
    devices: Mapping[str, DeviceState]
    """Device id -> state, in the order they were written."""
    unknown: tuple[ChunkEntry, ...]
    """Optional chunks of kinds that this version does not know."""
    schemas: bytes
    """The schema chunk, as it is stored."""
    images: Mapping[str, str]
    """Key of `[boot]` -> digest of the file booted from; empty where it was not written."""


def decode_state(file: Path, data: bytes) -> State:
    """Decode the content of `file`. Raises SnapshotCorruptError."""
    head = _preamble(file, data)
    budget = cbor.Budget()
    manifest = _manifest(file, head, data, budget)
    states: dict[str, DeviceState] = {}
    unknown: list[ChunkEntry] = []
    schemas = cbor.encode({})
    images: dict[str, str] = {}
    for entry in manifest.chunks:
        payload = _payload(file, head, entry, data)
        if entry.kind == DEVICE:
            id = RENAMED.get(entry.instance, entry.instance)
            if id in states:
                raise _chunk_fault(file, head, entry, f"device {id} is there twice")
            states[id] = _device_state(file, head, entry, payload, budget)
        elif entry.kind == SCHEMA and entry.version == 1 and entry.codec == "none":
            schemas = payload
        elif entry.kind == IMAGES and entry.version == 1 and entry.codec == "none":
            images = _images(file, head, entry, payload, budget)
        elif entry.mandatory:
            fault = f"holds {entry.kind!r}, which this vmmgr does not know and may not pass over"
            help = f"read it with vmmgr {head.writer} or newer"
            raise _chunk_fault(file, head, entry, fault, help)
        else:
            unknown.append(entry)
    return State(head, manifest, states, tuple(unknown), schemas, images)


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


def _manifest(file: Path, head: preamble.Preamble, data: bytes, budget: cbor.Budget) -> Manifest:
    at = head.manifest_offset
    encoded = data[at:]
    if (got := blake3(encoded).digest()) != head.manifest_hash:
        fault = f"manifest: expected hash {head.manifest_hash.hex()}, got {got.hex()}"
        raise corrupt(file, fault, offset=at, writer=head.writer)
    try:
        manifest = parse(cbor.decode(encoded, budget), newer_minor=head.minor > preamble.MINOR)
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
    file: Path,
    head: preamble.Preamble,
    entry: ChunkEntry,
    payload: bytes,
    budget: cbor.Budget,
) -> DeviceState:
    if entry.codec != "none" or entry.raw != entry.stored:
        fault = f"codec {entry.codec!r}, {entry.stored} bytes for {entry.raw}: cannot be decoded"
        raise _chunk_fault(file, head, entry, fault)
    try:
        fields = cbor.decode(payload, budget)
    except cbor.CborError as error:
        at = entry.offset + error.offset
        raise corrupt(file, error.fault, offset=at, chunk=entry.id, writer=head.writer) from None
    if not isinstance(fields, dict):
        raise _chunk_fault(file, head, entry, "expected named fields")
    return DeviceState(entry, fields)


def _images(
    file: Path,
    head: preamble.Preamble,
    entry: ChunkEntry,
    payload: bytes,
    budget: cbor.Budget,
) -> dict[str, str]:
    try:
        found = cbor.decode(payload, budget)
    except cbor.CborError as error:
        at = entry.offset + error.offset
        raise corrupt(file, error.fault, offset=at, chunk=entry.id, writer=head.writer) from None
    if not isinstance(found, dict) or not all(isinstance(item, str) for item in found.values()):
        raise _chunk_fault(file, head, entry, "expected digests by name")
    return {key: str(digest) for key, digest in found.items()}


def _chunk_fault(
    file: Path, head: preamble.Preamble, entry: ChunkEntry, fault: str, help: str = START_OVER
) -> SnapshotCorruptError:
    return corrupt(file, fault, offset=entry.offset, chunk=entry.id, writer=head.writer, help=help)
