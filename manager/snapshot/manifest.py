# SPDX-License-Identifier: BSD-2-Clause
"""The manifest: everything a snapshot says about itself, and where each part of it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import TypeVar

from manager.bus.memory import PAGE
from manager.bus.record import (
    Plain,
    Record,
    RecordError,
    flag,
    from_plain,
    moment,
    octets,
    text,
    to_plain,
    uint,
)
from manager.lazy import dataclass
from manager.snapshot import runs
from manager.snapshot.disk_entry import HASH_BYTES, DiskEntry

MAX_CHUNKS = 4096
MAX_REGIONS = 64
MAX_OBJECTS = 4096
MAX_DISKS = 64
DISKS = "disks"
"""The feature that a snapshot with disks requires of its reader."""
FEATURES = frozenset({DISKS})
MAX_SEGMENT = 64 << 20
MAX_ADDRESS = 1 << 52
"""One past the highest guest physical address of the architecture."""

T = TypeVar("T", bound=Record)
E = TypeVar("E")


class ManifestError(ValueError):
    """A manifest that contradicts itself or the format; the text names the entry."""


@dataclass(slots=True)
class Header(Record):
    """Who wrote the snapshot, of what, and when in virtual time."""

    TYPE = "header"

    writer: str = text(32, "version of the vmmgr that wrote the snapshot")
    machine: str = text(64, "name of the machine")
    virtual_time: int = moment("virtual time since power-on")
    executed: int = uint(64, "code executed since power-on", unit="bytes")
    identity_hash: str = text(128, "hash of what the guest can see of the machine")
    full_hash: str = text(128, "hash of the whole resolved machine file")


@dataclass(slots=True)
class ChunkEntry(Record):
    """One chunk of `snapshot.vmms`."""

    TYPE = "chunk"

    id: str = text(160, "unique name of the chunk")
    kind: str = text(32, "what the chunk is for: device, schema")
    type: str = text(64, "for a device, its type")
    instance: str = text(128, "for a device, its id in the machine")
    version: int = uint(32, "schema version of the content")
    codec: str = text(16, "how the content is stored: none")
    offset: int = uint(63, "place in the file", unit="bytes")
    stored: int = uint(63, "length in the file", unit="bytes")
    raw: int = uint(63, "length once decoded", unit="bytes")
    hash: bytes = octets(HASH_BYTES, HASH_BYTES, "BLAKE3 of the stored bytes")
    mandatory: bool = flag("a reader that does not know `kind` must refuse the snapshot")


@dataclass(slots=True)
class RamObject(Record):
    """One immutable file of RAM, named after its content."""

    TYPE = "ram-object"

    file: str = text(64, "name of the file, beside snapshot.vmms")
    length: int = uint(52, "size of the file", unit="bytes")
    segment: int = uint(32, "how much each hash covers", unit="bytes")
    hashes: bytes = octets(
        0, 1 << 26, "BLAKE3 of each segment, joined; 32 zero bytes for a segment of zeros"
    )
    hash: bytes = octets(HASH_BYTES, HASH_BYTES, "BLAKE3 of length, segment and hashes")


@dataclass(slots=True)
class RamEntry(Record):
    """Where a range of guest RAM is stored."""

    TYPE = "ram"

    base: int = uint(52, "guest physical address", unit="bytes")
    length: int = uint(52, "length of the range", unit="bytes")
    file: str = text(64, "which RAM object holds it")
    offset: int = uint(52, "where in the object it begins", unit="bytes")
    delta: str = text(64, "which RAM object holds the pages that differ; empty if none do")
    delta_offset: int = uint(52, "where in that object they begin", unit="bytes")
    runs: bytes = octets(0, 1 << 24, "which pages those are")


@dataclass(slots=True)
class Parent(Record):
    """The snapshot that the machine went on from. It is not needed to read this one."""

    TYPE = "parent"

    id: bytes = octets(HASH_BYTES, HASH_BYTES, "hash of its manifest")


@dataclass(slots=True)
class Manifest:
    """The decoded manifest."""

    header: Header
    identity: Plain
    config: Plain
    chunks: list[ChunkEntry]
    objects: list[RamObject]
    ram: list[RamEntry]
    requires: list[str] = field(default_factory=list)
    """Names of features without which the snapshot would be misread."""
    parents: list[Parent] = field(default_factory=list)
    disks: list[DiskEntry] = field(default_factory=list)

    def to_plain(self) -> dict[str, Plain]:
        """The tree that is stored."""
        return {
            "header": to_plain(self.header),
            "identity": self.identity,
            "config": self.config,
            "chunks": [to_plain(entry) for entry in self.chunks],
            "objects": [to_plain(entry) for entry in self.objects],
            "ram": [to_plain(entry) for entry in self.ram],
            "requires": list(self.requires),
            "parents": [to_plain(entry) for entry in self.parents],
            "disks": [entry.to_plain() for entry in self.disks],
        }


_KEYS = frozenset(
    ("header", "identity", "config", "chunks", "objects", "ram", "requires", "parents", "disks")
)


def parse(tree: Plain, *, newer_minor: bool = False) -> Manifest:
    """Check a decoded manifest and give it types; raises ManifestError.

    With `newer_minor`, top-level keys that this version does not know are passed over.
    """
    if not isinstance(tree, dict):
        raise ManifestError("the manifest is not a map")
    if missing := _KEYS - tree.keys():
        raise ManifestError(f"{min(missing)} is missing")
    if (extra := tree.keys() - _KEYS) and not newer_minor:
        raise ManifestError(f"{min(extra)} is unknown")
    requires = [str(feature) for feature in _list(tree, "requires", MAX_CHUNKS)]
    if unknown := set(requires) - FEATURES:
        raise ManifestError(f"needs the feature {min(unknown)!r}, which this vmmgr does not have")
    if _list(tree, "disks", MAX_DISKS) and DISKS not in requires:
        raise ManifestError("has disks, but does not require a reader that knows them")
    try:
        manifest = Manifest(
            from_plain(Header, tree["header"], Header.VERSION, "header"),
            tree["identity"],
            tree["config"],
            _entries(tree, "chunks", ChunkEntry, MAX_CHUNKS),
            _entries(tree, "objects", RamObject, MAX_OBJECTS),
            _entries(tree, "ram", RamEntry, MAX_REGIONS),
            requires,
            _entries(tree, "parents", Parent, 1),
            [
                DiskEntry.from_plain(item, f"disks[{n}]")
                for n, item in enumerate(_list(tree, "disks", MAX_DISKS))
            ],
        )
    except RecordError as error:
        raise ManifestError(str(error)) from None
    _check_unique("chunk", manifest.chunks, lambda entry: entry.id)
    lengths = _check_objects(manifest)
    _check_ram(manifest, lengths)
    _check_unique("disk", manifest.disks, lambda entry: entry.head.id)
    for disk in manifest.disks:
        if fault := disk.fault(lengths):
            raise ManifestError(f"disk {disk.head.id!r}: {fault}")
    return manifest


def _list(tree: dict[str, Plain], key: str, limit: int) -> list[Plain]:
    value = tree[key]
    if not isinstance(value, list) or len(value) > limit:
        raise ManifestError(f"{key} is not a list of at most {limit}")
    return value


def _entries(tree: dict[str, Plain], key: str, kind: type[T], limit: int) -> list[T]:
    items = _list(tree, key, limit)
    return [from_plain(kind, item, kind.VERSION, f"{key}[{n}]") for n, item in enumerate(items)]


def _check_unique(what: str, entries: list[E], name: Callable[[E], str]) -> None:
    seen: set[str] = set()
    for entry in entries:
        if name(entry) in seen:
            raise ManifestError(f"{what} {name(entry)} is there twice")
        seen.add(name(entry))


def _check_objects(manifest: Manifest) -> dict[str, int]:
    """Check the objects by themselves; return their lengths by name."""
    lengths: dict[str, int] = {}
    for item in manifest.objects:
        # The name is made of the hash, so it cannot lead out of the directory.
        if item.file != object_name(bytes(item.hash)):
            raise ManifestError(f"RAM object {item.file!r} is not named after its hash")
        if item.length == 0 or item.length % PAGE:
            raise ManifestError(f"RAM object {item.file} is not a whole number of pages")
        if not 0 < item.segment <= MAX_SEGMENT or item.segment % PAGE:
            raise ManifestError(f"RAM object {item.file} has segments of {item.segment} bytes")
        if len(item.hashes) != -(-item.length // item.segment) * HASH_BYTES:
            raise ManifestError(f"RAM object {item.file} has the wrong number of segment hashes")
        lengths[item.file] = item.length
    _check_unique("RAM object", manifest.objects, lambda entry: entry.file)
    return lengths


def _check_ram(manifest: Manifest, lengths: dict[str, int]) -> None:
    end = 0
    for region in manifest.ram:
        where = f"RAM at {region.base:#x}"
        if region.base % PAGE or region.length % PAGE or region.offset % PAGE:
            raise ManifestError(f"{where} is not page-aligned")
        if region.base < end or region.length == 0:
            raise ManifestError(f"{where} is empty, out of order or overlaps the range before it")
        if (end := region.base + region.length) > MAX_ADDRESS:
            raise ManifestError(f"{where} ends at {end:#x}, beyond the physical address space")
        if region.offset + region.length > lengths.get(region.file, 0):
            raise ManifestError(f"{where} lies outside RAM object {region.file!r}")
        _check_delta(region, where, lengths)


def _check_delta(region: RamEntry, where: str, lengths: dict[str, int]) -> None:
    if bool(region.delta) != bool(region.runs):
        raise ManifestError(f"{where} has half a delta")
    if fault := runs.fault(region.runs, region.length // PAGE):
        raise ManifestError(f"{where}: {fault}")
    if region.delta_offset % PAGE:
        raise ManifestError(f"{where}: its delta is not page-aligned")
    if region.delta_offset + runs.size(region.runs) > lengths.get(region.delta, 0):
        raise ManifestError(f"{where}: its delta lies outside RAM object {region.delta!r}")


def object_name(digest: bytes) -> str:
    """The file name of the RAM object with this hash."""
    return f"{digest[:16].hex()}.ram"
