# SPDX-License-Identifier: BSD-2-Clause
"""Sending a snapshot to a store: chunks first, those that are not there; its name last."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing

from blake3 import blake3

from manager import files
from manager.errors import UsageError
from manager.lazy import dataclass
from manager.snapshot import ram
from manager.snapshot.check import Advance, unwatched
from manager.snapshot.read import Snapshot
from manager.snapshot.write import FILE_NAME
from manager.stores import chunks, form
from manager.stores.form import About, Chunk, Descriptor, StoredFile
from manager.stores.names import StoredName
from manager.stores.remote import Remote
from manager.stores.workers import CONNECTIONS, in_parallel

_LEVEL = 3


@dataclass(slots=True)
class Pushed:
    """What a push has done."""

    digest: str
    """Of the manifest: this is what to sign."""
    chunks: int
    """How many the snapshot has."""
    stored: int
    """Bytes of those, compressed."""
    chunks_sent: int
    bytes_sent: int
    """The index and the manifest included, if they were sent."""


def push(
    snapshot: Snapshot,
    name: StoredName,
    remote: Remote,
    threads: int = CONNECTIONS,
    advance: Advance = unwatched,
) -> Pushed:
    """Have `name` lead to `snapshot` in a store; its RAM and disks are checked before.

    Until this returns, and when it fails, the name leads to what it did before.

    Raises SnapshotCorruptError, HostError, UsageError for what is too large for a manifest.
    """
    lengths = [entry.length for entry in snapshot.manifest.objects]
    if chunks.doublings(max(lengths, default=0)) > chunks.MOST_DOUBLINGS:
        raise _too_large(snapshot)
    snapshot.verify_ram()
    with remote.pushing():
        return _Push(snapshot, remote, advance).run(name, threads)


def _too_large(snapshot: Snapshot) -> UsageError:
    return UsageError(
        f"{snapshot.directory} is too large for a store",
        help="`vmmgr snapshot export` writes it to a file",
    )


class _Push:
    def __init__(self, snapshot: Snapshot, remote: Remote, advance: Advance) -> None:
        self._snapshot = snapshot
        self._remote = remote
        self._advance = advance
        self._numbers: dict[bytes, int] = {}
        """Hash of what a chunk unpacks to -> its number."""
        self._files: list[StoredFile] = []

    def run(self, name: StoredName, threads: int) -> Pushed:
        found: list[Chunk] = []
        result = Pushed("", 0, 0, 0, 0)
        work = in_parallel(self._send, self._chunks(), threads, self._remote.abandon)
        with closing(work):
            for chunk, sent in work:
                found.append(chunk)
                result.stored += chunk.blob.size
                result.chunks_sent += sent
                result.bytes_sent += sent * chunk.blob.size
                self._advance(chunk.length)
        index = form.write_index(found, self._files)
        about = About(
            self._snapshot.header.machine,
            self._snapshot.id.hex(),
            self._snapshot.header.virtual_time,
        )
        manifest = form.write_manifest(about, form.descriptor_of(index), found)
        if len(manifest) > form.MOST_MANIFEST or len(index) > form.MOST_INDEX:
            raise _too_large(self._snapshot)
        result.bytes_sent += self._keep(form.descriptor_of(index), index)
        if not self._is_named(name, manifest):
            self._remote.set_name(name, manifest)
            result.bytes_sent += len(manifest)
        result.chunks = len(found)
        result.digest = form.descriptor_of(manifest).digest
        return result

    def _chunks(self) -> Iterator[tuple[bytes, str]]:
        """Each chunk that has not been in the snapshot before, and its hash."""
        with os.fdopen(files.open_own(self._snapshot.file), "rb") as state:
            yield from self._chunks_of(FILE_NAME, state.fileno(), len(self._snapshot.data))
        for entry in self._snapshot.manifest.objects:
            writer = self._snapshot.header.writer
            with ram.opened(self._snapshot.directory, entry, writer) as fd:
                yield from self._chunks_of(entry.file, fd, entry.length)

    def _chunks_of(self, file: str, fd: int, length: int) -> Iterator[tuple[bytes, str]]:
        pieces = []
        for offset, content in chunks.cuts(fd, length):
            digest = blake3(content)
            known = self._numbers.get(digest.digest())
            number = len(self._numbers) if known is None else known
            pieces.append((offset, number))
            if known is None:
                self._numbers[digest.digest()] = number
                yield content, digest.hexdigest()
        self._files.append(StoredFile(file, length, tuple(pieces)))

    def _send(self, item: tuple[bytes, str]) -> tuple[Chunk, int]:
        import zstandard

        content, digest = item
        data = zstandard.ZstdCompressor(level=_LEVEL).compress(content)
        blob = form.descriptor_of(data)
        return Chunk(blob, len(content), digest), self._keep(blob, data) > 0

    def _keep(self, blob: Descriptor, data: bytes) -> int:
        """Send a blob unless it is there; the bytes sent."""
        if self._remote.has(blob):
            return 0
        self._remote.put(blob, data)
        return blob.size

    def _is_named(self, name: StoredName, manifest: bytes) -> bool:
        return name in self._remote.names() and self._remote.manifest(name) == manifest
