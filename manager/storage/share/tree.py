# SPDX-License-Identifier: BSD-2-Clause
"""Names in a share: directories, and what can be done to them.

A directory's entries keep their places, so a guest that lists it while it removes files misses
none; a new name takes the first free place. Every method may raise OSError with the number that a
guest is to hear.
"""

from __future__ import annotations

import errno
import heapq
from typing import NamedTuple

from manager.storage.share.layout import (
    ENTRY_BYTES,
    MAX_LINKS,
    MAX_NAME,
    MAX_NODES,
    MAX_TARGET,
    TOP,
    Node,
    failure,
    pack_entry,
    unpack_entries,
)
from manager.storage.share.volume import Volume

KEPT_NAMES = 1 << 18
"""Names of directories that are kept in memory, at most and about."""
MAX_DEPTH = 1000


class Child(NamedTuple):
    """A name in a directory."""

    node: int
    slot: int
    """The place of its entry."""
    name: bytes


class Directory:
    """The names of one directory."""

    __slots__ = ("free", "names", "slots")

    def __init__(self, entries: list[tuple[int, bytes]]) -> None:
        self.slots: list[Child | None] = []
        self.names: dict[bytes, Child] = {}
        self.free: list[int] = []
        """Places between others: a heap."""
        for slot, (node, name) in enumerate(entries):
            child = Child(node, slot, name) if node else None
            self.slots.append(child)
            if child is None:
                self.free.append(slot)
            else:
                self.names[name] = child


class New(NamedTuple):
    """What a new node is to be."""

    mode: int
    uid: int
    gid: int
    major: int = 0
    minor: int = 0


