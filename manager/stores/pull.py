# SPDX-License-Identifier: BSD-2-Clause
"""Fetching a snapshot from a store, wholly checked before it gets its place.

What has been fetched is kept in a folder of its own, named after the manifest, until all is there.
A second try finds by their hashes the chunks that the first one brought.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from blake3 import blake3

from manager import files
from manager.bus.memory import PAGE
from manager.errors import SnapshotCorruptError
from manager.lazy import dataclass
from manager.snapshot import native, ram
from manager.snapshot.archive import size_fault
from manager.snapshot.check import Advance, unwatched, verify_object
from manager.snapshot.faults import host_failures
from manager.snapshot.manifest import RamObject
from manager.snapshot.read import MAX_FILE, Snapshot, decode
from manager.snapshot.write import FILE_NAME
from manager.stores import form
from manager.stores.faults import AGAIN, damaged
from manager.stores.form import Chunk, FormError, Manifest, StoredFile
from manager.stores.remote import Remote, fetch, not_as_it_should_be
from manager.stores.workers import CONNECTIONS, in_parallel

_FORGOTTEN = 14 * 24 * 3600
"""Seconds after which what an unfinished pull has brought is removed by the next one."""

_MAX_WINDOW = 8 << 20
"""What RFC 8878 asks every decoder to have; `push` takes 2 MiB of it."""


@dataclass(slots=True)
class Pulled:
    """What a pull has brought."""

    folder: Path
    """With all files of the snapshot, checked, and nothing else."""
    snapshot: Snapshot
    chunks: int = 0
    """How many the snapshot has."""
    chunks_fetched: int = 0
    bytes_fetched: int = 0
    """The index included."""


@contextmanager
def pulled(
    remote: Remote,
    manifest: Manifest,
    digest: str,
    unfinished: Path,
    local: Sequence[Path] = (),
    threads: int = CONNECTIONS,
    advance: Advance = unwatched,
) -> Iterator[Pulled]:
    """Bring a snapshot into a folder below `unfinished`, which is gone when the block ends well.

    `digest` is the manifest's; `local` are snapshots whose objects need not be fetched. Who pulls
    the same at the same time waits. Raises SnapshotCorruptError for anything that is not what its
    hashes say, HostError.
    """
    with host_failures(f"cannot write to {unfinished}", AGAIN):
        _forget_old(unfinished)
    with _own_folder(unfinished / digest.removeprefix("sha256:")) as folder:
        work = _Pull(remote, manifest, folder, threads, advance)
        with host_failures(f"cannot write to {folder}", AGAIN):
            result = work.run(local)
        yield result
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _own_folder(folder: Path) -> Iterator[Path]:
    """The folder, locked; made if it is not there."""
    while True:
        with host_failures(f"cannot write to {folder}", AGAIN):
            files.make_private(folder)
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                with suppress(FileNotFoundError):  # who had it is done, and has removed it
                    if os.path.samestat(folder.lstat(), os.fstat(fd)):
                        break
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)
    try:
        yield folder
    finally:
        os.close(fd)


def _forget_old(unfinished: Path) -> None:
    oldest = time.time() - _FORGOTTEN
    with suppress(FileNotFoundError):
        for entry in list(unfinished.iterdir()):
            if entry.lstat().st_mtime < oldest:
                shutil.rmtree(entry, ignore_errors=True)


class _Pull:
    def __init__(
        self, remote: Remote, manifest: Manifest, folder: Path, threads: int, advance: Advance
    ) -> None:
        self._remote = remote
        self._manifest = manifest
        self._folder = folder
        self._threads = threads
        self._advance = advance
        self._fetched = 0
        self._fetched_size = 0

    def run(self, local: Sequence[Path]) -> Pulled:
        index = fetch(self._remote, self._manifest.index)
        self._fetched_size += len(index)
        try:
            chunks, stored = form.read_index(index, self._manifest)
        except FormError as error:
            raise not_as_it_should_be(self._remote, "the index", error) from None
        by_name = {one.name: one for one in stored}
        state = by_name.get(FILE_NAME)
        if state is None or state.length > MAX_FILE:
            raise damaged(self._remote.place, f"{FILE_NAME} is missing, or too large")
        self._bring(chunks, [state])
        snapshot = self._opened(state)
        wanted = []
        for entry in snapshot.manifest.objects:
            one = by_name.get(entry.file)
            if one is None or one.length != entry.length:
                raise damaged(self._remote.place, f"the index has not {entry.file} as it is")
            if not self._link(entry, local):
                wanted.append(one)
        self._bring(chunks, wanted)
        self._finish(snapshot)
        return Pulled(self._folder, snapshot, len(chunks), self._fetched, self._fetched_size)

    def _opened(self, state: StoredFile) -> Snapshot:
        data = (self._folder / state.name).read_bytes()
        try:
            snapshot = decode(self._folder, data)
        except SnapshotCorruptError as error:
            self._drop()
            raise damaged(self._remote.place, _without_path(error)) from None
        if snapshot.id.hex() != self._manifest.about.snapshot:
            raise damaged(self._remote.place, "the manifest is of another snapshot")
        if fault := size_fault(snapshot):
            raise damaged(self._remote.place, fault)
        return snapshot

    def _link(self, entry: RamObject, local: Sequence[Path]) -> bool:
        """Share an object that a snapshot here has, and has whole."""
        target = self._folder / entry.file
        if target.is_file() and target.stat().st_nlink > 1:
            return True
        for source in local:
            if not (source / entry.file).is_file():
                continue
            with suppress(SnapshotCorruptError):
                verify_object(source, entry, lambda _start, _end: "", "")
                target.unlink(missing_ok=True)
                return ram.link_object(source, self._folder, entry)
        return False

    def _bring(self, chunks: Sequence[Chunk], wanted: Sequence[StoredFile]) -> None:
        """Have files be what the index says; what they hold of it already is not fetched."""
        for one in wanted:
            path = self._folder / one.name
            fresh = not path.exists()
            if not fresh:
                path.chmod(files.PRIVATE)
            fd = files.open_own(path, os.O_RDWR | os.O_CREAT)
            try:
                os.ftruncate(fd, one.length)
                places: dict[int, list[int]] = {}
                for offset, number in one.pieces:
                    places.setdefault(number, []).append(offset)
                self._bring_one(fd, chunks, places, fresh=fresh)
                os.fchmod(fd, ram.READ_ONLY)
                os.fsync(fd)
            finally:
                os.close(fd)

    def _bring_one(
        self, fd: int, chunks: Sequence[Chunk], places: dict[int, list[int]], *, fresh: bool
    ) -> None:
        def bring(number: int) -> tuple[int, int]:
            chunk, offsets = chunks[number], places[number]
            if not fresh and all(_is_there(fd, chunk, offset) for offset in offsets):
                return chunk.length * len(offsets), 0
            content = _unpacked(self._remote, chunk)
            for offset in offsets:
                _write(fd, content, offset)
            return chunk.length * len(offsets), chunk.blob.size

        work = in_parallel(bring, places, self._threads, self._remote.abandon)
        with closing(work):
            for length, size in work:
                self._fetched += size > 0
                self._fetched_size += size
                self._advance(length)

    def _finish(self, snapshot: Snapshot) -> None:
        """Check everything, and leave what belongs to the snapshot only."""
        known = {FILE_NAME, *(entry.file for entry in snapshot.manifest.objects)}
        for path in list(self._folder.iterdir()):
            if path.name not in known:
                path.unlink()
        try:
            snapshot.check_objects()
            snapshot.verify_ram()
        except SnapshotCorruptError as error:
            self._drop()
            raise damaged(self._remote.place, _without_path(error)) from None

    def _drop(self) -> None:
        """Let a second try begin anew."""
        for path in list(self._folder.iterdir()):
            path.unlink(missing_ok=True)


def _without_path(error: SnapshotCorruptError) -> str:
    """What is wrong, without a place that is gone: its file and the fault."""
    place, _, fault = error.message.partition(": ")
    return f"{place.rpartition('/')[2]}: {fault}"


def _is_there(fd: int, chunk: Chunk, offset: int) -> bool:
    return blake3(os.pread(fd, chunk.length, offset)).hexdigest() == chunk.hash


def _unpacked(remote: Remote, chunk: Chunk) -> bytes:
    """What a chunk holds, checked. Raises SnapshotCorruptError, HostError."""
    import zstandard

    data = fetch(remote, chunk.blob)
    try:
        unpacker = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
        with unpacker.stream_reader(data) as reader:
            content = reader.read(chunk.length + 1)
    except zstandard.ZstdError as error:
        raise damaged(remote.place, f"{chunk.blob.digest} cannot be unpacked: {error}") from None
    if len(content) != chunk.length or blake3(content).hexdigest() != chunk.hash:
        raise damaged(remote.place, f"{chunk.blob.digest} unpacks to something else")
    return content


def _write(fd: int, content: bytes, offset: int) -> None:
    """Write a chunk; its whole pages of zeros stay holes. Raises OSError."""
    whole = len(content) // PAGE * PAGE
    view = memoryview(content)
    ram.write_pages(fd, view[:whole], native.nonzero(view[:whole]), offset)
    rest = view[whole:]
    while rest:
        done = os.pwrite(fd, rest, offset + len(content) - len(rest))
        rest = rest[done:]
