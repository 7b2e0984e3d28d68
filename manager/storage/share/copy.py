# SPDX-License-Identifier: BSD-2-Clause
"""Files between a share and the host, in both directions.

Names in a share are the guest's. On the host everything is made below the descriptor of its own
directory and without following links, so no name and no link of the guest's leads elsewhere.
All functions may raise OSError; its file name is that on the host or in the share.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple, Protocol

from manager.storage.share.changes import DIRECTORY, FILE, LINK, PERMISSIONS, Change, make
from manager.storage.share.folder import names_in
from manager.storage.share.layout import MAX_TARGET, failure
from manager.storage.share.tree import Tree, check_name

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
PIECE = 1 << 16
"""Bytes of a file that are moved at once, at most."""
MAX_DEPTH = 200


class Entry(NamedTuple):
    """What there is at a path in a share."""

    mode: int
    """As st_mode."""
    size: int
    target: bytes = b""
    """Where a link points."""


class Source(Protocol):
    """A share to copy from. Paths are names joined by "/"; the top is empty."""

    def look(self, path: bytes) -> Entry:
        """What is at a path; ENOENT, ENOTDIR. Links are not followed."""

    def names(self, path: bytes) -> Iterable[bytes]:
        """The names in a directory."""

    def pieces(self, path: bytes) -> Iterable[bytes]:
        """The content of a file."""


class Sink(Protocol):
    """A share to copy to."""

    def put(self, change: Change, mtime: int) -> None:
        """Make a change; `mtime` is the time that the host's file has, ns since 1970."""


def path_of(text: bytes) -> bytes:
    """A path as a share has it, without "." and empty names; EINVAL for ".."."""
    found = [part for part in text.split(b"/") if part not in (b"", b".")]
    for name in found:
        check_name(name)
    return b"/".join(found)


def below(path: bytes, name: bytes) -> bytes:
    """The path of what has that name in a directory."""
    return path + b"/" + name if path else name


# -- from the share ---------------------------------------------------------------------------


def copy_out(source: Source, path: bytes, directory: int, name: bytes, depth: int = 0) -> int:
    """Copy what is at a path, and all below, to `name` in a directory of the host.

    How many files that were. Files that are there are written over; links are not, and nothing is
    written through them.
    """
    check_name(name)
    entry = source.look(path)
    if depth > MAX_DEPTH:
        raise failure(errno.ELOOP)
    with _named(path):
        if stat.S_ISLNK(entry.mode):
            os.symlink(entry.target, name, dir_fd=directory)
            return 1
        if stat.S_ISREG(entry.mode):
            _file_out(source, path, entry, directory, name)
            return 1
        if not stat.S_ISDIR(entry.mode):
            return 0  # what the host would have to be root for
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=directory)
        there = os.open(name, _DIRECTORY, dir_fd=directory)
    try:
        names = source.names(path)
        count = sum(copy_out(source, below(path, one), there, one, depth + 1) for one in names)
        os.fchmod(there, entry.mode & PERMISSIONS | stat.S_IRWXU)
    finally:
        os.close(there)
    return count


def _file_out(source: Source, path: bytes, entry: Entry, directory: int, name: bytes) -> None:
    fd = os.open(name, _WRITE, 0o600, dir_fd=directory)
    with os.fdopen(fd, "wb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EEXIST, "it is no regular file")
        os.ftruncate(fd, 0)
        for piece in source.pieces(path):
            rest = memoryview(piece)
            while rest:
                rest = rest[file.write(rest) or 0 :]
        os.fchmod(fd, entry.mode & PERMISSIONS)


@contextmanager
def _named(path: bytes) -> Iterator[None]:
    """An error of the host says at which file it was."""
    try:
        yield
    except OSError as error:
        if error.filename is None and path:
            error.filename = path
        raise


# -- to the share -----------------------------------------------------------------------------


def copy_in(sink: Sink, path: bytes, directory: int, name: bytes) -> int:
    """Copy `name` in a directory of the host, and all below, to a path in a share.

    How many files that were. Files and links that are there are replaced by what has their name.
    Devices, sockets and FIFOs are left out.
    """
    status = os.lstat(name, dir_fd=directory)
    mode, mtime = stat.S_IMODE(status.st_mode) & PERMISSIONS, status.st_mtime_ns
    if stat.S_ISDIR(status.st_mode):
        there = os.open(name, _DIRECTORY, dir_fd=directory)
        try:
            sink.put(Change(DIRECTORY, path, mode), mtime)
            return sum(copy_in(sink, below(path, one), there, one) for one in names_in(there))
        finally:
            os.close(there)
    if stat.S_ISLNK(status.st_mode):
        target = os.readlink(name, dir_fd=directory)
        if len(target) > MAX_TARGET:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), name)
        sink.put(Change(LINK, path, content=target), mtime)
        return 1
    if not stat.S_ISREG(status.st_mode):
        return 0
    return _file_in(sink, path, directory, name)


def _file_in(sink: Sink, path: bytes, directory: int, name: bytes) -> int:
    fd = os.open(name, _READ, dir_fd=directory)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return 0
        mode = stat.S_IMODE(status.st_mode) & PERMISSIONS
        at, piece, is_last = 0, os.read(fd, PIECE), False
        while not is_last:
            following = os.read(fd, PIECE) if piece else b""
            is_last = not following
            sink.put(Change(FILE, path, mode, piece, at, is_last), status.st_mtime_ns)
            at, piece = at + len(piece), following
    finally:
        os.close(fd)
    return 1


# -- a share whose machine does not run ---------------------------------------------------------


def entry_at(tree: Tree, path: bytes) -> Entry:
    """What is at a path in a tree; ENOENT, ENOTDIR."""
    node = tree.volume.node(tree.at(path))
    return Entry(node.mode, node.size, tree.target(node) if node.is_link else b"")


class StillShare:
    """Source and Sink: the tree of a machine that does not run."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def look(self, path: bytes) -> Entry:
        """What is at a path."""
        return entry_at(self._tree, path)

    def names(self, path: bytes) -> list[bytes]:
        """The names in a directory."""
        slots = self._tree.names(self._tree.at(path)).slots
        return [child.name for child in slots if child is not None]

    def pieces(self, path: bytes) -> Iterator[bytes]:
        """The content of a file."""
        node = self._tree.volume.node(self._tree.at(path))
        for at in range(0, node.size, PIECE):
            yield self._tree.volume.read(node, at, PIECE)

    def put(self, change: Change, mtime: int) -> None:
        """Make a change: what is new has the time that it has on the host."""
        make(self._tree, change, mtime, self._tree.release)