class Tree:
    """The names of a volume."""

    def __init__(self, volume: Volume) -> None:
        self.volume = volume
        self._known: dict[int, Directory] = {}
        self._kept = 0

    def forget(self) -> None:
        """The blocks may hold something else than before."""
        self.volume.forget()
        self._known.clear()
        self._kept = 0

    # -- looking --------------------------------------------------------------------------------

    def find(self, directory: int, name: bytes) -> Child:
        """What has that name; ENOENT."""
        found = self.names(directory).names.get(name)
        if found is None:
            raise failure(errno.ENOENT)
        return found

    def at(self, path: bytes) -> int:
        """The node at a path from the top; ENOENT, ENOTDIR. Links are not followed."""
        number = TOP
        for name in path.split(b"/") if path else ():
            number = self.find(number, name).node
        return number

    def names(self, number: int) -> Directory:
        """The names of a directory; ENOTDIR."""
        known = self._known.get(number)
        if known is None:
            node = self.volume.node(number)
            if not node.is_directory:
                raise failure(errno.ENOTDIR)
            if node.size > MAX_NODES * ENTRY_BYTES:
                raise failure(errno.EIO)
            known = Directory(unpack_entries(self.volume.read(node, 0, node.size)))
            if self._kept > KEPT_NAMES:
                self._known.clear()
                self._kept = 0
            self._known[number] = known
            self._kept += len(known.slots)
        return known

    def name_of(self, directory: int, node: int, slot: int = -1) -> Child:
        """The entry of `node` in a directory, which was once at `slot`; ENOENT."""
        slots = self.names(directory).slots
        if 0 <= slot < len(slots):
            there = slots[slot]
            if there is not None and there.node == node:
                return there
        for child in slots:
            if child is not None and child.node == node:
                return child
        raise failure(errno.ENOENT)

    def target(self, node: Node) -> bytes:
        """Where a symbolic link points; EINVAL for anything else."""
        if not node.is_link:
            raise failure(errno.EINVAL)
        return self.volume.read(node, 0, MAX_TARGET)

    # -- changing -------------------------------------------------------------------------------

    def create(
        self, directory: int, name: bytes, new: New, now: int, content: bytes = b""
    ) -> Child:
        """A new file, directory, link (to `content`) or special file; EEXIST."""
        self.volume.require_writable()
        parent = self._room_for(directory, name)
        node = Node(new.mode, 1, new.uid, new.gid, directory)
        node.major, node.minor = new.major, new.minor
        node.atime = node.mtime = node.ctime = now
        if node.is_directory:
            if parent.links >= MAX_LINKS:
                raise failure(errno.EMLINK)
            node.links = 2
        number = self.volume.add(node)
        if content:
            self.volume.write(number, node, 0, content, now)
        else:
            self.volume.store(number, node)
        try:
            child = self._enter(directory, name, number, now)
        except OSError:
            self.volume.remove(number, node)
            raise
        if node.is_directory:
            self._count(directory, 1)
        return child

    def link(self, directory: int, name: bytes, number: int, now: int) -> None:
        """Another name for a node that is no directory."""
        self.volume.require_writable()
        node = self.volume.node(number)
        if node.is_directory:
            raise failure(errno.EPERM)
        if not node.links:
            raise failure(errno.ENOENT)
        if node.links >= MAX_LINKS:
            raise failure(errno.EMLINK)
        self._room_for(directory, name)
        node.links += 1
        node.ctime = now
        self.volume.store(number, node)
        self._enter(directory, name, number, now)

    def unlink(self, directory: int, name: bytes, now: int, *, is_directory: bool) -> int:
        """Take a name away; the node that had it, which may have none now: see `release`."""
        self.volume.require_writable()
        child = self.find(directory, name)
        node = self.volume.node(child.node)
        if node.is_directory != is_directory:
            raise failure(errno.ENOTDIR if is_directory else errno.EISDIR)
        if is_directory and self.names(child.node).names:
            raise failure(errno.ENOTEMPTY)
        self._leave(directory, child, now)
        self._lose_name(directory, child.node, node, now)
        return child.node

    def release(self, number: int) -> None:
        """Free a node that nothing holds open any more, if it has no name."""
        node = self.volume.node(number)
        if not node.links:
            if known := self._known.pop(number, None):
                self._kept -= len(known.slots)
            self.volume.remove(number, node)

    def rename(self, old: int, name: bytes, new: int, new_name: bytes, now: int) -> int | None:
        """Move a name; the node that it takes the place of, if any: see `release`."""
        self.volume.require_writable()
        child = self.find(old, name)
        node = self.volume.node(child.node)
        if node.is_directory:
            self._refuse_below(child.node, new)
        replaced = self.names(new).names.get(new_name)
        if replaced is not None:
            if replaced.node == child.node:
                return None
            self.unlink(new, new_name, now, is_directory=node.is_directory)
        parent = self._room_for(new, new_name)
        if node.is_directory and old != new:
            if parent.links >= MAX_LINKS:
                raise failure(errno.EMLINK)
            self._count(old, -1)
            self._count(new, 1)
            node.parent = new
        self._leave(old, child, now)
        node.ctime = now
        self.volume.store(child.node, node)
        self._enter(new, new_name, child.node, now)
        return replaced.node if replaced is not None else None

    # -- inside ---------------------------------------------------------------------------------

    def _room_for(self, directory: int, name: bytes) -> Node:
        """The directory that a new name is to be in; EEXIST."""
        check_name(name)
        names = self.names(directory)
        if name in names.names:
            raise failure(errno.EEXIST)
        if len(names.names) >= MAX_NODES:
            raise failure(errno.ENOSPC)
        node = self.volume.node(directory)
        if not node.links:
            raise failure(errno.ENOENT)
        return node

    def _enter(self, directory: int, name: bytes, number: int, now: int) -> Child:
        names = self.names(directory)
        slot = names.free[0] if names.free else len(names.slots)
        child = Child(number, slot, name)
        self._put(directory, slot, pack_entry(number, name), now)
        if names.free:
            heapq.heappop(names.free)
            names.slots[slot] = child
        else:
            names.slots.append(child)
            self._kept += 1
        names.names[name] = child
        return child

    def _leave(self, directory: int, child: Child, now: int) -> None:
        names = self.names(directory)
        self._put(directory, child.slot, bytes(ENTRY_BYTES), now)
        names.slots[child.slot] = None
        heapq.heappush(names.free, child.slot)
        del names.names[child.name]

    def _put(self, directory: int, slot: int, entry: bytes, now: int) -> None:
        node = self.volume.node(directory)
        self.volume.write(directory, node, slot * ENTRY_BYTES, entry, now)

    def _lose_name(self, directory: int, number: int, node: Node, now: int) -> None:
        if node.is_directory:
            node.links = 0
            self._count(directory, -1)
        else:
            node.links = max(0, node.links - 1)
        node.ctime = now
        self.volume.store(number, node)

    def _count(self, directory: int, more: int) -> None:
        """A directory has one more directory in it, or one less."""
        node = self.volume.node(directory)
        node.links = max(2, node.links + more) if node.links else 0
        self.volume.store(directory, node)

    def _refuse_below(self, number: int, directory: int) -> None:
        """Raise OSError, EINVAL, if a directory would get below itself."""
        for _ in range(MAX_DEPTH):
            if directory == number:
                raise failure(errno.EINVAL)
            if directory == TOP:
                return
            directory = self.volume.node(directory).parent
        raise failure(errno.ELOOP)


def check_name(name: bytes) -> None:
    """Raise OSError unless `name` can be that of a file."""
    if not name or b"/" in name or b"\0" in name or name in (b".", b".."):
        raise failure(errno.EINVAL)
    if len(name) > MAX_NAME:
        raise failure(errno.ENAMETOOLONG)
