# SPDX-License-Identifier: BSD-2-Clause
"""virtio-blk: requests for sectors, served one after the other, each in its time.

Source: VIRTIO 1.2, section 5.2.
"""

from __future__ import annotations

import struct

from manager.bus.blocks import SECTOR, Blocks
from manager.bus.clock import Clock
from manager.bus.dma import Dma, Segment
from manager.devices.virtio.device import VirtioCore
from manager.devices.virtio.queue import Chain, QueueBrokenError
from manager.devices.virtio.server import Server

SEG_MAX = 1 << 2
READ_ONLY = 1 << 5
BLK_SIZE = 1 << 6
FLUSH = 1 << 9
DISCARD = 1 << 13
WRITE_ZEROES = 1 << 14

IN, OUT, FLUSH_CACHE, GET_ID, DISCARD_SECTORS, ZERO_SECTORS = 0, 1, 4, 8, 11, 13
OK, IO_ERROR, UNSUPPORTED = 0, 1, 2
HEADER = struct.Struct("<IIQ")
RANGE = struct.Struct("<QII")
ID_BYTES = 20
UNMAP = 1
QUEUE_SIZE = 256
MOST_SEGMENTS = QUEUE_SIZE - 2
MOST_RANGES = 16
MOST_RANGE_SECTORS = 1 << 22
"""2 GiB: what one range of a discard may cover."""

ACCESS_TIME = 20_000
"""ns that any request takes."""
BYTES_PER_NS = 1


class BlockCore(VirtioCore):
    """A disk with the content of `blocks`."""

    QUEUE_SIZES = (QUEUE_SIZE,)

    def __init__(self, dma: Dma, clock: Clock, blocks: Blocks) -> None:
        super().__init__(dma)
        self.server = Server(self, 0, clock, _time, self._execute)
        self._dma = dma
        self._blocks = blocks

    @property
    def features(self) -> int:
        """By whether the disk may be written."""
        offered = SEG_MAX | BLK_SIZE | FLUSH
        offered |= READ_ONLY if self._blocks.read_only else DISCARD | WRITE_ZEROES
        return super().features | offered

    def config(self) -> bytes:
        """Capacity, limits, and what a discard may be."""
        return struct.pack(
            "<QIIHBBIBBHIBBHIIIIIB3x",
            self._blocks.sectors,
            0,  # size_max
            MOST_SEGMENTS,
            *(0, 0, 0),  # geometry
            SECTOR,
            *(0, 0, 0, 0),  # topology
            *(0, 0, 0),  # writeback, queues
            MOST_RANGE_SECTORS,
            MOST_RANGES,
            4096 // SECTOR,
            MOST_RANGE_SECTORS,
            MOST_RANGES,
            1,  # zeroed sectors may be unmapped
        )

    def settle(self) -> None:
        """Make the timer agree with the record."""
        self.server.settle()

    def forget(self) -> None:
        """Drop the request that is being served."""
        self.server.forget()

    def notified(self, index: int) -> None:
        """There may be a request."""
        self.server.begin()

    # -- one request --------------------------------------------------------------------------

    def _execute(self, chain: Chain) -> int:
        """Do it; returns how many bytes of the writable part were written. The status is last."""
        segments, status_at = _without_last(chain.writable)
        header = self._dma.gather(_cut(chain.readable, 0, HEADER.size))
        if len(header) < HEADER.size:
            raise QueueBrokenError("a request without a header")
        kind, _, sector = HEADER.unpack(header)
        status, written = self._by_kind(kind, sector, chain, segments)
        self._dma.write_u8(status_at, status)
        return written + 1

    def _by_kind(
        self, kind: int, sector: int, chain: Chain, segments: list[Segment]
    ) -> tuple[int, int]:
        room = sum(length for _, length in segments)
        if kind == IN:
            return self._read(sector, room, segments)
        if kind == GET_ID:
            name = self._blocks.serial.encode("ascii", "replace")[:ID_BYTES].ljust(ID_BYTES, b"\0")
            return OK, self._dma.scatter(segments, name[:room])
        body = _cut(chain.readable, HEADER.size, chain.to_read - HEADER.size)
        if kind == OUT:
            return self._write(sector, body), 0
        if kind == FLUSH_CACHE:
            return (OK if self._blocks.flush() else IO_ERROR), 0
        if kind in (DISCARD_SECTORS, ZERO_SECTORS):
            return self._zero(kind, self._dma.gather(body)), 0
        return UNSUPPORTED, 0

    def _read(self, sector: int, length: int, segments: list[Segment]) -> tuple[int, int]:
        count, odd = divmod(length, SECTOR)
        if odd or not count or sector + count > self._blocks.sectors:
            return IO_ERROR, 0
        data = self._blocks.read(sector, count)
        if data is None:
            return IO_ERROR, 0
        done = self._dma.scatter(segments, data)
        return (OK if done == length else IO_ERROR), done

    def _write(self, sector: int, body: list[Segment]) -> int:
        length = sum(part for _, part in body)
        count, odd = divmod(length, SECTOR)
        if odd or not count or sector + count > self._blocks.sectors:
            return IO_ERROR
        data = self._dma.gather(body)
        whole = len(data) == length
        return OK if whole and self._blocks.write(sector, data) else IO_ERROR

    def _zero(self, kind: int, ranges: bytes) -> int:
        if not ranges or len(ranges) % RANGE.size or len(ranges) > MOST_RANGES * RANGE.size:
            return UNSUPPORTED
        found = list(RANGE.iter_unpack(ranges))
        for sector, count, flags in found:
            if flags & ~UNMAP or (flags and kind == DISCARD_SECTORS):
                return UNSUPPORTED
            if count > MOST_RANGE_SECTORS or sector + count > self._blocks.sectors:
                return IO_ERROR
        kept = all(count == 0 or self._blocks.zero(sector, count) for sector, count, _ in found)
        return OK if kept else IO_ERROR


def _time(chain: Chain) -> int:
    return ACCESS_TIME + (chain.to_read + chain.to_write) // BYTES_PER_NS


def _without_last(segments: tuple[Segment, ...]) -> tuple[list[Segment], int]:
    """The writable part without its last byte, and where that byte is: the request's status."""
    if not segments or not segments[-1][1]:
        raise QueueBrokenError("a request without room for its status")
    *rest, (address, length) = segments
    if length > 1:
        rest.append((address, length - 1))
    return rest, address + length - 1


def _cut(segments: tuple[Segment, ...], start: int, length: int) -> list[Segment]:
    """`length` bytes of the segments, from byte `start` on."""
    found = []
    for address, size in segments:
        if start >= size:
            start -= size
            continue
        some = min(size - start, length)
        if some <= 0:
            break
        found.append((address + start, some))
        length -= some
        start = 0
    return found
