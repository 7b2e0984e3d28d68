# SPDX-License-Identifier: BSD-2-Clause
"""virtio-9p: one queue of requests, each served in its time.

The configuration is the length of the mount tag and the tag (Linux's virtio_9p.h; the VIRTIO
specification has no chapter on it).
"""

from __future__ import annotations

import errno

from manager.bus.clock import Clock
from manager.bus.dma import Dma, Segment
from manager.devices.virtio.device import VirtioCore
from manager.devices.virtio.queue import Chain, QueueBrokenError
from manager.devices.virtio.server import Server
from manager.devices.virtio_9p.files import Files
from manager.devices.virtio_9p.messages import HEADER, IO_HEADER, READ, READDIR, RLERROR, u32
from manager.storage.share.blocks import Blocks
from manager.storage.share.layout import NANOSECONDS

MOUNT_TAG = 1 << 0
QUEUE_SIZE = 128
ACCESS_TIME = 20_000
"""ns that any request takes."""
BYTES_PER_NS = 1
SMALLEST_ANSWER = HEADER.size + 4
_COUNT_AT = HEADER.size + 12
"""Where Tread and Treaddir say how much they want."""


class FilesCore(VirtioCore):
    """The files on `blocks`, mounted by `tag`. `epoch` is the calendar's time at virtual time 0."""

    FEATURES = MOUNT_TAG
    QUEUE_SIZES = (QUEUE_SIZE,)

    def __init__(self, dma: Dma, clock: Clock, blocks: Blocks, tag: str, epoch: int) -> None:
        self._tag = tag.encode("ascii")
        super().__init__(dma)
        self.files = Files(blocks, lambda: epoch * NANOSECONDS + clock.now())
        self.server = Server(self, 0, clock, self._time, self._execute)
        self._dma = dma

    def config(self) -> bytes:
        """The tag."""
        return len(self._tag).to_bytes(2, "little") + self._tag

    def settle(self) -> None:
        """Make the timer agree with the record."""
        self.server.settle()

    def forget(self) -> None:
        """Drop the request that is being served, and all that the client has open."""
        self.server.forget()
        self.files.end_session()

    def notified(self, index: int) -> None:
        """There may be a request."""
        self.server.begin()

    def _time(self, chain: Chain) -> int:
        """By what is moved. Drivers offer room for the longest answer, which few are."""
        moved = chain.to_read
        head = self._dma.gather(_first(chain.readable, _COUNT_AT + 4))
        if len(head) == _COUNT_AT + 4 and head[4] in (READ, READDIR):
            moved += min(int.from_bytes(head[_COUNT_AT:], "little"), chain.to_write)
        return ACCESS_TIME + moved // BYTES_PER_NS

    def _execute(self, chain: Chain) -> int:
        room = chain.to_write
        head = self._dma.gather(_first(chain.readable, HEADER.size))
        if len(head) < HEADER.size or room < SMALLEST_ANSWER:
            raise QueueBrokenError("a request without a header, or without room for an answer")
        size, kind, tag = HEADER.unpack(head)
        try:
            if not HEADER.size <= size <= min(chain.to_read, self.files.limit):
                raise OSError(errno.EMSGSIZE, "")
            message = self._dma.gather(_first(chain.readable, size))
            most = min(room, self.files.limit) - IO_HEADER
            answer = self.files.answer(kind, message[HEADER.size :], most)
            if HEADER.size + len(answer) > room:
                raise OSError(errno.EMSGSIZE, "")
            kind += 1
        except OSError as error:
            kind, answer = RLERROR, u32(error.errno or errno.EIO)
        whole = HEADER.pack(HEADER.size + len(answer), kind, tag) + answer
        return self._dma.scatter(chain.writable, whole)


def _first(segments: tuple[Segment, ...], length: int) -> list[Segment]:
    """The first `length` bytes of the segments."""
    found = []
    for address, size in segments:
        some = min(size, length)
        if some <= 0:
            break
        found.append((address, some))
        length -= some
    return found
