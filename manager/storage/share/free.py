# SPDX-License-Identifier: BSD-2-Clause
"""Which nodes and blocks of a share are free."""

from __future__ import annotations

import errno
from bisect import bisect_left, insort

from manager.storage.share.layout import Node, extent_blocks, failure


class Free:
    """What is free among the blocks from `start` to `end`, and among the nodes.

    It follows from the nodes alone, so it is the same whenever it is looked for.
    """

    __slots__ = ("_end", "_start", "_used", "blocks", "nodes")

    def __init__(self, start: int, end: int) -> None:
        self._start = start
        self._end = end
        self.nodes: list[int] = []
        """A heap of numbers."""
        self.blocks = max(0, end - start)
        """How many are free."""
        self._used: list[tuple[int, int]] = []
        """(first, count) of the extents in use, ascending."""

    def note(self, node: Node) -> None:
        """The extents of a node are in use."""
        for extent, first in enumerate(node.extents):
            if first:
                insort(self._used, (first, extent_blocks(extent)))
                self.blocks -= extent_blocks(extent)

    def allocate(self, count: int) -> int:
        """The first of `count` blocks behind all that are in use, or else in the first gap.

        Raises OSError, ENOSPC.
        """
        first = sum(self._used[-1]) if self._used else self._start
        if first + count > self._end:
            first = self._start
            for start, length in self._used:
                if start - first >= count:
                    break
                first = start + length
            else:
                raise failure(errno.ENOSPC)
        insort(self._used, (first, count))
        self.blocks -= count
        return first

    def release(self, first: int, count: int) -> None:
        """Blocks that were allocated together are free again."""
        at = bisect_left(self._used, (first, count))
        if at < len(self._used) and self._used[at] == (first, count):
            del self._used[at]
            self.blocks += count
