# SPDX-License-Identifier: BSD-2-Clause
"""What a store holds of a snapshot: an OCI manifest, an index, and chunks. See docs/stores.md.

What comes from a store may be anything: `FormError` says what of it is not as it should be.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass  # not manager.lazy's, which threads must not be the first to use
from typing import Any

from manager import files
from manager.stores import chunks

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
IMAGE_INDEX = "application/vnd.oci.image.index.v1+json"
ARTIFACT = "application/vnd.vmmgr.snapshot.v1"
INDEX = "application/vnd.vmmgr.snapshot.index.v1+json"
CHUNK = "application/vnd.vmmgr.snapshot.chunk.v1+zstd"
_MACHINE = "org.vmmgr.machine"
_SNAPSHOT = "org.vmmgr.snapshot"
_TIME = "org.vmmgr.virtual-time"
MOST_MANIFEST = 4 << 20
"""Bytes; the specification of registries asks no more of them."""
MOST_INDEX = 16 << 20
MOST_CHUNK = chunks.MOST << chunks.MOST_DOUBLINGS
MOST_STORED = MOST_CHUNK + MOST_CHUNK // 128 + 1024
"""Bytes of a chunk that zstd could not make smaller."""
_MOST_LENGTH = 1 << 52
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HASH = re.compile(r"[0-9a-f]{64}")


class FormError(ValueError):
    """Something is not of the form that it should have."""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A blob, by its content."""

    digest: str
    """`sha256:` and 64 hexadecimal digits."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of a file, compressed."""

    blob: Descriptor
    length: int
    """Bytes of the stretch."""
    hash: str
    """BLAKE3 of the stretch, in hexadecimal."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a snapshot: zeros, but for its pieces."""

    name: str
    length: int
    pieces: tuple[tuple[int, int], ...]
    """(offset, number of the chunk that is there), ascending and apart."""


@dataclass(frozen=True, slots=True)
class About:
    """What a manifest tells of a snapshot."""

    machine: str
    snapshot: str
    """Its id, in hexadecimal."""
    virtual_time: int
    """ns since power-on."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The blobs of a snapshot."""

    index: Descriptor
    chunks: tuple[Descriptor, ...]
    about: About

    @property
    def stored(self) -> int:
        """Bytes of all blobs."""
        return self.index.size + sum(chunk.size for chunk in self.chunks)


def descriptor_of(data: bytes) -> Descriptor:
    """What names a blob."""
    return Descriptor(f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))


def write_index(found: Sequence[Chunk], stored: Sequence[StoredFile]) -> bytes:
    """The index: what chunks unpack to, and where in which file that goes."""
    return _json(
        {
            "schema": 1,
            "chunks": [[chunk.length, chunk.hash] for chunk in found],
            "files": [
                {"name": one.name, "length": one.length, "pieces": [list(at) for at in one.pieces]}
                for one in stored
            ],
        }
    )


def write_manifest(about: About, index: Descriptor, found: Sequence[Chunk]) -> bytes:
    """The manifest. The same snapshot has the same, wherever and whenever it is pushed."""
    return _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": ARTIFACT,
            "config": as_json(INDEX, index),
            "layers": [as_json(CHUNK, chunk.blob) for chunk in found],
            "annotations": {
                _MACHINE: about.machine,
                _SNAPSHOT: about.snapshot,
                _TIME: str(about.virtual_time),
            },
        }
    )


def as_json(media_type: str, blob: Descriptor) -> dict[str, Any]:
    """A descriptor as OCI has it."""
    return {"mediaType": media_type, "digest": blob.digest, "size": blob.size}


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode()


