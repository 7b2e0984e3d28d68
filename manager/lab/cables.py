# SPDX-License-Identifier: BSD-2-Clause
"""A null-modem cable between the serial ports of two machines.

A byte takes its ten bits at the cable's speed, after those before it, and the latency. The cable
carries data alone: no break and no modem lines, as a `pipe`. At most QUEUE bytes wait; more are
lost, as on a line without flow control. Like manager.lab.links it knows no clock and no machine.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from typing import ClassVar

from manager.bus.record import NEVER, Record, clone, moment, octets, several, uint
from manager.graph.lab import CableSpec
from manager.lazy import dataclass

BITS = 10
"""Of a byte, with start and stop bit."""
QUEUE = 1 << 20
"""Bytes that may wait."""
SECOND = 1_000_000_000
ENDS = 2
_PIECE = struct.Struct("<QI")
"""When it is there, its length; the bytes follow."""
_MOST_BYTES = 1 << 28


@dataclass(slots=True)
class CableEndState(Record):
    """One direction: what is on its way to one end."""

    TYPE: ClassVar[str] = "cable-end"

    occupied_until: int = moment("until when bytes to this end occupy the line")
    flying: bytearray = octets(0, _MOST_BYTES, "bytes on their way, in pieces: when, length")
    sent: int = uint(63, "what was sent to this end", unit="bytes")
    received: int = uint(63, "what has arrived at this end", unit="bytes")
    dropped: int = uint(63, "what there was no room for", unit="bytes")

    def contradiction(self) -> str:
        """Pieces that are none."""
        before = 0
        for at, data in _unpacked(self.flying):
            if not data:
                return "a piece is empty, or not whole"
            if at <= before or at >= NEVER:
                return "pieces are out of their order"
            before = at
        return ""


@dataclass(slots=True)
class CableState(Record):
    """Both directions."""

    TYPE: ClassVar[str] = "cable"

    asked_until: int = moment("what is due before this was handed out")
    ends: list[CableEndState] = several(CableEndState, ENDS, "what is on its way, by end")


class Cable:
    """A cable; its ends are 0 and 1, in the order of the spec."""

    def __init__(self, spec: CableSpec) -> None:
        self.spec = spec
        self._byte_time = -(-BITS * SECOND // spec.baud)
        self._asked_until = 0
        self._ends = [CableEndState() for _ in range(ENDS)]
        """Without what is `flying`."""
        self._flying: list[deque[tuple[int, bytes]]] = [deque() for _ in range(ENDS)]
        """When it is there, the bytes; by the end that they go to."""

    def send(self, now: int, end: int, data: bytes) -> None:
        """The port at `end` sends bytes at `now`, in ns; it sends none later that are earlier.

        Raises ValueError for a time of which `due` has given the answer already.
        """
        if now + self.spec.latency < self._asked_until:
            raise ValueError(f"{self.spec.name}: {now} is over for {self.spec.ends[end]}")
        way = self._ends[1 - end]
        begin = max(now, way.occupied_until)
        room = max(0, QUEUE - (begin - now) // self._byte_time)
        way.sent += len(data)
        way.dropped += max(0, len(data) - room)
        data = bytes(data[:room])
        if data:
            way.occupied_until = begin + len(data) * self._byte_time
            self._flying[1 - end].append((way.occupied_until + self.spec.latency, data))

    def due(self, until: int) -> list[tuple[int, int, bytes]]:
        """What arrives before `until` and has not been handed out: when, the end, the bytes.

        In the order of time, then of ends. What is sent at once arrives at once, when the last of
        it is there. All that was sent a latency before `until` must be known.
        """
        self._asked_until = max(self._asked_until, until)
        found = []
        for end, pieces in enumerate(self._flying):
            while pieces and pieces[0][0] < until:
                at, data = pieces.popleft()
                self._ends[end].received += len(data)
                found.append((at, end, data))
        return sorted(found)

    def refuse(self, end: int, count: int) -> None:
        """So many bytes of those that `due` handed out had no room at their end."""
        self._ends[end].received -= count
        self._ends[end].dropped += count

    @property
    def next_due(self) -> int:
        """When something arrives next; NEVER if nothing is sent."""
        return min((pieces[0][0] for pieces in self._flying if pieces), default=NEVER)

    def traffic(self) -> tuple[CableEndState, CableEndState]:
        """What went to each end; only to be read, and without what is on its way."""
        one, two = self._ends
        return one, two

    def state(self) -> CableState:
        """A copy of everything that is not in the spec."""
        ends = [clone(end) for end in self._ends]
        for end, pieces in zip(ends, self._flying, strict=True):
            for at, data in pieces:
                end.flying += _PIECE.pack(at, len(data)) + data
        return CableState(self._asked_until, ends)

    def load(self, state: CableState) -> None:
        """Take over a state."""
        self._asked_until = state.asked_until
        self._ends = [clone(end) for end in state.ends]
        self._flying = [deque(_unpacked(end.flying)) for end in self._ends]
        for end in self._ends:
            end.flying.clear()


def _unpacked(data: bytearray) -> Iterator[tuple[int, bytes]]:
    """When, the bytes; these are empty where they are not whole."""
    at = 0
    while at < len(data):
        head = bytes(data[at : at + _PIECE.size]).ljust(_PIECE.size, b"\0")
        time, length = _PIECE.unpack(head)
        at += _PIECE.size
        piece = bytes(data[at : at + length])
        yield time, piece if len(piece) == length else b""
        at += length
