# SPDX-License-Identifier: BSD-2-Clause
"""An image of a folder for a share, and what differs between two of them.

An image is named after what is in it: names, kinds, modes, times and content. It is made once and
kept in the cache of images; what happens to the folder afterwards does not change it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from blake3 import blake3

from manager import files
from manager.errors import HostError
from manager.storage.base import BLOCK, SECTOR, RawImage
from manager.storage.share.folder import Folder, Item
from manager.storage.share.layout import (
    MAGIC,
    NODE_AT,
    NODE_BYTES,
    TOP,
    Node,
    pack_entry,
)
from manager.storage.share.tree import Tree
from manager.storage.share.unused import SUFFIX, claim, hold
from manager.storage.share.volume import Volume

ROOM = 64 << 30
"""Bytes of blocks that a guest may write to, besides those that are frozen."""
_REVISION = 1
"""Of how images are made."""
_PIECE = 1 << 20
_NAMED = 3
"""Differences that a message names."""


class ShareImage:
    """A frozen folder, and behind it zeros, if there is to be room for what a guest writes."""

    __slots__ = ("_image", "digest", "size")

    def __init__(self, path: Path, digest: bytes, *, room: int) -> None:
        """Raises HostError."""
        self._image = _opened(path, digest)
        self.digest = digest
        self.size = self._image.size + room

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes at `offset`. Raises OSError."""
        there = max(0, min(length, self._image.size - offset))
        data = self._image.read(offset, there) if there else b""
        return data + bytes(length - there) if there < length else data

    def is_zero(self, offset: int, length: int) -> bool:
        """Whether all of it is behind the frozen folder."""
        return offset >= self._image.size

    def close(self) -> None:
        """Close the file."""
        self._image.close()


def open_share(name: str, folder: Path, cache: Path, *, read_only: bool) -> ShareImage:
    """`folder` as it is now. Raises HostError, UsageError."""
    source = Folder(name, folder)
    items = source.items()
    digest = _digest(items)
    path = _place(cache, digest)
    while True:
        if not path.exists():
            _make(path, source, items)
        with suppress(_GoneError):
            return ShareImage(path, digest, room=0 if read_only else ROOM)


def open_frozen(digest: bytes, cache: Path, *, read_only: bool) -> ShareImage | None:
    """A folder as it was when it had that digest, if it is still in the cache."""
    path = _place(cache, digest)
    if path.exists():
        with suppress(_GoneError):
            return ShareImage(path, digest, room=0 if read_only else ROOM)
    return None


class _GoneError(Exception):
    """An image was removed before it could be held."""


def _opened(path: Path, digest: bytes) -> RawImage:
    """An image that stays while it is open. Raises HostError, _GoneError."""
    try:
        image = RawImage(path, digest)
    except HostError:
        if path.exists():
            raise
        raise _GoneError from None
    if not hold(image.fileno()):
        image.close()
        raise _GoneError
    return image


def _place(cache: Path, digest: bytes) -> Path:
    return cache / f"{digest.hex()}{SUFFIX}"


def _digest(items: list[Item]) -> bytes:
    state = blake3(b"vmmgr share %d" % _REVISION)
    for item in items:
        for part in (item.path, item.target):
            state.update(len(part).to_bytes(8, "little") + part)
        state.update(item.mode.to_bytes(4, "little") + item.size.to_bytes(8, "little"))
        state.update(item.mtime.to_bytes(16, "little", signed=True) + item.digest)
    return state.digest()


# -- making one ---------------------------------------------------------------------------------


def _make(path: Path, source: Folder, items: list[Item]) -> None:
    """Write the image, which appears at `path` as a whole."""
    temp = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        files.make_private(path.parent)
        temp.unlink(missing_ok=True)
        try:
            with temp.open("xb") as file:
                claim(file.fileno())
                _write(file.fileno(), source, items)
                os.fsync(file.fileno())
            temp.chmod(0o400)
            temp.replace(path)
        finally:
            temp.unlink(missing_ok=True)
    except OSError as error:
        raise HostError(f"{path}: {error.strerror}", help="free some room") from error


