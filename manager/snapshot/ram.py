# SPDX-License-Identifier: BSD-2-Clause
"""RAM objects: sparse files, laid out as the guest sees them, named after their content."""

from __future__ import annotations

import errno
import mmap
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from manager.snapshot.faults import corrupt
from manager.snapshot.manifest import HASH_BYTES, PAGE, RamEntry, RamObject, object_name

SEGMENT = 1 << 20
"""Bytes that one hash covers."""
_SLICE = 1 << 16
_ZEROS = bytes(SEGMENT)
_ZERO_SLICE = bytes(_SLICE)
_ZERO_PAGE = bytes(PAGE)
ZERO_HASH = bytes(HASH_BYTES)
"""Stands for the hash of a segment of zeros."""
READ_ONLY = 0o444


@dataclass(slots=True)
class Scan:
    """What one pass over a range of RAM finds."""

    entry: RamObject
    runs: list[tuple[int, int]]
    """(offset, length) of each stretch of pages that are not zero."""


def root_hash(length: int, segment: int, hashes: bytes) -> bytes:
    """The hash of a RAM object, from its size and the hashes of its segments."""
    head = length.to_bytes(8, "little") + segment.to_bytes(8, "little")
    return blake3(head + hashes).digest()


def scan(data: memoryview) -> Scan:
    """Hash a range of RAM and find its nonzero pages. Its length is a multiple of 4 KiB."""
    hashes: list[bytes] = []
    runs: list[tuple[int, int]] = []
    for start in range(0, len(data), SEGMENT):
        segment = data[start : start + SEGMENT]
        # bytes.startswith compares any buffer in place, at memory speed.
        if _ZEROS.startswith(segment):
            hashes.append(ZERO_HASH)
        else:
            hashes.append(blake3(segment).digest())
            _collect_runs(segment, start, runs)
    joined = b"".join(hashes)
    digest = root_hash(len(data), SEGMENT, joined)
    return Scan(RamObject(object_name(digest), len(data), SEGMENT, joined, digest), runs)


def _collect_runs(segment: memoryview, start: int, runs: list[tuple[int, int]]) -> None:
    for base in range(0, len(segment), _SLICE):
        window = segment[base : base + _SLICE]
        if _ZERO_SLICE.startswith(window):
            continue
        for page in range(0, len(window), PAGE):
            if _ZERO_PAGE.startswith(window[page : page + PAGE]):
                continue
            at = start + base + page
            if runs and sum(runs[-1]) == at:
                runs[-1] = (runs[-1][0], runs[-1][1] + PAGE)
            else:
                runs.append((at, PAGE))


def write_object(directory: Path, found: Scan, data: memoryview) -> None:
    """Write a RAM object and make it durable; pages of zeros become holes. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    fd = os.open(directory / found.entry.file, flags, 0o600)
    try:
        os.ftruncate(fd, len(data))
        for start, length in found.runs:
            at, end = start, start + length
            while at < end:
                at += os.pwrite(fd, data[at:end], at)
        os.fchmod(fd, READ_ONLY)
        os.fsync(fd)
    finally:
        os.close(fd)


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
        # Not blocking, lest a FIFO of that name hang us.
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


def map_region(directory: Path, entry: RamObject, region: RamEntry, writer: str) -> mmap.mmap:
    """A copy-on-write mapping of one region: writes never reach the file."""
    with opened(directory, entry, writer) as fd:
        return mmap.mmap(
            fd,
            region.length,
            flags=mmap.MAP_PRIVATE,
            prot=mmap.PROT_READ | mmap.PROT_WRITE,
            offset=region.offset,
        )


def verify_object(directory: Path, entry: RamObject, regions: list[RamEntry], writer: str) -> None:
    """Read a whole object and compare it with its hashes; raises at the first difference."""
    path = directory / entry.file
    digest = root_hash(entry.length, entry.segment, bytes(entry.hashes))
    if digest != entry.hash:
        fault = f"expected hash {entry.hash.hex()}, got {digest.hex()} from the segment hashes"
        raise corrupt(path, fault, writer=writer)
    with opened(directory, entry, writer) as fd:
        next_data = _next_data(fd, 0)
        for index, start in enumerate(range(0, entry.length, entry.segment)):
            end = min(start + entry.segment, entry.length)
            expected = bytes(entry.hashes[index * HASH_BYTES : (index + 1) * HASH_BYTES])
            if next_data < start:
                next_data = _next_data(fd, start)
            if expected == ZERO_HASH and next_data >= end:
                continue
            content = os.pread(fd, end - start, start)
            if expected == ZERO_HASH:
                if any(content):
                    at = start + len(content) - len(content.lstrip(b"\0"))
                    where = _pages(at, at + 1, regions, entry.file)
                    fault = f"segment {index}: expected zeros, got {content[at - start]:#04x}"
                    raise corrupt(path, f"{fault} in {where}", offset=at, writer=writer)
            elif (got := blake3(content).digest()) != expected:
                where = _pages(start, end, regions, entry.file)
                fault = f"segment {index}: expected hash {expected.hex()}, got {got.hex()}"
                raise corrupt(path, f"{fault}, in {where}", offset=start, writer=writer)


def _next_data(fd: int, start: int) -> int:
    """Where the first data at or after `start` is; a huge number if only a hole is left."""
    try:
        return os.lseek(fd, start, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return 1 << 63
        raise


def _pages(start: int, end: int, regions: list[RamEntry], file: str) -> str:
    """Name the guest pages that bytes [start, end) of a file hold."""
    for region in regions:
        first = max(start, region.offset)
        last = min(end, region.offset + region.length) - 1
        if region.file == file and first <= last:
            low, high = ((at - region.offset + region.base) // PAGE for at in (first, last))
            if low == high:
                return f"page {low:#x} of guest RAM"
            return f"pages {low:#x}-{high:#x} of guest RAM"
    return "no page of guest RAM"
