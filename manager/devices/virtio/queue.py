# SPDX-License-Identifier: BSD-2-Clause
"""A split virtqueue, the device's side of it.

Source: VIRTIO 1.2, section 2.7. The rings and tables are the guest's and may say anything: a
descriptor chain is checked once, here, and devices see only bounded lists of segments. What the
specification forbids breaks the queue, which its device reports as DEVICE_NEEDS_RESET.
"""

from __future__ import annotations

import struct

from manager.bus.dma import FAILED, Dma, Segment
from manager.bus.record import Record, flag, uint
from manager.lazy import dataclass

DESC_NEXT = 1
DESC_WRITE = 2
DESC_INDIRECT = 4
DESC_BYTES = 16
AVAIL_NO_INTERRUPT = 1
USED_NO_NOTIFY = 1
RING_HEADER = 4
"""Bytes of flags and index before the ring, in both rings."""
USED_BYTES = 8

NO_VECTOR = 0xFFFF
MAX_CHAIN = 1024
"""Descriptors of a chain in an indirect table; chains in the table itself are shorter than it."""
MAX_BYTES = 1 << 27
"""Bytes of all segments of a chain: more than any driver puts into one request."""

_DESCRIPTOR = struct.Struct("<QIHH")


class QueueBrokenError(Exception):
    """The driver broke the rules of the queue; the text says how. Never leaves a device."""


@dataclass(slots=True)
class QueueState(Record):
    """What the driver has set up of a queue, and how far the device has come."""

    TYPE = "virtqueue"

    size: int = uint(16, "descriptors")
    enabled: bool = flag("whether the driver has made it ready")
    descriptors: int = uint(64, "guest physical address of the descriptor table")
    driver: int = uint(64, "guest physical address of the available ring")
    device: int = uint(64, "guest physical address of the used ring")
    vector: int = uint(16, "MSI-X vector; 0xffff is none", NO_VECTOR)
    taken: int = uint(16, "available index that the device takes next")
    given: int = uint(16, "used index that the device fills next")
    signalled: int = uint(16, "used index at the last look for whether the driver wants to hear")
    broken: bool = flag("the driver broke the rules")


@dataclass(frozen=True, slots=True)
class Chain:
    """One request: what the device may read and then what it may write, in order."""

    head: int
    readable: tuple[Segment, ...]
    writable: tuple[Segment, ...]

    @property
    def to_read(self) -> int:
        """Bytes that may be read."""
        return sum(length for _, length in self.readable)

    @property
    def to_write(self) -> int:
        """Bytes that may be written."""
        return sum(length for _, length in self.writable)


class Virtqueue:
    """The device's side. `state` is part of the device's record, which it mutates in place."""

    __slots__ = ("_dma", "event_index", "indirect", "state")

    def __init__(self, dma: Dma, state: QueueState) -> None:
        self._dma = dma
        self.state = state
        self.event_index = False
        """Whether VIRTIO_F_EVENT_IDX was negotiated."""
        self.indirect = False
        """Whether VIRTIO_F_INDIRECT_DESC was."""

    def take(self) -> int | None:
        """The head of the next request that the driver has made available, or None.

        Raises QueueBrokenError.
        """
        state = self.state
        if not state.enabled or state.broken:
            return None
        index = self._dma.read_u16(state.driver + 2)
        waiting = self._loaded(index, "the available ring") - state.taken & 0xFFFF
        if waiting > state.size:
            raise QueueBrokenError(f"{waiting} requests available in a queue of {state.size}")
        if not waiting:
            return None
        at = state.driver + RING_HEADER + 2 * (state.taken % state.size)
        head = self._loaded(self._dma.read_u16(at), "the available ring")
        state.taken = state.taken + 1 & 0xFFFF
        return head

    def put_back(self, count: int) -> None:
        """The last `count` requests that were taken are as if they had not been."""
        self.state.taken = self.state.taken - count & 0xFFFF

    def ask_to_be_told(self) -> None:
        """Have the driver notify the device of the next request that it makes available."""
        state = self.state
        if self.event_index and state.enabled and not state.broken:
            self._dma.write_u16(state.device + RING_HEADER + USED_BYTES * state.size, state.taken)

    def chain(self, head: int) -> Chain:
        """The request that begins at descriptor `head`. Raises QueueBrokenError."""
        state = self.state
        if head >= state.size:
            raise QueueBrokenError(f"descriptor {head} in a table of {state.size}")
        readable: list[Segment] = []
        writable: list[Segment] = []
        table, size = state.descriptors, state.size
        index, seen, total, is_indirect, whole = head, 0, 0, False, b""
        while True:
            at = DESC_BYTES * index
            # Most of an indirect table is needed: it has been read at once, if all of it is RAM.
            raw = whole[at : at + DESC_BYTES] or self._dma.read(table + at, DESC_BYTES)
            if len(raw) < DESC_BYTES:
                raise QueueBrokenError("the descriptor table is not in RAM")
            address, length, flags, following = _DESCRIPTOR.unpack(raw)
            if flags & DESC_INDIRECT:
                if is_indirect or not self.indirect or flags & DESC_NEXT:
                    raise QueueBrokenError("an indirect table where none may be")
                size, left = divmod(length, DESC_BYTES)
                if left or not 0 < size <= MAX_CHAIN:
                    raise QueueBrokenError(f"an indirect table of {length} bytes")
                table, index, seen, is_indirect = address, 0, 0, True
                whole = self._dma.read(address, length)
                whole = whole[: len(whole) - len(whole) % DESC_BYTES]
                continue
            seen += 1
            total += length
            if total > MAX_BYTES:
                raise QueueBrokenError(f"a request of more than {MAX_BYTES} bytes")
            if flags & DESC_WRITE:
                writable.append((address, length))
            elif writable:
                raise QueueBrokenError("something to read behind something to write")
            else:
                readable.append((address, length))
            if not flags & DESC_NEXT:
                return Chain(head, tuple(readable), tuple(writable))
            index = following
            if index >= size:
                raise QueueBrokenError(f"descriptor {index} in a table of {size}")
            if seen >= size:
                raise QueueBrokenError("a chain that loops")

    def give_back(self, head: int, written: int) -> None:
        """The request is done; the device has written its first `written` bytes.

        Raises QueueBrokenError.
        """
        state = self.state
        if not state.size:
            raise QueueBrokenError("a queue without descriptors")
        ring = state.device + RING_HEADER + USED_BYTES * (state.given % state.size)
        stored = self._dma.write_u32(ring, head) and self._dma.write_u32(ring + 4, written)
        state.given = state.given + 1 & 0xFFFF
        # The index last: only then may the driver look.
        if not (stored and self._dma.write_u16(state.device + 2, state.given)):
            raise QueueBrokenError("the used ring is not in RAM")

    def wants_interrupt(self) -> bool:
        """Whether the driver wants to hear of what was given back since this was last asked."""
        state = self.state
        before, state.signalled = state.signalled, state.given
        if before == state.given:
            return False
        if not self.event_index:
            return not self._dma.read_u16(state.driver) & AVAIL_NO_INTERRUPT
        event = self._dma.read_u16(state.driver + RING_HEADER + 2 * state.size)
        return (state.given - event - 1 & 0xFFFF) < (state.given - before & 0xFFFF)

    @staticmethod
    def _loaded(value: int, where: str) -> int:
        if value == FAILED:
            raise QueueBrokenError(f"{where} is not in RAM")
        return value
