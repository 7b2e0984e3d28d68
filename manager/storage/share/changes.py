# SPDX-License-Identifier: BSD-2-Clause
"""What the host changes in a share, in the form in which it is recorded, and how it is done.

A file comes in pieces to a name of its own and takes its place with the last one, so that a guest
that runs meanwhile never finds half a file. A change that cannot be made leaves nothing.
"""

from __future__ import annotations

import errno
import stat
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple

from manager.storage.share.layout import MAX_NAME, MAX_TARGET, failure
from manager.storage.share.tree import New, Tree

DIRECTORY, LINK, FILE, DROP = range(4)
"""Kinds: make a directory unless it is there; a link; a piece of a file; forget earlier pieces."""
PERMISSIONS = 0o777
_HEAD = struct.Struct("<B?HIQI")
_PART = b".vmmgr-cp"
"""Ends the name that a file has before it is whole."""


class Change(NamedTuple):
    """One change."""

    kind: int
    path: bytes
    """From the top, names joined by "/"."""
    mode: int = 0
    """Permission bits."""
    content: bytes = b""
    """A piece of a file, or where a link points."""
    offset: int = 0
    """Of the piece, bytes; pieces come in order."""
    is_last: bool = True


def packed(changes: Iterable[Change]) -> bytes:
    """As they are recorded: of each a head, the path and the content."""
    return b"".join(
        _HEAD.pack(kind, is_last, len(path), mode, offset, len(content)) + path + content
        for kind, path, mode, content, offset, is_last in changes
    )


def unpacked(data: bytes) -> list[Change]:
    """Raises OSError, EINVAL, for what `packed` cannot have made."""
    found, at = [], 0
    while at < len(data):
        if at + _HEAD.size > len(data):
            raise failure(errno.EINVAL)
        kind, is_last, length, mode, offset, size = _HEAD.unpack_from(data, at)
        start = at + _HEAD.size
        middle, at = start + length, start + length + size
        if at > len(data):
            raise failure(errno.EINVAL)
        found.append(Change(kind, data[start:middle], mode, data[middle:at], offset, is_last))
    return found


def make(tree: Tree, change: Change, now: int, release: Callable[[int], None]) -> None:
    """Make a change; `release` gets nodes that lost a name. Raises OSError with the path."""
    makers = {DIRECTORY: _directory, LINK: _link, FILE: _file, DROP: _drop}
    try:
        if change.kind not in makers:
            raise failure(errno.EINVAL)
        makers[change.kind](tree, change, now, release)
    except OSError as error:
        raise OSError(error.errno, error.strerror, change.path) from error


def _place(tree: Tree, path: bytes) -> tuple[int, bytes]:
    """The directory that a path is in, and its name there. Links are not followed."""
    directory, _, name = path.rpartition(b"/")
    return tree.at(directory), name


def _directory(tree: Tree, change: Change, now: int, release: Callable[[int], None]) -> None:
    parent, name = _place(tree, change.path)
    there = tree.names(parent).names.get(name)
    if there is None:
        tree.create(parent, name, New(stat.S_IFDIR | change.mode & PERMISSIONS, 0, 0), now)
    elif not tree.volume.node(there.node).is_directory:
        raise failure(errno.ENOTDIR)


def _link(tree: Tree, change: Change, now: int, release: Callable[[int], None]) -> None:
    if not change.content or b"\0" in change.content:
        raise failure(errno.EINVAL)
    if len(change.content) > MAX_TARGET:
        raise failure(errno.ENAMETOOLONG)
    parent, name = _place(tree, change.path)
    _remove(tree, parent, name, now, release)
    tree.create(parent, name, New(stat.S_IFLNK | 0o777, 0, 0), now, change.content)


def _file(tree: Tree, change: Change, now: int, release: Callable[[int], None]) -> None:
    parent, name = _place(tree, change.path)
    there = tree.names(parent).names.get(name)
    if there is not None and tree.volume.node(there.node).is_directory:
        raise failure(errno.EISDIR)
    part = _part(name)
    try:
        if not change.offset:
            _remove(tree, parent, part, now, release)
            new = New(stat.S_IFREG | change.mode & PERMISSIONS, 0, 0)
            number = tree.create(parent, part, new, now).node
        else:
            number = tree.find(parent, part).node
        node = tree.volume.node(number)
        if not node.is_file or node.size != change.offset:
            raise failure(errno.ESTALE)  # the guest has changed what is not whole yet
        tree.volume.write(number, node, change.offset, change.content, now)
        if change.is_last:
            replaced = tree.rename(parent, part, parent, name, now)
            if replaced is not None:
                release(replaced)
    except OSError:
        with suppress(OSError):
            _remove(tree, parent, part, now, release)
        raise


def _drop(tree: Tree, change: Change, now: int, release: Callable[[int], None]) -> None:
    parent, name = _place(tree, change.path)
    _remove(tree, parent, _part(name), now, release)


def _part(name: bytes) -> bytes:
    return b"." + name[: MAX_NAME - len(_PART) - 1] + _PART


def _remove(tree: Tree, parent: int, name: bytes, now: int, release: Callable[[int], None]) -> None:
    """Take away a file or link, if there is one. Raises OSError, EISDIR, for a directory."""
    if name in tree.names(parent).names:
        release(tree.unlink(parent, name, now, is_directory=False))
