# SPDX-License-Identifier: BSD-2-Clause
"""A mouse with a PS/2 plug: three buttons, and a wheel for guests that ask for one.

Motion comes from outside as events, each what the mouse did at once. While it may report they wait
until the guest has read what came before; a mouse that may not report does not notice.
Sources: IBM PS/2 Hardware Interface Technical Reference, mouse; Microsoft, "Wheel mouse" (how it is
asked for: sample rates 200, 100 and 80 make it device 3, with a fourth byte).
"""

from __future__ import annotations

import struct
from typing import ClassVar

from manager.bus.clock import SECOND, Clock
from manager.bus.ps2 import Port
from manager.bus.record import Record, flag, integer, moment, nested, octets, uint
from manager.devices.device import Device, Takes
from manager.devices.ps2.link import ACK, RESEND, RESET, SELF_TEST_PASSED, Link, LinkState
from manager.lazy import dataclass

MOTION = "mouse"
"""The kind of input: EVENT for each piece of motion."""
EVENT = struct.Struct("<hhbBB")
"""Steps to the right, steps down, steps of the wheel away from the user, buttons that go down, and
those that go up."""
WAITING_LIMIT = 4096

SCALE_1_1, SCALE_2_1, SET_RESOLUTION, STATUS, STREAM, READ = range(0xE6, 0xEC)
END_WRAP, WRAP, REMOTE, IDENTIFY, SET_RATE = 0xEC, 0xEE, 0xF0, 0xF2, 0xF3
ENABLE, DISABLE, SET_DEFAULTS = 0xF4, 0xF5, 0xF6
PLAIN_ID, WHEEL_ID = 0, 3
KNOCK = bytes((200, 100, 80))
RATES = (10, 20, 40, 60, 80, 100, 200)
FARTHEST = 255
"""Steps that one report can tell; the rest goes into the next."""
FARTHEST_TURN = 7
STEPS_2_1 = (0, 1, 1, 3, 6, 9)
"""What scaling 2:1 makes of few steps; more are doubled."""


@dataclass(slots=True)
class Ps2MouseState(Record):
    """A mouse, and what it is still to do."""

    TYPE: ClassVar[str] = "ps2-mouse"

    link: LinkState = nested(LinkState, "what it has to send")
    awaiting: int = uint(8, "command that the next byte belongs to; 0 for none")
    resolution: int = integer(0, 3, "2 to this power: counts for each mm", 2)
    rate: int = uint(8, "reports a second", 100)
    knock: bytearray = octets(0, len(KNOCK), "the last rates that were set")
    wheel: bool = flag("it reports its wheel")
    scaled: bool = flag("it reports with scaling 2:1")
    remote: bool = flag("it reports when it is asked")
    reporting: bool = flag("it reports by itself, unless it is to be asked")
    wrapping: bool = flag("it sends back what it is sent")
    buttons: int = uint(3, "buttons that are down", names="LEFT RIGHT MIDDLE")
    right: int = integer(-32768, 32767, "steps to the right that are not reported")
    up: int = integer(-32768, 32768, "steps up that are not reported")
    turn: int = integer(-128, 127, "steps of the wheel away from the user, not reported")
    waiting: bytearray = octets(0, EVENT.size * WAITING_LIMIT, "events to come")
    next_at: int = moment("before when it does not report by itself")

    def contradiction(self) -> str:
        """Rates are those that there are, and events whole."""
        if self.rate not in RATES:
            return f"a mouse has no rate {self.rate}"
        if len(self.waiting) % EVENT.size:
            return "the last event in `waiting` is not whole"
        return ""