def read_manifest(data: bytes) -> Manifest:
    """Raises FormError."""
    tree = tree_of(data)
    if tree.get("mediaType") != MANIFEST or tree.get("artifactType") != ARTIFACT:
        raise FormError("it is not the manifest of a snapshot")
    layers = _list(tree, "layers")
    index = read_descriptor(tree.get("config"), INDEX, MOST_INDEX)
    found = tuple(read_descriptor(layer, CHUNK, MOST_STORED) for layer in layers)
    about = tree.get("annotations")
    if not isinstance(about, dict):
        raise FormError("it has no annotations")
    time = about.get(_TIME)
    if not isinstance(time, str) or not re.fullmatch(r"[0-9]{1,19}", time):
        raise FormError(f"{_TIME} is no number")
    machine = about.get(_MACHINE)
    if not isinstance(machine, str) or len(machine) > 64:
        raise FormError(f"{_MACHINE} is no name")
    return Manifest(index, found, About(machine, _hash(about.get(_SNAPSHOT)), int(time)))


def read_index(data: bytes, manifest: Manifest) -> tuple[list[Chunk], list[StoredFile]]:
    """The chunks and files of a snapshot. Raises FormError."""
    tree = tree_of(data)
    if tree.get("schema") != 1:
        raise FormError("its schema is not 1; a newer vmmgr wrote it")
    stated = _list(tree, "chunks")
    if len(stated) != len(manifest.chunks):
        raise FormError(f"it has {len(stated)} chunks, the manifest {len(manifest.chunks)}")
    found = []
    for blob, item in zip(manifest.chunks, stated, strict=True):
        length, digest = _pair(item)
        found.append(Chunk(blob, uint(length, MOST_CHUNK), _hash(digest)))
    return found, [_file(item, found) for item in _list(tree, "files")]


def _file(item: object, found: Sequence[Chunk]) -> StoredFile:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise FormError("a file has no name")
    length = uint(item.get("length"), _MOST_LENGTH)
    pieces = []
    for piece in _list(item, "pieces"):
        offset, number = _pair(piece)
        pieces.append((uint(offset, length), uint(number, len(found) - 1)))
    ends = [offset + found[number].length for offset, number in pieces]
    starts = [offset for offset, _ in pieces]
    if pieces and any(end > start for end, start in zip(ends, [*starts[1:], length], strict=True)):
        raise FormError(f"the pieces of {item['name']!r} do not lie in it one after the other")
    return StoredFile(item["name"], length, tuple(pieces))


def read_descriptor(item: object, media_type: str | None, most: int) -> Descriptor:
    """A descriptor, of that media type if one is given, and of at most `most` bytes.

    Raises FormError.
    """
    if not isinstance(item, dict):
        raise FormError("a descriptor is missing")
    if media_type is not None and item.get("mediaType") != media_type:
        raise FormError(f"a blob is {item.get('mediaType')!r} instead of {media_type}")
    return Descriptor(read_digest(item.get("digest")), uint(item.get("size"), most))


def read_digest(item: object) -> str:
    """Raises FormError for what is no digest by SHA-256."""
    if not isinstance(item, str) or not _DIGEST.fullmatch(item):
        raise FormError(f"{str(item)[:100]!r} is no digest")
    return item


def tree_of(data: bytes) -> Mapping[str, Any]:
    """A JSON object. Raises FormError."""
    try:
        tree = files.parse_json(data)
    except ValueError as error:
        raise FormError(f"it is not JSON: {error}") from None
    if not isinstance(tree, dict):
        raise FormError("it is no JSON object")
    return tree


def _list(tree: Mapping[str, Any], key: str) -> list[Any]:
    value = tree.get(key)
    if not isinstance(value, list):
        raise FormError(f"{key} is no list")
    return value


def _pair(item: object) -> tuple[object, object]:
    if not isinstance(item, list) or len(item) != 2:
        raise FormError("what should be a pair is none")
    return item[0], item[1]


def uint(item: object, most: int) -> int:
    """Raises FormError for what is no number from 0 to `most`."""
    if type(item) is not int or not 0 <= item <= most:
        raise FormError(f"{str(item)[:100]} is no number from 0 to {most}")
    return item


def _hash(item: object) -> str:
    if not isinstance(item, str) or not _HASH.fullmatch(item):
        raise FormError(f"{str(item)[:100]!r} is no hash")
    return item