def _write(fd: int, source: Folder, items: list[Item]) -> None:
    numbers = {item.path: number for number, item in enumerate(items, TOP)}
    below: dict[bytes, list[Item]] = {}
    for item in items[1:]:
        below.setdefault(item.parent, []).append(item)
    size = (len(items) + TOP) * NODE_BYTES
    table = Node(size=size, base=1, base_blocks=-(-size // BLOCK))
    block = 1 + table.base_blocks
    nodes = [bytes(NODE_BYTES)]
    for item in items:
        node = Node(item.mode, 1, parent=numbers[item.parent], base=block, digest=item.digest)
        node.atime = node.mtime = node.ctime = item.mtime
        content = b""
        if node.is_directory:
            inside = below.get(item.path, [])
            content = b"".join(pack_entry(numbers[one.path], one.name) for one in inside)
            node.links = 2 + sum(stat.S_ISDIR(one.mode) for one in inside)
        elif node.is_link:
            content = item.target
        node.size = len(content) or item.size
        node.base_blocks = -(-node.size // BLOCK)
        if node.is_file:
            _copy(source, item, fd, block * BLOCK)
        else:
            _pwrite(fd, content, block * BLOCK)
        nodes.append(node.pack())
        block += node.base_blocks
    table.major = block
    _pwrite(fd, b"".join(nodes), BLOCK)
    _pwrite(fd, (MAGIC.ljust(NODE_AT, b"\0") + table.pack()).ljust(SECTOR, b"\0"), 0)
    os.ftruncate(fd, block * BLOCK)


def _copy(source: Folder, item: Item, fd: int, at: int) -> None:
    """The content of a file, which must be what it was."""
    if not item.size:
        return
    state, size = blake3(), 0
    with source.open(item) as original:
        while size <= item.size and (piece := os.read(original, _PIECE)):
            state.update(piece)
            _pwrite(fd, piece, at + size)
            size += len(piece)
    if size != item.size or state.digest() != item.digest:
        raise source.changed(item)


def _pwrite(fd: int, data: bytes, at: int) -> None:
    rest = memoryview(data)
    while rest:
        done = os.pwrite(fd, rest, at)
        rest, at = rest[done:], at + done


# -- what differs -------------------------------------------------------------------------------


def differences(one: ShareImage, other: ShareImage) -> str:
    """What differs between two frozen folders, for people: a few names, and how many more."""
    before, after = dict(_look(one)), dict(_look(other))
    found = []
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            found.append(f"{os.fsdecode(path) or '.'} {_how(before.get(path), after.get(path))}")
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ", ".join(found[:_NAMED]) + more


def _how(before: tuple[object, ...] | None, after: tuple[object, ...] | None) -> str:
    if before is None:
        return "is new"
    if after is None:
        return "is gone"
    if before[1:] == after[1:]:
        return "has another time"
    return "has changed"


def _look(image: ShareImage) -> Iterator[tuple[bytes, tuple[object, ...]]]:
    """(path, what is compared) of everything in a frozen folder."""
    tree = Tree(Volume(_Blocks(image)))
    waiting = [(b"", TOP)]
    while waiting:
        path, number = waiting.pop()
        node = tree.volume.node(number)
        # A directory's time changes with what is in it, which is told anyway.
        time = 0 if node.is_directory else node.mtime
        target = tree.target(node) if node.is_link else b""
        yield path, (time, node.mode, node.digest, target)
        if node.is_directory:
            prefix = path + b"/" if path else b""
            for child in tree.names(number).names.values():
                waiting.append((prefix + child.name, child.node))


class _Blocks:
    """An image alone, as a volume reads it."""

    read_only = True

    def __init__(self, image: ShareImage) -> None:
        self._image = image
        self.sectors = image.size // SECTOR

    def read(self, sector: int, count: int) -> bytes | None:
        try:
            return self._image.read(sector * SECTOR, count * SECTOR)
        except OSError:
            return None

    def write(self, sector: int, data: bytes | memoryview) -> bool:
        return False

    def zero(self, sector: int, count: int) -> bool:
        return False
