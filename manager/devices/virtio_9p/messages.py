# SPDX-License-Identifier: BSD-2-Clause
"""Messages of 9P2000.L as bytes.

Sources: diod's protocol description (chaos/diod, protocol.md); Plan 9's manual, section 5.
Numbers are little-endian; a string is its length in 16 bits and its bytes.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable

from manager.storage.share.layout import NANOSECONDS, Node, failure

VERSION = b"9P2000.L"

RLERROR = 7
STATFS, LOPEN, LCREATE, SYMLINK, MKNOD = 8, 12, 14, 16, 18
RENAME, READLINK, GETATTR, SETATTR = 20, 22, 24, 26
XATTRWALK, XATTRCREATE, READDIR, FSYNC = 30, 32, 40, 50
LOCK, GETLOCK, LINK, MKDIR, RENAMEAT, UNLINKAT = 52, 54, 70, 72, 74, 76
VERSION_OF, AUTH, ATTACH, FLUSH, WALK = 100, 102, 104, 108, 110
READ, WRITE, CLUNK, REMOVE = 116, 118, 120, 122
"""Types of requests; an answer has the next number."""

HEADER = struct.Struct("<IBH")
"""Size of the whole message, type, tag."""
QID_BYTES = 13
IO_HEADER = HEADER.size + 4
"""Of an answer with data: the rest of the message may be that."""
NO_FID = 0xFFFFFFFF

IS_DIRECTORY, IS_LINK, IS_FILE = 0x80, 0x02, 0x00
"""Types of a qid."""
_QID = struct.Struct("<BIQ")
_ATTRIBUTES = struct.Struct("<Q13sIIIQQQQQ8QQQ")
ALL_BASIC = 0x7FF
"""Attributes from mode to blocks."""
BLOCK_SIZE = 4096
_SECTOR = 512


class Body:
    """What is in a request, read from front to back. Raises OSError, EINVAL, where it ends."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        found = self._data[self._at : self._at + count]
        if len(found) < count:
            raise failure(errno.EINVAL)
        self._at += count
        return found

    def number(self, size: int) -> int:
        """The next number, of `size` bytes."""
        return int.from_bytes(self.take(size), "little")

    def u16(self) -> int:
        """16 bits."""
        return self.number(2)

    def u32(self) -> int:
        """32 bits."""
        return self.number(4)

    def u64(self) -> int:
        """64 bits."""
        return self.number(8)

    def string(self) -> bytes:
        """A string."""
        return self.take(self.u16())


def string(text: bytes) -> bytes:
    """A string in an answer."""
    return len(text).to_bytes(2, "little") + text


def u32(*values: int) -> bytes:
    """Numbers of 32 bits."""
    return b"".join(value.to_bytes(4, "little") for value in values)


def qid(number: int, node: Node) -> bytes:
    """What tells a file from all others: kind, version of its content, number."""
    return _QID.pack(_kind(node), node.version, node.generation << 32 | number)


def _kind(node: Node) -> int:
    if node.is_directory:
        return IS_DIRECTORY
    return IS_LINK if node.is_link else IS_FILE


def attributes(number: int, node: Node) -> bytes:
    """The answer to Tgetattr."""
    times: list[int] = []
    for time in (node.atime, node.mtime, node.ctime, 0):
        times += divmod(max(0, time), NANOSECONDS)
    return _ATTRIBUTES.pack(
        ALL_BASIC,
        qid(number, node),
        node.mode,
        node.uid,
        node.gid,
        node.links,
        device_number(node),
        node.size,
        BLOCK_SIZE,
        -(-node.size // BLOCK_SIZE) * (BLOCK_SIZE // _SECTOR),
        *times,
        node.generation,
        node.version,
    )


def device_number(node: Node) -> int:
    """As Linux has it in 32 bits: the minor number's high bits above the major number."""
    return (node.minor & 0xFF) | (node.major & 0xFFF) << 8 | (node.minor & 0xFFF00) << 12


def entry(number: int, node: Node, following: int, name: bytes) -> bytes:
    """A name in the answer to Treaddir; `following` is where the next ones begin."""
    kind = node.mode >> 12 & 0xF
    return qid(number, node) + following.to_bytes(8, "little") + bytes([kind]) + string(name)


def concatenated(parts: Iterable[bytes], most: int) -> bytes:
    """Whole parts, as many as fit in `most` bytes. Raises OSError if the first does not."""
    found = bytearray()
    for part in parts:
        if len(found) + len(part) > most:
            if not found:
                raise failure(errno.EINVAL)
            break
        found += part
    return bytes(found)
