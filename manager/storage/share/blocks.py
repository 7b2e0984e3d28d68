# SPDX-License-Identifier: BSD-2-Clause
"""Bytes on the blocks of a share. Every function may raise OSError, EIO."""

from __future__ import annotations

import errno
from typing import Protocol

from manager.storage.base import SECTOR
from manager.storage.share.layout import failure


class Blocks(Protocol):
    """What a share lies on; manager.storage.blocks.DiskBlocks is one."""

    @property
    def sectors(self) -> int:
        """How many there are."""

    @property
    def read_only(self) -> bool:
        """Whether writes are refused."""

    def read(self, sector: int, count: int) -> bytes | None:
        """`count` sectors from `sector` on; None when the host cannot read them."""

    def write(self, sector: int, data: bytes | memoryview) -> bool:
        """Write whole sectors; False when the host cannot keep them."""

    def zero(self, sector: int, count: int) -> bool:
        """Write zeros; False when the host cannot keep them."""


def get(blocks: Blocks, at: int, length: int) -> bytes:
    """`length` bytes at `at`."""
    first, end = at // SECTOR, -(-(at + length) // SECTOR)
    data = blocks.read(first, end - first) if length else b""
    if data is None:
        raise failure(errno.EIO)
    start = at - first * SECTOR
    return data if len(data) == length else data[start : start + length]


def put(blocks: Blocks, at: int, data: bytes | memoryview) -> None:
    """Write bytes at `at`."""
    if not data:
        return
    end = at + len(data)
    first, last = at // SECTOR, -(-end // SECTOR)
    if at % SECTOR or end % SECTOR:
        whole = bytearray(get(blocks, first * SECTOR, (last - first) * SECTOR))
        whole[at - first * SECTOR : end - first * SECTOR] = data
        data = bytes(whole)
    if not blocks.write(first, data):
        raise failure(errno.EIO)


def clear(blocks: Blocks, at: int, length: int) -> None:
    """Zeros from `at` on: `length` bytes, and on to the end of the last sector."""
    head = min(-at % SECTOR, length)
    put(blocks, at, bytes(head))
    whole = -(-(length - head) // SECTOR)
    if whole and not blocks.zero((at + head) // SECTOR, whole):
        raise failure(errno.EIO)
