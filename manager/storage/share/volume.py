# SPDX-License-Identifier: BSD-2-Clause
"""Nodes of a share and their content, on blocks.

Nothing is kept in memory but what can be read again: which nodes and blocks are free. What that is
depends on the blocks alone, so a volume that is opened later hands out the same ones.

Every method may raise OSError with the number that a guest is to hear: EIO when the host cannot
read or write, EROFS, ENOSPC, EFBIG.
"""

from __future__ import annotations

import errno
import heapq
import stat
from collections.abc import Callable, Collection

from manager.storage.base import BLOCK, SECTOR
from manager.storage.share.blocks import Blocks, clear, get, put
from manager.storage.share.free import Free
from manager.storage.share.layout import (
    EXTENTS,
    MAGIC,
    MAX_NODES,
    NODE_AT,
    NODE_BYTES,
    TABLE,
    TOP,
    Node,
    extent_blocks,
    failure,
    place,
)

_SECTORS = BLOCK // SECTOR
MAX_SIZE = (1 << 32) - (1 << 16)
"""Bytes of a file, at most: what all extents hold."""


class Volume:
    """A share's nodes. Blocks without a tree are an empty one."""

    def __init__(
        self, blocks: Blocks, is_open: Callable[[], Collection[int]] = frozenset[int]
    ) -> None:
        """`is_open` gives the nodes that are to be kept although they have no name."""
        self._blocks = blocks
        self._is_open = is_open
        self._table: Node | None = None
        self._free: Free | None = None

    def forget(self) -> None:
        """The blocks may hold something else than before."""
        self._table = self._free = None

    @property
    def read_only(self) -> bool:
        """Whether nothing may change."""
        return self._blocks.read_only

    @property
    def nodes(self) -> int:
        """How many nodes the table has room for, the free ones and node 0 among them."""
        return self._node_table().size // NODE_BYTES

    def room(self) -> tuple[int, int]:
        """Blocks that there are, and those of them that are free."""
        total = self._blocks.sectors // _SECTORS
        if self.read_only:
            return total, 0
        return total, self._found().blocks

    # -- nodes ----------------------------------------------------------------------------------

    def node(self, number: int) -> Node:
        """A node that is not free; ESTALE for another."""
        if not TOP <= number < self.nodes:
            raise failure(errno.ESTALE)
        found = self._load(number)
        if not found.mode:
            raise failure(errno.ESTALE)
        return found

    def store(self, number: int, node: Node) -> None:
        """Write a node."""
        if number == TABLE:
            head = MAGIC.ljust(NODE_AT, b"\0") + node.pack()
            put(self._blocks, 0, head.ljust(SECTOR, b"\0"))
            self._table = node
        else:
            self._write_at(TABLE, self._node_table(), number * NODE_BYTES, node.pack())

    def add(self, node: Node) -> int:
        """Take a free number for a new node, which is not stored yet."""
        self.require_writable()
        free, table = self._found(), self._node_table()
        if free.nodes:
            number = heapq.heappop(free.nodes)
            node.generation = self._load(number).generation + 1 & 0xFFFFFFFF
            return number
        number = self.nodes
        if number >= MAX_NODES:
            raise failure(errno.ENOSPC)
        self._write_at(TABLE, table, number * NODE_BYTES, bytes(NODE_BYTES))
        table.size += NODE_BYTES
        self.store(TABLE, table)
        return number

    def remove(self, number: int, node: Node) -> None:
        """Free a node and its content."""
        self.truncate(node, 0)
        self.store(number, Node(generation=node.generation))
        heapq.heappush(self._found().nodes, number)

    # -- content --------------------------------------------------------------------------------

    def read(self, node: Node, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset` on, to the end of the content."""
        end = min(offset + length, node.size)
        parts = []
        while offset < end:
            block, into = divmod(offset, BLOCK)
            _, first, count = place(node, block)
            some = min(end - offset, count * BLOCK - into)
            parts.append(get(self._blocks, first * BLOCK + into, some) if first else bytes(some))
            offset += some
        return b"".join(parts)

    def write(self, number: int, node: Node, offset: int, data: bytes, now: int) -> None:
        """Write `data` at `offset`, and the node with its new size and times."""
        self.require_writable()
        if offset + len(data) > MAX_SIZE:
            raise failure(errno.EFBIG)
        self._write_at(number, node, offset, data)
        node.size = max(node.size, offset + len(data))
        node.mtime = node.ctime = now
        node.version = node.version + 1 & 0xFFFFFFFF
        if node.is_file:
            node.mode &= ~_set_ids(node.mode)
        self.store(number, node)

    def truncate(self, node: Node, size: int) -> None:
        """Make the content `size` bytes long; the node is the caller's to store."""
        self.require_writable()
        if size > MAX_SIZE:
            raise failure(errno.EFBIG)
        if size < node.size:
            self._cut(node, size)
        node.size = size
        node.version = node.version + 1 & 0xFFFFFFFF

    def require_writable(self) -> None:
        """Raise OSError, EROFS, if nothing may change."""
        if self.read_only:
            raise failure(errno.EROFS)

    # -- inside ---------------------------------------------------------------------------------

    def _node_table(self) -> Node:
        if self._table is None:
            head = get(self._blocks, 0, SECTOR)
            if head.startswith(MAGIC):
                self._table = Node.unpack(head[NODE_AT:])
                if self._table.size > MAX_NODES * NODE_BYTES:
                    raise failure(errno.EIO)
            else:
                self._make_empty()
        assert self._table is not None
        return self._table

    def _frozen(self) -> int:
        """The first block behind the frozen tree."""
        return max(2, self._node_table().major)

    def _make_empty(self) -> None:
        self.require_writable()
        table = Node(size=2 * NODE_BYTES, base=1, base_blocks=1)
        self.store(TABLE, table)
        self.store(TOP, Node(mode=stat.S_IFDIR | 0o755, links=2))

    def _load(self, number: int) -> Node:
        return Node.unpack(self.read(self._node_table(), number * NODE_BYTES, NODE_BYTES))

    def _found(self) -> Free:
        if self._free is None:
            free = Free(self._frozen(), self._blocks.sectors // _SECTORS)
            nameless = []
            kept = self._is_open()
            free.note(self._node_table())
            for number in range(TOP, self.nodes):
                node = self._load(number)
                if not node.mode:
                    free.nodes.append(number)
                    continue
                free.note(node)
                if not node.links and number not in kept:
                    nameless.append((number, node))
            self._free = free
            # What had no name when its user went away.
            for number, node in nameless:
                self.remove(number, node)
        return self._free

    def _cut(self, node: Node, size: int) -> None:
        """Blocks behind `size` are zeros or free from now on."""
        was_base = node.base_blocks * BLOCK
        if was_base and size < was_base:
            kept = -(-size // BLOCK)
            self._zero(node, size, min(node.size, kept * BLOCK))
        else:
            self._zero(node, size, min(node.size, _end_of_extent(node, size)))
        start = node.base_blocks
        for extent in range(EXTENTS):
            first, count = node.extents[extent], extent_blocks(extent)
            if first and start * BLOCK >= size:
                used = min(count, max(0, -(-node.size // BLOCK) - start))
                clear(self._blocks, first * BLOCK, used * BLOCK)
                self._found().release(first, count)
                node.extents[extent] = 0
            start += count
        if size < was_base:
            node.base_blocks = -(-size // BLOCK)  # what is behind them is never used again

    def _zero(self, node: Node, start: int, end: int) -> None:
        """Zeros from `start` to `end`, within blocks that lie together."""
        if start >= end:
            return
        block, into = divmod(start, BLOCK)
        _, first, _ = place(node, block)
        if first:
            clear(self._blocks, first * BLOCK + into, end - start)

    def _write_at(self, number: int, node: Node, offset: int, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            block, into = divmod(offset, BLOCK)
            extent, first, count = place(node, block)
            some = min(len(rest), count * BLOCK - into)
            if not first:
                node.extents[extent] = self._found().allocate(extent_blocks(extent))
                _, first, _ = place(node, block)
                self.store(number, node)
            at = first * BLOCK + into
            put(self._blocks, at, rest[:some])
            rest = rest[some:]
            offset += some


def _set_ids(mode: int) -> int:
    """The bits that a write takes from a file."""
    return mode & (stat.S_ISUID | (stat.S_ISGID if mode & stat.S_IXGRP else 0))


def _end_of_extent(node: Node, size: int) -> int:
    """Where what lies together with byte `size` of the content ends."""
    block = size // BLOCK
    return (block + place(node, block)[2]) * BLOCK
