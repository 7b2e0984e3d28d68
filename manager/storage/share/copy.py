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
from contextlib import suppress

from manager.storage.share.folder import names_in
from manager.storage.share.layout import MAX_TARGET, TOP, Node, failure
from manager.storage.share.tree import New, Tree, check_name

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_PIECE = 1 << 20
MAX_DEPTH = 200
_PERMISSIONS = 0o777


def find(tree: Tree, path: str) -> int:
    """The node at a path from the top; ENOENT, ENOTDIR. Links are not followed."""
    number = TOP
    for name in parts_of(path):
        number = tree.find(number, name).node
    return number


def parts_of(path: str) -> list[bytes]:
    """The names in a path, without "." and empty ones; EINVAL for ".."."""
    found = [part for part in os.fsencode(path).split(b"/") if part not in (b"", b".")]
    for name in found:
        check_name(name)
    return found


# -- from the share ---------------------------------------------------------------------------


def copy_out(tree: Tree, number: int, directory: int, name: bytes, depth: int = 0) -> int:
    """Copy a node and all below it to `name` in a directory of the host; how many files that were.

    Files that are there are written over; links are not, and nothing is written through them.
    """
    node = tree.volume.node(number)
    check_name(name)
    if depth > MAX_DEPTH:
        raise failure(errno.ELOOP)
    if node.is_link:
        os.symlink(tree.target(node), name, dir_fd=directory)
        return 1
    if node.is_file:
        _file_out(tree, node, directory, name)
        return 1
    if not node.is_directory:
        return 0  # what the host would have to be root for
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=directory)
    below = os.open(name, _DIRECTORY, dir_fd=directory)
    try:
        children = [child for child in tree.names(number).slots if child is not None]
        count = sum(copy_out(tree, one.node, below, one.name, depth + 1) for one in children)
        os.fchmod(below, node.mode & _PERMISSIONS | stat.S_IRWXU)
    finally:
        os.close(below)
    return count


def _file_out(tree: Tree, node: Node, directory: int, name: bytes) -> None:
    fd = os.open(name, _WRITE, 0o600, dir_fd=directory)
    with os.fdopen(fd, "wb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EEXIST, "it is no regular file", os.fsdecode(name))
        os.ftruncate(fd, 0)
        for at in range(0, node.size, _PIECE):
            piece = memoryview(tree.volume.read(node, at, _PIECE))
            while piece:
                piece = piece[file.write(piece) or 0 :]
        os.fchmod(fd, node.mode & _PERMISSIONS)


# -- to the share -----------------------------------------------------------------------------


def copy_in(tree: Tree, parent: int, name: bytes, directory: int, source: bytes) -> int:
    """Copy `source` in a directory of the host, and all below, to `name` in a directory of a share.

    How many files that were. Files and links that are there are replaced by what has their name.
    Devices, sockets and FIFOs are left out.
    """
    status = os.lstat(source, dir_fd=directory)
    now = status.st_mtime_ns
    if stat.S_ISDIR(status.st_mode):
        below = os.open(source, _DIRECTORY, dir_fd=directory)
        try:
            there = _directory_in(tree, parent, name, status.st_mode, now)
            return sum(copy_in(tree, there, one, below, one) for one in names_in(below))
        finally:
            os.close(below)
    if stat.S_ISLNK(status.st_mode):
        target = os.readlink(source, dir_fd=directory)
        if len(target) > MAX_TARGET:
            raise failure(errno.ENAMETOOLONG)
        _make_way(tree, parent, name, now)
        tree.create(parent, name, New(stat.S_IFLNK | 0o777, 0, 0), now, target)
        return 1
    if not stat.S_ISREG(status.st_mode):
        return 0
    fd = os.open(source, _READ, dir_fd=directory)
    with os.fdopen(fd, "rb", buffering=0) as file:
        _file_in(tree, parent, name, file.fileno(), now)
    return 1


def _directory_in(tree: Tree, parent: int, name: bytes, mode: int, now: int) -> int:
    there = tree.names(parent).names.get(name)
    if there is not None and tree.volume.node(there.node).is_directory:
        return there.node
    if there is not None:
        raise failure(errno.ENOTDIR)
    new = New(stat.S_IFDIR | mode & _PERMISSIONS, 0, 0)
    return tree.create(parent, name, new, now).node


def _make_way(tree: Tree, parent: int, name: bytes, now: int) -> None:
    if name in tree.names(parent).names:
        tree.release(tree.unlink(parent, name, now, is_directory=False))


def _file_in(tree: Tree, parent: int, name: bytes, fd: int, now: int) -> None:
    """A file that is there keeps its node, so a guest that has it open sees the new content."""
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        return
    mode = stat.S_IFREG | status.st_mode & _PERMISSIONS
    there = tree.names(parent).names.get(name)
    if there is not None and tree.volume.node(there.node).is_file:
        number = there.node
    else:
        _make_way(tree, parent, name, now)
        number = tree.create(parent, name, New(mode, 0, 0), now).node
    node = tree.volume.node(number)
    tree.volume.truncate(node, 0)
    node.mode, node.mtime, node.ctime = mode, now, now
    tree.volume.store(number, node)
    at = 0
    while piece := os.read(fd, _PIECE):
        tree.volume.write(number, node, at, piece, now)
        at += len(piece)
