# SPDX-License-Identifier: BSD-2-Clause
"""The wire's side of a network card: its link, and frames that come in.

A frame takes its time on the way in. Then the card gets it, or it waits until the driver has made
room; of more than a card can hold, the last are lost, as on a real one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import ClassVar, Protocol

from manager.bus.clock import Clock
from manager.bus.ethernet import HEADER, MAX_FRAME, Cable
from manager.bus.record import NEVER, Record, flag, moment, octets
from manager.devices.device import Takes
from manager.lazy import dataclass

FRAME_TIME = 1_000
"""ns that any frame takes on its way in or out of a card."""
BYTES_PER_NS = 1
ROOM = 64
"""Frames that a card holds."""
LINK_GAP = 2_000_000_000
"""ns for which a link is down that is plugged out and in: drivers look once a second."""
PULLED, PLUGGED, REPLUGGED = b"\0", b"\1", b"\2"
"""What happens to the cable, as input of the kind LINK."""
LINK = "link"

_LENGTH = struct.Struct("<H")


def frame_time(length: int) -> int:
    """How many ns a frame of so many bytes takes."""
    return FRAME_TIME + length // BYTES_PER_NS


@dataclass(slots=True)
class NicPortState(Record):
    """A network card's link, and frames on their way in."""

    TYPE: ClassVar[str] = "nic-port"

    up: bool = flag("whether there is a link", True)
    back: int = moment("when a link that is down comes back by itself", NEVER)
    waiting: bytearray = octets(
        0, ROOM * (MAX_FRAME + 2), "frames on their way in, each after its length, 16 bits"
    )
    due: int = moment("when the first of them is there; later for one that has no room", NEVER)

    def contradiction(self) -> str:
        """Frames that are none."""
        at = 0
        while at < len(self.waiting):
            length = int.from_bytes(self.waiting[at : at + 2], "little")
            at += 2 + length
            if not HEADER <= length <= MAX_FRAME:
                return f"a frame of {length} bytes"
        return "the last frame is not whole" if at > len(self.waiting) else ""


class Card(Protocol):
    """What the port needs of the card behind it."""

    def listens(self) -> bool:
        """Whether frames are received at all: the driver is there and wants them."""

    def receive(self, frame: bytes) -> bool:
        """Take a frame in; False when the driver has made no room, and it is to wait."""

    def link_changed(self) -> None:
        """The link went up or down."""


class NicPort:
    """The port of `card`. `state` is part of the card's record.

    `time` says how many ns a frame of so many bytes takes on its way in.
    """

    def __init__(
        self, card: Card, clock: Clock, cable: Cable, time: Callable[[int], int] = frame_time
    ) -> None:
        self.state = NicPortState()
        self._card = card
        self._clock = clock
        self._cable = cable
        self._time = time
        self._count = 0
        self._arrival = clock.timer(self._arrived)
        self._return = clock.timer(self._returned)
        cable.connect(self.arrive, lambda: self._count)

    def adopt(self, state: NicPortState) -> None:
        """Take over a state."""
        self.state = state
        self._count = _count(state.waiting)

    def settle(self) -> None:
        """Make the timers agree with the state."""
        for timer, due in ((self._arrival, self.state.due), (self._return, self.state.back)):
            if due == NEVER:
                timer.disarm()
            else:
                timer.arm(due)

    def power_on(self) -> NicPortState:
        """Nothing is on its way. The cable is as it is, whatever happens to the card."""
        return NicPortState(up=self.state.up, back=self.state.back)

    def drop(self) -> None:
        """Forget the frames on their way in."""
        self.state.waiting.clear()
        self.state.due = NEVER
        self._count = 0
        self._arrival.disarm()

    # -- frames -------------------------------------------------------------------------------

    def send(self, frame: bytes) -> None:
        """Send a frame, if it is one and there is a link."""
        if self.state.up and HEADER <= len(frame) <= MAX_FRAME:
            self._cable.send(frame)

    def arrive(self, frame: bytes) -> None:
        """A frame comes from the other end."""
        fits = HEADER <= len(frame) <= MAX_FRAME and self._count < ROOM
        if not (fits and self.state.up and self._card.listens()):
            return
        self.state.waiting += _LENGTH.pack(len(frame)) + frame
        self._count += 1
        if self._count == 1:
            self._begin()

    def has_room(self) -> None:
        """The driver may have made room."""
        if self._count and self.state.due == NEVER:
            self._begin()

    def _begin(self) -> None:
        """The first of the frames that wait is on its way now."""
        (length,) = _LENGTH.unpack_from(self.state.waiting)
        self.state.due = self._clock.now() + self._time(length)
        self._arrival.arm(self.state.due)

    def _arrived(self) -> None:
        state = self.state
        state.due = NEVER
        if not self._count:
            return
        (length,) = _LENGTH.unpack_from(state.waiting)
        end = _LENGTH.size + length
        if self._card.receive(bytes(state.waiting[_LENGTH.size : end])) and self._count:
            del state.waiting[:end]
            self._count -= 1
            if self._count:
                self._begin()

    # -- the link -----------------------------------------------------------------------------

    def takes(self) -> Takes:
        """What happens to the cable."""
        return {LINK: self._plug}

    def _plug(self, what: bytes) -> None:
        state = self.state
        up = what[:1] == PLUGGED
        state.back = self._clock.now() + LINK_GAP if what[:1] == REPLUGGED else NEVER
        if not up:
            self.drop()
        self.settle()
        self._set(up)

    def _returned(self) -> None:
        self.state.back = NEVER
        self._set(True)

    def _set(self, up: bool) -> None:
        if up != self.state.up:
            self.state.up = up
            self._card.link_changed()


def _count(waiting: bytearray) -> int:
    """How many frames there are."""
    count = at = 0
    while at < len(waiting):
        (length,) = _LENGTH.unpack_from(waiting, at)
        at += _LENGTH.size + length
        count += 1
    return count
