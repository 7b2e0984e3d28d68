# SPDX-License-Identifier: BSD-2-Clause
"""A folder of the host, read once: names, kinds, modes and content, in a fixed order.

Times, owners, inode numbers and the order in which the host lists names are not part of it, so
equal content gives equal trees on any host.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from blake3 import blake3

from manager.errors import HostError, UsageError
from manager.lazy import dataclass

MAX_ENTRIES = 1_000_000
MAX_DEPTH = 200
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, directory or symbolic link of the tree."""

    path: bytes
    """From the top, parts joined by "/"; names are any bytes but "/" and NUL."""
    mode: int
    """Kind and permission bits, as in st_mode; set-user-id and set-group-id bits are dropped."""
    size: int
    """Bytes of a file."""
    target: bytes = b""
    """Of a symbolic link."""

    @property
    def is_directory(self) -> bool:
        """Whether it holds others."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)


def entries(folder: Path) -> Iterator[Entry]:
    """All entries below `folder`, parents first, siblings by the bytes of their names.

    Raises HostError for what cannot be read, UsageError for a tree that is no content: devices,
    sockets and FIFOs, or more than a million entries.
    """
    if not folder.is_dir():
        raise HostError(f"{folder} is no folder", help="give a directory of this host")
    yield from _below(os.fsencode(folder), b"", 0, [0])


def _below(folder: bytes, prefix: bytes, depth: int, count: list[int]) -> Iterator[Entry]:
    if depth > MAX_DEPTH:
        raise UsageError(f"{os.fsdecode(folder)}: folders nest more than {MAX_DEPTH} deep")
    try:
        with os.scandir(folder) as listing:
            names = sorted(entry.name for entry in listing)
        for name in names:
            count[0] += 1
            if count[0] > MAX_ENTRIES:
                raise UsageError(f"{os.fsdecode(folder)}: more than {MAX_ENTRIES} files")
            path = folder + b"/" + name
            status = os.lstat(path)
            yield _entry(path, prefix + name, status)
            if stat.S_ISDIR(status.st_mode):
                yield from _below(path, prefix + name + b"/", depth + 1, count)
    except OSError as error:
        where = os.fsdecode(error.filename or folder)
        raise HostError(f"{where} cannot be read: {error.strerror}") from error


def _entry(path: bytes, name: bytes, status: os.stat_result) -> Entry:
    mode = stat.S_IFMT(status.st_mode) | stat.S_IMODE(status.st_mode) & ~(
        stat.S_ISUID | stat.S_ISGID
    )
    if stat.S_ISLNK(mode):
        return Entry(name, stat.S_IFLNK | 0o777, 0, os.readlink(path))  # noqa: PTH115  names are bytes
    if stat.S_ISREG(mode):
        return Entry(name, mode, status.st_size)
    if stat.S_ISDIR(mode):
        return Entry(name, mode, 0)
    raise UsageError(
        f"{os.fsdecode(path)} is neither a file nor a folder nor a link",
        help="leave it out of the folder",
    )


def digest(folder: Path, found: list[Entry]) -> bytes:
    """The hash of a tree: names, kinds, modes, content. Raises HostError."""
    state = blake3()
    for entry in found:
        for part in (entry.path, entry.target):
            state.update(len(part).to_bytes(8, "little") + part)
        state.update(entry.mode.to_bytes(4, "little") + entry.size.to_bytes(8, "little"))
        if stat.S_ISREG(entry.mode):
            state.update(_content_hash(os.fsencode(folder) + b"/" + entry.path))
    return state.digest()


def _content_hash(path: bytes) -> bytes:
    state = blake3()
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            while piece := file.read(_PIECE):
                state.update(piece)
    except OSError as error:
        raise HostError(f"{os.fsdecode(path)} cannot be read: {error.strerror}") from error
    return state.digest()
