# SPDX-License-Identifier: BSD-2-Clause
"""A hash of what a disk holds, in time by what was written and not by its size."""

from __future__ import annotations

from blake3 import blake3

from manager.storage.base import BLOCK, Base
from manager.storage.disk import Disk

_ZEROS = bytes(BLOCK)


def of_disk(disk: Disk) -> bytes:
    """The hash of all blocks that differ from the base: equal content has equal digests.

    Raises OSError.
    """
    state = blake3()
    blocks = disk.written_blocks()
    at = 0
    for piece in disk.content_of(blocks):
        for start in range(0, len(piece), BLOCK):
            content = piece[start : start + BLOCK]
            if content != _block_of(disk.base, blocks[at]):
                state.update(blocks[at].to_bytes(8, "little") + content)
            at += 1
    return state.digest()


def _block_of(base: Base, block: int) -> bytes:
    offset = block * BLOCK
    length = min(BLOCK, base.size - offset)
    if base.is_zero(offset, length):
        return _ZEROS
    return base.read(offset, length).ljust(BLOCK, b"\0")
