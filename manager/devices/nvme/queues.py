# SPDX-License-Identifier: BSD-2-Clause
"""Submission and completion queues in guest RAM, and where a command's data lies.

Source: NVM Express 1.3, sections 4.1 to 4.6.
"""

from __future__ import annotations

import struct

from manager.bus.dma import Dma, Segment
from manager.bus.record import Record, flag, integer, uint
from manager.devices.nvme.registers import CQ_ENTRY, PAGE, SQ_ENTRY
from manager.lazy import dataclass

QUEUES = 17
"""The admin queue and sixteen for I/O."""

_COMMAND = struct.Struct("<BBHI16xQQIIIIII")
_COMPLETION = struct.Struct("<IIHHHH")


@dataclass(slots=True)
class SubmissionState(Record):
    """A submission queue."""

    TYPE = "nvme-sq"

    size: int = uint(16, "entries; 0 when there is no such queue")
    base: int = uint(64, "guest physical address")
    head: int = uint(16, "entry that is fetched next")
    tail: int = uint(16, "entry that the guest fills next")
    completions: int = integer(0, QUEUES - 1, "completion queue that answers go to")


@dataclass(slots=True)
class CompletionState(Record):
    """A completion queue."""

    TYPE = "nvme-cq"

    size: int = uint(16, "entries; 0 when there is no such queue")
    base: int = uint(64, "guest physical address")
    head: int = uint(16, "entry that the guest looks at next")
    tail: int = uint(16, "entry that is filled next")
    phase: int = uint(1, "phase bit of the entry that is filled next", 1)
    vector: int = uint(16, "interrupt vector")
    interrupts: bool = flag("whether it interrupts")


@dataclass(frozen=True, slots=True)
class Command:
    """A command as it was fetched."""

    opcode: int
    id: int
    namespace: int
    prp1: int
    prp2: int
    words: tuple[int, ...]
    """Command dwords 10 to 15."""


def fetch(dma: Dma, queue: SubmissionState) -> Command | None:
    """The command at the queue's head; None when that is not in RAM."""
    raw = dma.read(queue.base + SQ_ENTRY * queue.head, SQ_ENTRY)
    if len(raw) < SQ_ENTRY:
        return None
    opcode, _, id, namespace, prp1, prp2, *words = _COMMAND.unpack(raw)
    return Command(opcode, id, namespace, prp1, prp2, tuple(words))


def is_full(queue: CompletionState) -> bool:
    """Whether there is no room for another completion."""
    return (queue.tail + 1) % queue.size == queue.head


def complete(
    dma: Dma, queue: CompletionState, source: tuple[int, int], id: int, status: int, result: int
) -> bool:
    """Put a completion into a queue that is not full; `source` is queue id and head.

    False when the queue is not in RAM.
    """
    number, head = source
    entry = _COMPLETION.pack(result, 0, head, number, id, status << 1 | queue.phase)
    stored = dma.write(queue.base + CQ_ENTRY * queue.tail, entry) == CQ_ENTRY
    queue.tail = (queue.tail + 1) % queue.size
    if queue.tail == 0:
        queue.phase ^= 1
    return stored


def data_of(dma: Dma, command: Command, length: int) -> list[Segment] | None:
    """Where `length` bytes of the command's data lie; None for a list that is wrong.

    Two page entries, or one and a list of more, whose last entry may lead to another list.
    """
    first = min(length, PAGE - command.prp1 % PAGE)
    found = [(command.prp1, first)]
    left = length - first
    if left <= 0:
        return found
    if left <= PAGE:
        return None if command.prp2 % PAGE else [*found, (command.prp2, left)]
    at = command.prp2
    while left > 0:
        if at % 8:
            return None
        count = min(-(-left // PAGE), (PAGE - at % PAGE) // 8)
        raw = dma.read(at, 8 * count)
        if len(raw) < 8 * count:
            return None
        pages = struct.unpack(f"<{count}Q", raw)
        chained = left > count * PAGE
        for page in pages[: count - 1] if chained else pages:
            if page % PAGE:
                return None
            found.append((page, min(left, PAGE)))
            left -= PAGE
        if chained:
            at = pages[-1]
    return _joined(found)


def _joined(segments: list[Segment]) -> list[Segment]:
    """Neighbouring pages as one segment."""
    joined: list[Segment] = []
    for address, length in segments:
        if joined and sum(joined[-1]) == address:
            start, before = joined.pop()
            joined.append((start, before + length))
        else:
            joined.append((address, length))
    return joined
