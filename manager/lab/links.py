# SPDX-License-Identifier: BSD-2-Clause
"""An Ethernet segment between machines: what is sent when, and so what arrives where and when.

It is a switch with a cable to each card. A frame waits until the card's own cable is free, is on
its way for the latency, and waits until the cable of the receiver is free; each cable takes the
time that the bandwidth says, in each direction for itself. More than QUEUE bytes do not wait: the
last are dropped. The switch learns where an address is from the frames that come from there, so
that a frame to one card reaches that one alone: a card that listens to all would be interrupted by
all, which no network of today does. `capture` is there for those who want to see everything.

The model knows no clock and no machine. It is told what is sent, and asked what is due; the answers
do not depend on how often it is asked, nor on the order in which different cards tell it. All
arithmetic is of integers, in ns.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush
from typing import ClassVar

from manager.bus.ethernet import ADDRESS, HEADER, MAX_FRAME, MIN_FRAME, is_group
from manager.bus.record import (
    NEVER,
    Record,
    RecordError,
    clone,
    moment,
    octets,
    several,
    uint,
)
from manager.graph.lab import LOSS_UNIT, MOST_CARDS, LinkSpec
from manager.lab.draws import draw, number
from manager.lazy import dataclass

QUEUE = 256 << 10
"""Bytes that may wait for a cable, in each direction."""
MOST_ADDRESSES = 1024
"""What the switch remembers; a frame to any other address goes to all."""
AROUND = 24
"""Bytes that a frame has on a wire besides its own: preamble, checksum, gap (IEEE 802.3)."""
SECOND = 1_000_000_000
_ON_ITS_WAY = struct.Struct("<QHH")
"""When, the number of a card, the length; the frame follows."""
_LEARNED = struct.Struct("<6sH")
_MOST_BYTES = 1 << 30


@dataclass(slots=True)
class LinkPortState(Record):
    """One card's cable, and what went through it."""

    TYPE: ClassVar[str] = "link-port"

    out_until: int = moment("until when frames that the card sends occupy the cable")
    in_until: int = moment("until when frames to the card occupy the cable")
    drawn: int = uint(63, "numbers that were drawn for frames to the card")
    sent: int = uint(63, "what the card sent", unit="frames")
    sent_bytes: int = uint(63, "what the card sent", unit="bytes")
    received: int = uint(63, "what reached the card", unit="frames")
    received_bytes: int = uint(63, "what reached the card", unit="bytes")
    lost: int = uint(63, "frames to the card that were lost by chance")
    dropped: int = uint(63, "frames from or to the card that found the queue full")


@dataclass(slots=True)
class LinkState(Record):
    """Frames on their way, and what the switch knows."""

    TYPE: ClassVar[str] = "link"

    asked_until: int = moment("what is due before this was handed out")
    ports: list[LinkPortState] = several(LinkPortState, MOST_CARDS, "the cables, by card")
    flying: bytearray = octets(
        0, _MOST_BYTES, "frames on their way to the switch: when each is there, sender, length"
    )
    arriving: bytearray = octets(
        0, _MOST_BYTES, "frames on their way from it: when each has arrived, receiver, length"
    )
    learned: bytearray = octets(
        0, MOST_ADDRESSES * _LEARNED.size, "addresses, each with the number of its card"
    )

    def contradiction(self) -> str:
        """Frames and addresses that are none."""
        if len(self.learned) % _LEARNED.size:
            return "the last address is not whole"
        for what in (self.flying, self.arriving):
            before = (self.asked_until, -1)
            for at, port, frame in _unpacked(what):
                if not HEADER <= len(frame) <= MAX_FRAME:
                    return "a frame is too short, too long, or not whole"
                if (at, port) <= before or at >= NEVER:
                    return "frames are out of their order"
                before = (at, port)
        return ""


