# SPDX-License-Identifier: BSD-2-Clause
"""A folder of the host, read for a share: what is in it, and one file of it.

Everything is opened below the descriptor of its own directory and without following links, so
whoever changes the folder meanwhile cannot lead out of it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blake3 import blake3

from manager.errors import HostError, UsageError
from manager.lazy import dataclass
from manager.storage.share.layout import MAX_TARGET

MAX_ENTRIES = 200_000
MAX_BYTES = 4 << 30
"""Of all files together."""
MAX_DEPTH = 200
_PIECE = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Item:
    """A file, directory or symbolic link."""

    path: bytes
    """From the top, parts joined by "/"; the top itself is empty."""
    mode: int
    """As st_mode, without set-user-id and set-group-id."""
    mtime: int
    """ns since 1970."""
    size: int = 0
    """Bytes of a file."""
    target: bytes = b""
    """Of a symbolic link."""
    digest: bytes = bytes(32)
    """BLAKE3 of a file's content."""

    @property
    def parent(self) -> bytes:
        """The path of the directory that it is in."""
        return self.path.rpartition(b"/")[0]

    @property
    def name(self) -> bytes:
        """Its name there."""
        return self.path.rpartition(b"/")[2]


class Folder:
    """A folder that is shared as `name`. Every method may raise HostError and UsageError."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path
        self._bytes = 0
        self._entries = 0

    def items(self) -> list[Item]:
        """The top and all that is below, parents first, siblings by the bytes of their names.

        Devices, sockets and FIFOs are left out.
        """
        self._bytes = self._entries = 0
        with self._failures(b""):
            top = os.open(self.path, _DIRECTORY & ~os.O_NOFOLLOW)
            try:
                status = os.fstat(top)
                found = [Item(b"", _mode(status), status.st_mtime_ns)]
                found += self._below(top, b"", 0)
            finally:
                os.close(top)
        return found

    @contextmanager
    def open(self, item: Item) -> Iterator[int]:
        """A descriptor of a file."""
        with self._failures(item.path):
            at = os.open(self.path, _DIRECTORY & ~os.O_NOFOLLOW)
            try:
                *above, name = item.path.split(b"/")
                for part in above:
                    below = os.open(part, _DIRECTORY, dir_fd=at)
                    os.close(at)
                    at = below
                fd = os.open(name, _FILE, dir_fd=at)
            finally:
                os.close(at)
            try:
                yield fd
            finally:
                os.close(fd)

    def _below(self, directory: int, prefix: bytes, depth: int) -> Iterator[Item]:
        if depth > MAX_DEPTH:
            raise self._too_much(f"folders nest more than {MAX_DEPTH} deep")
        for name in names_in(directory):
            path = prefix + name
            with self._failures(path):
                status = os.lstat(name, dir_fd=directory)
                if not stat.S_ISDIR(status.st_mode):
                    yield from self._leaf(directory, name, path, status)
                    continue
                below = os.open(name, _DIRECTORY, dir_fd=directory)
                try:
                    self._count(0)
                    yield Item(path, _mode(status), status.st_mtime_ns)
                    yield from self._below(below, path + b"/", depth + 1)
                finally:
                    os.close(below)

    def _leaf(
        self, directory: int, name: bytes, path: bytes, status: os.stat_result
    ) -> Iterator[Item]:
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink(name, dir_fd=directory)
            if len(target) > MAX_TARGET:
                raise self._too_much(f"{os.fsdecode(path)} is a link of {len(target)} bytes")
            self._count(len(target))
            yield Item(path, stat.S_IFLNK | 0o777, status.st_mtime_ns, target=target)
        elif stat.S_ISREG(status.st_mode):
            fd = os.open(name, _FILE, dir_fd=directory)
            try:
                status = os.fstat(fd)
                if not stat.S_ISREG(status.st_mode):
                    return
                self._count(status.st_size)
                state, size = blake3(), 0
                while piece := os.read(fd, _PIECE):
                    state.update(piece)
                    size += len(piece)
            finally:
                os.close(fd)
            yield Item(path, _mode(status), status.st_mtime_ns, size=size, digest=state.digest())

    def _count(self, size: int) -> None:
        self._entries += 1
        self._bytes += size
        if self._entries > MAX_ENTRIES:
            raise self._too_much(f"more than {MAX_ENTRIES} files")
        if self._bytes > MAX_BYTES:
            raise self._too_much(f"more than {MAX_BYTES >> 30} GiB")

    def _too_much(self, what: str) -> UsageError:
        return UsageError(
            f'share "{self.name}": {self.path}: {what}',
            help="share a folder below it; a disk with `folder` may hold more",
        )

    def changed(self, item: Item) -> HostError:
        """What there is to say of a file that has changed since `items`."""
        return HostError(
            f'share "{self.name}": {self.path / os.fsdecode(item.path)} changed while it was read',
            help="try again",
        )

    @contextmanager
    def _failures(self, path: bytes) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = self.path / os.fsdecode(path)
            raise HostError(
                f'share "{self.name}": {where} cannot be read: {error.strerror}'
            ) from error


def names_in(directory: int) -> list[bytes]:
    """The names in an open directory, in the order of their bytes. Raises OSError."""
    return sorted(os.fsencode(name) for name in os.listdir(directory))


def _mode(status: os.stat_result) -> int:
    return status.st_mode & ~(stat.S_ISUID | stat.S_ISGID)