class Ps2Mouse(Device[Ps2MouseState]):
    """manager.devices.ps2.link.Plugged; it is to be plugged into `port`."""

    STATE = Ps2MouseState

    def __init__(self, port: Port, clock: Clock) -> None:
        self._clock = clock
        self._link = Link(port, clock, self._next)
        self._pacer = clock.timer(self._next)
        self.load(self.power_on())

    def load(self, record: Ps2MouseState) -> None:
        """Take over all parts before any sets its timer."""
        self._link.state = record.link
        super().load(record)

    def settle(self) -> None:
        """Set the timers from the state."""
        self._link.settle()
        self._wait()

    # -- motion -----------------------------------------------------------------------------

    def takes(self) -> Takes:
        """Motion."""
        return {MOTION: self.move}

    def move(self, events: bytes) -> None:
        """Events, lost when the mouse may not report, or when too many wait already."""
        state = self.state
        listened_to = state.reporting or state.remote
        fits = len(state.waiting) + len(events) <= EVENT.size * WAITING_LIMIT
        if len(events) % EVENT.size or not fits:
            return
        if listened_to:
            state.waiting += events
            self._next()
            return
        for *_, pressed, released in EVENT.iter_unpack(events):
            state.buttons = _buttons(state.buttons, pressed, released)

    def released(self) -> None:
        """The controller lets the mouse send."""
        self._link.released()

    @property
    def _streams(self) -> bool:
        state = self.state
        return state.reporting and not state.remote and not state.wrapping

    def _next(self) -> None:
        """Report by itself, if there is something and it may."""
        state = self.state
        if self._streams and self._link.idle and self._clock.now() >= state.next_at:
            moved = state.right or state.up or state.turn
            if moved or self._take():
                state.next_at = self._clock.now() + SECOND // state.rate
                self._link.tell(self._report(scaled=state.scaled))
        self._wait()

    def _wait(self) -> None:
        """The pacer is set while it is what the next report waits for."""
        state = self.state
        more = state.waiting or state.right or state.up or state.turn
        self._pacer.disarm()
        if more and self._streams and state.next_at > self._clock.now():
            self._pacer.arm(state.next_at)

    def _take(self) -> bool:
        """The next event becomes what is to be reported; whether there was one."""
        state = self.state
        if not state.waiting:
            return False
        state.right, down, state.turn, pressed, released = EVENT.unpack_from(state.waiting)
        del state.waiting[: EVENT.size]
        state.up = -down
        state.buttons = _buttons(state.buttons, pressed, released)
        return True

    def _report(self, *, scaled: bool) -> bytes:
        """A report of as much as fits."""
        state = self.state
        right, up, turn = _near(state.right), _near(state.up), _near(state.turn, FARTHEST_TURN)
        state.right -= right
        state.up -= up
        state.turn -= turn
        if scaled:
            right, up = _near(_twice(right)), _near(_twice(up))
        first = 0x08 | state.buttons | (right < 0) << 4 | (up < 0) << 5
        report = bytes((first, right & 0xFF, up & 0xFF))
        if not state.wheel:
            state.turn = 0
            return report
        return report + bytes((-turn & 0xFF,))

    # -- commands ---------------------------------------------------------------------------

    def receive(self, byte: int) -> None:
        """A command, or the byte that belongs to one."""
        state = self.state
        command, state.awaiting = state.awaiting, 0
        if state.wrapping and byte not in (RESET, END_WRAP):
            self._link.answer(byte)
        elif command:
            self._argument(command, byte)
        elif byte == RESEND:
            self._link.answer(state.link.last)
        elif byte in (SET_RESOLUTION, SET_RATE):
            state.awaiting = byte
            self._link.answer(ACK)
        else:
            self._order(byte)

    def _order(self, command: int) -> None:
        """A command of one byte."""
        state = self.state
        if command in (ENABLE, DISABLE):
            self._link.forget()
            state.reporting = command == ENABLE
        elif command in (SCALE_1_1, SCALE_2_1):
            state.scaled = command == SCALE_2_1
        elif command in (STREAM, REMOTE):
            self._link.forget()
            state.remote = command == REMOTE
        elif command in (WRAP, END_WRAP):
            state.wrapping = command == WRAP
        elif command in (RESET, SET_DEFAULTS):
            self._defaults(forget_wheel=command == RESET)
        elif command not in (STATUS, READ, IDENTIFY):
            self._link.answer(RESEND)
            return
        self._link.answer(ACK, *self._data(command))

    def _data(self, command: int) -> bytes:
        """What comes behind the acknowledgement."""
        state = self.state
        if command == RESET:
            return bytes((SELF_TEST_PASSED, PLAIN_ID))
        if command == IDENTIFY:
            return bytes((WHEEL_ID if state.wheel else PLAIN_ID,))
        if command == READ:
            if not (state.right or state.up or state.turn):
                self._take()
            return self._report(scaled=False)
        if command == STATUS:
            left, right, middle = (state.buttons >> bit & 1 for bit in range(3))
            mode = state.remote << 6 | state.reporting << 5 | state.scaled << 4
            return bytes(
                (mode | left << 2 | middle << 1 | right, state.resolution, state.rate),
            )
        return b""

    def _argument(self, command: int, byte: int) -> None:
        state = self.state
        if command == SET_RESOLUTION and byte <= 3:
            state.resolution = byte
        elif command == SET_RATE and byte in RATES:
            state.rate = byte
            state.knock = (state.knock + bytes((byte,)))[-len(KNOCK) :]
            state.wheel = state.wheel or state.knock == KNOCK
        else:
            self._link.answer(RESEND)
            return
        self._link.answer(ACK)

    def _defaults(self, *, forget_wheel: bool) -> None:
        """As at power-on, but for the buttons; motion that waits was for who asked before."""
        state = self.state
        wheel = state.wheel and not forget_wheel
        new = Ps2MouseState(wheel=wheel, buttons=state.buttons)
        new.link.last, new.link.sent_at = state.link.last, state.link.sent_at
        self.load(new)


def _buttons(down: int, pressed: int, released: int) -> int:
    return (down & ~released | pressed) & 7


def _near(steps: int, most: int = FARTHEST) -> int:
    return max(-most, min(most, steps))


def _twice(steps: int) -> int:
    size = abs(steps)
    made = STEPS_2_1[size] if size < len(STEPS_2_1) else 2 * size
    return made if steps > 0 else -made
