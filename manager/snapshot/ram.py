# SPDX-License-Identifier: BSD-2-Clause
"""RAM objects: sparse files, laid out as the guest sees them, named after their content."""

from __future__ import annotations

import errno
import mmap
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from blake3 import blake3

from manager.bus.memory import PAGE, Ram
from manager.snapshot import native, runs
from manager.snapshot.disk_entry import HASH_BYTES
from manager.snapshot.faults import corrupt
from manager.snapshot.manifest import RamEntry, RamObject, object_name

if TYPE_CHECKING:
    from typing_extensions import Buffer

LEAST_SEGMENT = 1 << 20
MOST_SEGMENTS = 256
"""Few enough that the hashes of 1 GiB take 8 KiB in each snapshot."""
ZERO_HASH = bytes(HASH_BYTES)
"""Stands for the hash of a segment of zeros."""
READ_ONLY = 0o400
"""The mode of a snapshot's files: what a guest has in memory is its owner's alone."""
_WINDOW = 4 << 20
_LEAST_MAPPED = 32
"""Pages of a run that is mapped; copying a shorter one costs less than a mapping of its own."""
_MOST_MAPPED = 16_384
"""Stretches of data in a file on tmpfs; the kernel has room for 65,530 mappings."""


def root_hash(length: int, segment: int, hashes: bytes) -> bytes:
    """The hash of a RAM object, from its size and the hashes of its segments."""
    head = length.to_bytes(8, "little") + segment.to_bytes(8, "little")
    return blake3(head + hashes).digest()


def segment_size(length: int) -> int:
    """How much one hash covers in an object of `length` bytes."""
    segment = LEAST_SEGMENT
    while length > segment * MOST_SEGMENTS:
        segment *= 2
    return segment


def segment_hash(content: Buffer) -> bytes:
    """BLAKE3 of a segment, or ZERO_HASH."""
    return blake3(content).digest() if native.nonzero(content) else ZERO_HASH


def hashed(data: memoryview) -> RamObject:
    """The object that holds `data`, whose length is a multiple of 4 KiB."""
    segment = segment_size(len(data))
    starts = range(0, len(data), segment)
    joined = b"".join(segment_hash(data[start : start + segment]) for start in starts)
    digest = root_hash(len(data), segment, joined)
    return RamObject(object_name(digest), len(data), segment, joined, digest)


def write_object(path: Path, data: memoryview) -> None:
    """Write a RAM object and make it durable; pages of zeros become holes. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    fd = os.open(path, flags, 0o600)
    try:
        os.ftruncate(fd, len(data))
        for start in range(0, len(data), _WINDOW):
            window = data[start : start + _WINDOW]
            write_pages(fd, window, native.nonzero(window), start)
        os.fchmod(fd, READ_ONLY)
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def writing(path: Path, data: memoryview) -> Iterator[None]:
    """Have `write_object` run in a thread beside the block. Raises OSError at its end."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            write_object(path, data)
        except BaseException as error:
            failures.append(error)

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if failures:
        raise failures[0]


def write_pages(fd: int, data: memoryview, pages: bytes, offset: int) -> None:
    """Write those pages of `data`, which begins at `offset` in the file. Raises OSError."""
    for first, count in runs.pairs(pages):
        at, end = first * PAGE, (first + count) * PAGE
        while at < end:
            at += os.pwrite(fd, data[at:end], offset + at)


def link_object(source: Path, directory: Path, entry: RamObject) -> bool:
    """Share an object that an earlier snapshot already holds; False if it does not."""
    try:
        if (source / entry.file).lstat().st_size != entry.length:
            return False
        os.link(source / entry.file, directory / entry.file, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EXDEV, errno.EPERM, errno.EMLINK):
            return False
        raise
    return True


@contextmanager
def opened(directory: Path, entry: RamObject, writer: str) -> Iterator[int]:
    """A descriptor of a RAM object whose kind and size are what the manifest says."""
    path = directory / entry.file
    try:
        # Not blocking: opening a FIFO of that name would hang.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise corrupt(path, f"cannot be opened: {error.strerror}", writer=writer) from error
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise corrupt(path, "is not a regular file", writer=writer)
        if status.st_size != entry.length:
            raise corrupt(
                path,
                f"expected {entry.length} bytes, got {status.st_size}",
                offset=min(status.st_size, entry.length),
                writer=writer,
            )
        yield fd
    finally:
        os.close(fd)


def disk_usage(directory: Path, entry: RamObject, writer: str) -> int:
    """Check the file's kind and size; return the bytes it takes on disk."""
    with opened(directory, entry, writer) as fd:
        return os.fstat(fd).st_blocks * 512


def map_region(
    directory: Path, objects: Mapping[str, RamObject], region: RamEntry, writer: str
) -> Ram:
    """A copy-on-write mapping of one region: writes never reach the files.

    Long runs of its delta are mapped over those of its base, short ones copied.
    """
    with opened(directory, objects[region.file], writer) as fd:
        memory = _map_data(fd, region) if native.is_tmpfs(fd) else _map(fd, region)
    if region.delta:
        with opened(directory, objects[region.delta], writer) as fd:
            least = runs.count(region.runs) + 1 if native.is_tmpfs(fd) else _LEAST_MAPPED
            native.overlay(memory, fd, region.delta_offset, region.runs, least)
    return memory


def _map(fd: int, region: RamEntry) -> Ram:
    return Ram(
        fd,
        region.length,
        flags=mmap.MAP_PRIVATE,
        prot=mmap.PROT_READ | mmap.PROT_WRITE,
        offset=region.offset,
    )


def _map_data(fd: int, region: RamEntry) -> Ram:
    """The same for tmpfs, where touching a hole takes room, and is a SIGBUS when there is none."""
    stretches = list(data_within(fd, region.offset, region.offset + region.length))
    if len(stretches) > _MOST_MAPPED:
        return _map(fd, region)
    memory = Ram(-1, region.length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for start, at in stretches:
        run = runs.pack([((start - region.offset) // PAGE, (at - start) // PAGE)])
        native.overlay(memory, fd, start, run, 1)
    return memory


def data_within(fd: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The stretches (from, to) of a file that are no holes."""
    while (start := _next_data(fd, start)) < end:
        stop = min(os.lseek(fd, start, os.SEEK_HOLE), end)
        yield start, stop
        start = stop


def _next_data(fd: int, start: int) -> int:
    """Where the first data at or after `start` is; a huge number if only a hole is left."""
    try:
        return os.lseek(fd, start, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return 1 << 63
        raise
