# SPDX-License-Identifier: BSD-2-Clause
"""What is in a flash chip: on a disk, but for the block that is being changed."""

from __future__ import annotations

from manager.bus.blocks import SECTOR, Blocks
from manager.bus.record import Record, octets, uint
from manager.lazy import dataclass

BLOCK = 4096
"""Bytes that are erased together."""
ERASED = b"\xff" * BLOCK


@dataclass(slots=True)
class ChangingState(Record):
    """The block that is being changed."""

    TYPE = "flash-changing"

    number: int = uint(16, "which one")
    content: bytearray = octets(0, BLOCK, "all of it; empty when no block is being changed")

    def contradiction(self) -> str:
        """It is a whole block or none."""
        if len(self.content) not in (0, BLOCK):
            return f"a block has {BLOCK} bytes, not {len(self.content)}"
        return ""


class Content:
    """`length` bytes, whole blocks, from the start of `blocks` on."""

    def __init__(self, blocks: Blocks) -> None:
        self.state = ChangingState()
        self.length = 0
        self._blocks = blocks
        self._known: bytearray | None = None

    def forget(self) -> None:
        """The disk may hold something else than before."""
        self._known = None

    def all(self) -> bytearray:
        """All of it. Zeros when the host cannot read it."""
        if self._known is None:
            sectors = self.length // SECTOR
            found = self._blocks.read(0, sectors) if sectors else b""
            self._known = bytearray(found if found is not None else self.length)
            if self.state.content:
                start = self.state.number * BLOCK
                self._known[start : start + BLOCK] = self.state.content
        return self._known

    def program(self, offset: int, data: bytes) -> bool:
        """Clear the bits that are clear in `data`, within a block; False when the host fails."""
        known, kept = self.all(), self._begin(offset // BLOCK)
        for at, value in enumerate(data, offset):
            known[at] &= value
            self.state.content[at % BLOCK] = known[at]
        return kept

    def erase(self, offset: int) -> bool:
        """Set all bits of the block at `offset`; False when the host fails."""
        number = offset // BLOCK
        known, kept = self.all(), self._begin(number)
        known[number * BLOCK : (number + 1) * BLOCK] = ERASED
        self.state.content[:] = ERASED
        return kept

    def keep(self) -> bool:
        """Put the block that is being changed on the disk; False when the host fails."""
        state = self.state
        if not state.content:
            return True
        kept = self._blocks.write(state.number * (BLOCK // SECTOR), bytes(state.content))
        state.content.clear()
        return kept

    def replace(self, content: bytes) -> bool:
        """Put `content`, whole blocks, in the place of all there is."""
        self.state.content.clear()
        self.length = len(content)
        self.forget()
        return self._blocks.write(0, content)

    def _begin(self, number: int) -> bool:
        """A block is to be changed; the one before it is kept first."""
        if self.state.content and self.state.number == number:
            return True
        kept = self.keep()
        self.state.number = number
        self.state.content[:] = self.all()[number * BLOCK : (number + 1) * BLOCK]
        return kept
