# SPDX-License-Identifier: BSD-2-Clause
"""What is where on the blocks of a share.

Block 0 has the magic number and node 0, whose content is the table of all nodes, NODE_BYTES each.
Node 1 is the top directory. A directory's content is entries of ENTRY_BYTES: a node and a name.

A node's content is its `base`, consecutive blocks that were there when the tree was frozen, and
then up to 16 extents, each twice as long as the one before, as they are needed. So nothing that
grows is ever moved, and blocks that were never written cost nothing.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from dataclasses import field

from manager.lazy import dataclass

MAGIC = b"vmmgrsh1"
NODE_AT = 256
"""Where node 0 is, bytes into block 0."""
NODE_BYTES = 256
TABLE, TOP = 0, 1
"""Numbers of nodes."""
EXTENTS = 16
FIRST_EXTENT = 16
"""Blocks of the first extent of a node."""
MAX_NODES = 1 << 19
MAX_NAME = 255
MAX_TARGET = 4095
MAX_LINKS = 65_000

_NODE = struct.Struct("<IIIIIIIIIIIIQqqq32s16I")
_ENTRY = struct.Struct("<IB255s4x")
ENTRY_BYTES = _ENTRY.size
NANOSECONDS = 1_000_000_000


@dataclass(slots=True)
class Node:
    """A file, directory, link or special file. Times are ns since 1970, UTC."""

    mode: int = 0
    """As st_mode; 0 for a node that is free."""
    links: int = 0
    uid: int = 0
    gid: int = 0
    parent: int = TOP
    """Of a directory."""
    generation: int = 0
    """Counts how often the number of this node was given to another file."""
    major: int = 0
    minor: int = 0
    """Of a device. `major` of node 0 is the first block that is not of the frozen tree."""
    version: int = 0
    """Counts changes of the content, modulo 2^32."""
    base: int = 0
    """The first block of the content, if `base_blocks` is not 0."""
    base_blocks: int = 0
    size: int = 0
    """Bytes."""
    atime: int = 0
    mtime: int = 0
    ctime: int = 0
    digest: bytes = bytes(32)
    """BLAKE3 of a file's content when the tree was frozen."""
    extents: list[int] = field(default_factory=lambda: [0] * EXTENTS)
    """First blocks; 0 for one that there is not."""

    @property
    def is_directory(self) -> bool:
        """Whether it holds others."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)

    def pack(self) -> bytes:
        """As it is in the table."""
        return _NODE.pack(
            self.mode,
            self.links,
            self.uid,
            self.gid,
            self.parent,
            self.generation,
            self.major,
            self.minor,
            self.version,
            self.base,
            self.base_blocks,
            0,
            self.size,
            self.atime,
            self.mtime,
            self.ctime,
            self.digest,
            *self.extents,
        ).ljust(NODE_BYTES, b"\0")

    @classmethod
    def unpack(cls, data: bytes) -> Node:
        """From the table: NODE_BYTES."""
        found = _NODE.unpack_from(data)
        node = cls(*found[:11])
        node.size, node.atime, node.mtime, node.ctime, node.digest = found[12:17]
        node.extents = list(found[17:])
        return node


def place(node: Node, block: int) -> tuple[int, int, int]:
    """Where block `block` of a node's content is: (extent, first block there, blocks from there).

    Extent -1 is the base; the first block is 0 where there is none yet. Raises OSError, EFBIG.
    """
    if block < node.base_blocks:
        return -1, node.base + block, node.base_blocks - block
    beyond = block - node.base_blocks
    extent = (beyond // FIRST_EXTENT + 1).bit_length() - 1
    if extent >= EXTENTS:
        raise failure(errno.EFBIG)
    into = beyond - FIRST_EXTENT * ((1 << extent) - 1)
    first = node.extents[extent]
    return extent, first + into if first else 0, extent_blocks(extent) - into


def extent_blocks(extent: int) -> int:
    """How many blocks the extent of that number has."""
    return FIRST_EXTENT << extent


def pack_entry(node: int, name: bytes) -> bytes:
    """An entry of a directory; node 0 is a free one."""
    return _ENTRY.pack(node, len(name), name)


def unpack_entries(data: bytes) -> list[tuple[int, bytes]]:
    """(node, name) of all entries of a directory."""
    whole = data[: len(data) // ENTRY_BYTES * ENTRY_BYTES]
    return [(node, name[:length]) for node, length, name in _ENTRY.iter_unpack(whole)]


def failure(number: int) -> OSError:
    """An error of that number."""
    return OSError(number, os.strerror(number))
