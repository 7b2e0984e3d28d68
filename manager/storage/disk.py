# SPDX-License-Identifier: BSD-2-Clause
"""A disk as a machine sees it: a base, frozen layers over it, and what was written since on top.

Three things happen to it besides reads and writes. A *save* turns what is on top into a frozen
layer that a snapshot holds; a *mark* is a point to come back to, at no cost but that blocks which
are written afterwards keep their old slot; *back* undoes all writes since a mark.
"""

from __future__ import annotations

from collections.abc import Iterator

from manager.storage.base import BLOCK, SECTOR, Base
from manager.storage.layer import Layer, stretches
from manager.storage.places import Extent, Mark
from manager.storage.write_log import WriteLog

_WINDOW = 1024
"""Blocks that are read at once when much is."""


class Disk:
    """`size` bytes, a multiple of 512, of which any sectors may be read and written.

    Offsets and lengths are in bytes, multiples of 512, and inside; the devices check that.
    """

    def __init__(
        self,
        base: Base,
        log: WriteLog,
        layers: tuple[Layer, ...] = (),
        *,
        read_only: bool = False,
        recover: bool = False,
    ) -> None:
        """The disk owns its arguments. `recover`: the log may have content. Raises OSError."""
        self.base = base
        self.layers = layers
        self.read_only = read_only
        self.size = base.size
        self.backing: object | None = None
        """What the snapshot code knows of the layers: which directory has their files."""
        self._blocks = -(-base.size // BLOCK)
        self._log = log
        self._where = log.recover(self._blocks) if recover else {}
        self._marks: list[Mark] = []

    @property
    def log(self) -> WriteLog:
        """What is on top."""
        return self._log

    @property
    def sectors(self) -> int:
        """Its size in sectors of 512 bytes."""
        return self.size // SECTOR

    # -- what a device does ---------------------------------------------------------------

    def read(self, offset: int, length: int) -> bytes:
        """Raises OSError."""
        first, last = offset // BLOCK, (offset + length - 1) // BLOCK
        if not self._where and not self.layers:
            return self.base.read(offset, length)
        data = b"".join(self._blocks_from(first, last + 1 - first))
        start = offset - first * BLOCK
        return data if start == 0 and length == len(data) else data[start : start + length]

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Raises OSError; then none of it, or of a later block none, has been written."""
        end = offset + len(data)
        first, last = offset // BLOCK, -(-end // BLOCK)
        head, tail = offset - first * BLOCK, last * BLOCK - end
        if head or tail:
            whole = bytearray(b"".join(self._blocks_from(first, last - first)))
            whole[head : head + len(data)] = data
            data = whole
        self._write_blocks(first, last - first, memoryview(data))

    def zero(self, offset: int, length: int) -> None:
        """Write zeros, at no cost where there are zeros. Raises OSError."""
        end = offset + length
        first, last = -(-offset // BLOCK), end // BLOCK
        if first >= last:
            self.write(offset, bytes(length))
            return
        if head := first * BLOCK - offset:
            self.write(offset, bytes(head))
        if tail := end - last * BLOCK:
            self.write(last * BLOCK, bytes(tail))
        for start, count in self._not_zero(first, last):
            self._write_blocks(start, count, None)

    def flush(self) -> None:
        """What was written survives this process as it is; a failure of the host it need not."""

    # -- points to come back to -----------------------------------------------------------

    def mark(self) -> Mark:
        """The present content, to come `back` to until it is forgotten."""
        mark = Mark(self.layers, self._log.end)
        self._marks.append(mark)
        return mark

    def back(self, mark: Mark) -> None:
        """The content as it was at `mark`, which stays; later marks are gone. Raises OSError."""
        while True:
            last = self._marks[-1]
            for block, slot in last.before.items():
                if slot is None:
                    self._where.pop(block, None)
                else:
                    self._where[block] = slot
            self.layers = last.layers
            last.before.clear()
            if last is mark:
                break
            self._marks.pop()
        if self._log.end != mark.end:
            self._log.truncate(mark.end)

    def forget(self, mark: Mark) -> None:
        """Drop this one; the others stay."""
        at = self._marks.index(mark)
        if at > 0:
            before = self._marks[at - 1].before
            for block, slot in mark.before.items():
                before.setdefault(block, slot)
        del self._marks[at]

    # -- what a snapshot does -------------------------------------------------------------

    @property
    def unsaved(self) -> int:
        """How many blocks are in no frozen layer as they are now."""
        return len(self._where)

    def unsaved_blocks(self) -> list[int]:
        """Those blocks, ascending."""
        return sorted(self._where)

    def content_of(self, blocks: list[int]) -> Iterator[bytes]:
        """The content of ascending blocks, in pieces of whole blocks. Raises OSError."""
        for first, count in stretches(blocks):
            for start in range(first, first + count, _WINDOW):
                yield from self._blocks_from(start, min(_WINDOW, first + count - start))

    def pieces_of(self, blocks: list[int]) -> Iterator[tuple[int, bytes]]:
        """(offset, content) of ascending blocks, up to the disk's end. Raises OSError."""
        for first, count in stretches(blocks):
            yield from self._pieces(first, count)

    def may_differ_from_zero(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """(offset, content) of the blocks from `start` to `end` not known to be zeros.

        Raises OSError.
        """
        for first, count in self._not_zero(start // BLOCK, -(-end // BLOCK)):
            yield from self._pieces(first, count)

    def _pieces(self, first: int, count: int) -> Iterator[tuple[int, bytes]]:
        offset, end = first * BLOCK, min((first + count) * BLOCK, self.size)
        for start in range(offset, end, _WINDOW * BLOCK):
            yield start, self.read(start, min(_WINDOW * BLOCK, end - start))

    def saved(self, layers: tuple[Layer, ...]) -> None:
        """All that is on top is in `layers` now, which take the place of the present ones."""
        if self._marks:
            before = self._marks[-1].before
            for block, slot in self._where.items():
                before.setdefault(block, slot)
        self._where = {}
        dropped = [layer for layer in self.layers if layer not in layers]
        self.layers = layers
        if not self._marks:
            self._log.truncate(0)
            for layer in dropped:
                layer.close()

    def written_blocks(self) -> list[int]:
        """All blocks that were ever written since the base, ascending."""
        found = set(self._where)
        for layer in self.layers:
            found.update(layer)
        return sorted(found)

    def content(self) -> Iterator[bytes]:
        """All of it, in pieces. Raises OSError."""
        step = _WINDOW * BLOCK
        for offset in range(0, self.size, step):
            yield self.read(offset, min(step, self.size - offset))

    def change_log(self, log: WriteLog) -> None:
        """Keep what is written from now on in another log; the present one must be empty."""
        log.holding = self._log.holding
        self._log.close()
        self._log = log

    def sync(self) -> None:
        """Make what is on top survive a failure of the host. Raises OSError."""
        self._log.sync()

    def close(self) -> None:
        """Close all files."""
        self._log.close()
        for layer in self._all_layers():
            layer.close()
        self.base.close()

    # -- inside ---------------------------------------------------------------------------

    def _all_layers(self) -> Iterator[Layer]:
        yield from self.layers
        for mark in self._marks:
            yield from mark.layers

    def _blocks_from(self, first: int, count: int) -> Iterator[bytes]:
        """The content of `count` blocks from `first` on, in pieces of whole blocks."""
        end = first + count
        while first < end:
            extent = self._extent(first, end - first)
            if extent.read is not None:
                yield extent.read(extent.slot, extent.count)
            else:
                offset = first * BLOCK
                length = min(extent.count * BLOCK, self.size - offset)
                data = self.base.read(offset, length)
                yield data + bytes(extent.count * BLOCK - length)
            first += extent.count

    def _extent(self, block: int, most: int) -> Extent:
        """Where the longest stretch from `block` on that lies together is."""
        where = self._where
        slot = where.get(block)
        if slot is not None:
            count = 1
            while count < most and where.get(block + count) == slot + count:
                count += 1
            return Extent(count, slot, self._log.read)
        if where:
            most = self._until_written(block, most)
        for layer in reversed(self.layers):
            found, count = layer.find(block)
            most = min(most, count)
            if found >= 0:
                return Extent(most, found, layer.read)
        return Extent(most, block, None)

    def _until_written(self, block: int, most: int) -> int:
        where = self._where
        for count in range(1, most):
            if block + count in where:
                return count
        return most

    def _not_zero(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """(block, count) of the stretches that may have something other than zeros."""
        while first < last:
            extent = self._extent(first, last - first)
            offset = first * BLOCK
            length = min(extent.count * BLOCK, self.size - offset)
            if extent.read is not None or not self.base.is_zero(offset, length):
                yield first, extent.count
            first += extent.count

    def _write_blocks(self, first: int, count: int, data: memoryview | None) -> None:
        """Put whole blocks on top; None is zeros."""
        before = self._marks[-1].before if self._marks else None
        where, log = self._where, self._log
        at = 0
        while at < count:
            slot = where.get(first + at)
            own = slot is not None and (before is None or first + at in before)
            length = self._alike(first + at, count - at, slot if own else None, before)
            piece = None if data is None else data[at * BLOCK : (at + length) * BLOCK]
            if own and slot is not None and piece is not None:
                log.rewrite(slot, piece)
            else:
                new = log.append(first + at, length, piece)
                for index in range(length):
                    block = first + at + index
                    if before is not None:
                        before.setdefault(block, where.get(block))
                    where[block] = new + index
            at += length

    def _alike(
        self, block: int, most: int, slot: int | None, before: dict[int, int | None] | None
    ) -> int:
        """How many blocks from `block` on can be written as it can: in place, or in new slots."""
        where = self._where
        for count in range(1, most):
            found = where.get(block + count)
            own = found is not None and (before is None or block + count in before)
            if (found != slot + count or not own) if slot is not None else own:
                return count
        return most