class Link:
    """A segment with the cards `ports`, which are told of by their number.

    `tap` is called once with each frame and the time at which it was sent, in the order of these
    times, at the latest when `due` is asked for what comes a latency later.
    """

    def __init__(
        self,
        spec: LinkSpec,
        ports: Sequence[str],
        tap: Callable[[int, bytes], object] | None = None,
    ) -> None:
        if len(ports) > MOST_CARDS:
            raise ValueError(f"a link cannot have {len(ports)} cards")
        self.spec = spec
        self.ports = tuple(ports)
        self.tap = tap
        self._latency = spec.latency
        self._patience = _time_of(QUEUE, spec.bandwidth)
        self._seeds = [number(spec.seed, n + 1) for n in range(len(ports))]
        self._asked_until = 0
        self._cables = [LinkPortState() for _ in ports]
        self._flying: list[tuple[int, int, int, bytes]] = []
        """A heap: when it is at the switch, sender, a serial number, the frame."""
        self._arriving: list[tuple[int, int, bytes]] = []
        """A heap: when, receiver, the frame. No two have the first two alike."""
        self._learned: dict[bytes, int] = {}
        self._serial = 0

    def send(self, now: int, port: int, frame: bytes) -> None:
        """The card sends a frame at `now`, in ns; it sends none later that is earlier.

        Raises ValueError for a time of which `due` has given the answer already.
        """
        if now + self._latency < self._asked_until:
            raise ValueError(f"{self.spec.name}: {now} is over for {self.ports[port]}")
        cable = self._cables[port]
        cable.sent += 1
        cable.sent_bytes += len(frame)
        begin = max(now, cable.out_until)
        if begin - now > self._patience or not HEADER <= len(frame) <= MAX_FRAME:
            cable.dropped += 1
            return
        cable.out_until = begin + self._wire_time(frame)
        heappush(self._flying, (begin + self._latency, port, self._serial, bytes(frame)))
        self._serial += 1

    def due(self, until: int) -> list[tuple[int, int, bytes]]:
        """What arrives before `until`, and has not been handed out: when, the card, the frame.

        In the order of time, then of cards. All that was sent a latency before `until` must be
        known: see manager.graph.lab.quantum.
        """
        self._asked_until = max(self._asked_until, until)
        while self._flying and self._flying[0][0] < until:
            at, sender, _, frame = heappop(self._flying)
            self._switch(at, sender, frame)
        found = []
        while self._arriving and self._arriving[0][0] < until:
            arrival = heappop(self._arriving)
            cable = self._cables[arrival[1]]
            cable.received += 1
            cable.received_bytes += len(arrival[2])
            found.append(arrival)
        return found

    @property
    def next_due(self) -> int:
        """When something may arrive next: never later than it does; NEVER if nothing is sent."""
        times = [heap[0][0] for heap in (self._flying, self._arriving) if heap]
        return min(times, default=NEVER)

    @property
    def tapped_until(self) -> int:
        """All that was sent before this time has been told to the tap, and nothing else."""
        return max(0, self._asked_until - self._latency)

    @property
    def in_flight(self) -> int:
        """Frames on their way."""
        return len(self._flying) + len(self._arriving)

    def traffic(self) -> dict[str, LinkPortState]:
        """What went through the cable of each card; only to be read."""
        return dict(zip(self.ports, self._cables, strict=True))

    def state(self) -> LinkState:
        """A copy of everything that is not in the spec."""
        state = LinkState(asked_until=self._asked_until)
        state.ports[: len(self._cables)] = map(clone, self._cables)
        for at, sender, _, frame in sorted(self._flying):
            state.flying += _ON_ITS_WAY.pack(at, sender, len(frame)) + frame
        for at, receiver, frame in sorted(self._arriving):
            state.arriving += _ON_ITS_WAY.pack(at, receiver, len(frame)) + frame
        for address, port in sorted(self._learned.items()):
            state.learned += _LEARNED.pack(address, port)
        return state

    def load(self, state: LinkState) -> None:
        """Take over a state. Raises RecordError when it is that of another link."""
        flying, arriving = list(_unpacked(state.flying)), list(_unpacked(state.arriving))
        learned = dict(_LEARNED.iter_unpack(state.learned))
        known = {port for _, port, _ in (*flying, *arriving)} | set(learned.values())
        if max(known, default=-1) >= len(self.ports):
            raise RecordError(f"link {self.spec.name}: it has no card {max(known)}")
        self._asked_until = state.asked_until
        self._cables = [clone(cable) for cable in state.ports[: len(self.ports)]]
        self._serial = len(flying)
        # What is sorted is a heap.
        self._flying = [(at, port, n, frame) for n, (at, port, frame) in enumerate(flying)]
        self._arriving = arriving
        self._learned = learned

    def _switch(self, at: int, sender: int, frame: bytes) -> None:
        """A frame is at the switch: learn from it, and send it on."""
        if self.tap is not None:
            self.tap(at - self._latency, frame)
        to, source = frame[:ADDRESS], frame[ADDRESS : 2 * ADDRESS]
        if not is_group(source) and (
            source in self._learned or len(self._learned) < MOST_ADDRESSES
        ):
            self._learned[source] = sender
        alone = None if is_group(to) else self._learned.get(to)
        for port in range(len(self.ports)) if alone is None else (alone,):
            if port != sender:
                self._deliver(at, port, frame)

    def _deliver(self, at: int, port: int, frame: bytes) -> None:
        cable = self._cables[port]
        if self.spec.loss:
            cable.drawn += 1
            if draw(self._seeds[port], cable.drawn, LOSS_UNIT) < self.spec.loss:
                cable.lost += 1
                return
        begin = max(at, cable.in_until)
        if begin - at > self._patience:
            cable.dropped += 1
            return
        cable.in_until = begin + self._wire_time(frame)
        heappush(self._arriving, (cable.in_until, port, frame))

    def _wire_time(self, frame: bytes) -> int:
        return _time_of(max(len(frame), MIN_FRAME) + AROUND, self.spec.bandwidth)


def _time_of(count: int, bandwidth: int) -> int:
    """Ns that so many bytes take, rounded up."""
    return -(-count * 8 * SECOND // bandwidth)


def _unpacked(data: bytearray) -> Iterator[tuple[int, int, bytes]]:
    """When, the number of a card, the frame; that is empty where it is not whole."""
    at = 0
    while at < len(data):
        head = bytes(data[at : at + _ON_ITS_WAY.size]).ljust(_ON_ITS_WAY.size, b"\0")
        time, port, length = _ON_ITS_WAY.unpack(head)
        at += _ON_ITS_WAY.size
        frame = bytes(data[at : at + length])
        yield time, port, frame if len(frame) == length else b""
        at += length
