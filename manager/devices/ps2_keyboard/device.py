# SPDX-License-Identifier: BSD-2-Clause
"""A keyboard with a PS/2 plug.

Keys come from outside as events, a key and whether it goes down. They wait until the guest has
read what came before, and at least KEY_TIME, so that none is lost: a real keyboard's buffer of 16
bytes would overflow, and its user type more slowly.
Source: IBM PS/2 Hardware Interface Technical Reference, keyboard (101- and 102-key).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from manager.bus.clock import Clock
from manager.bus.ps2 import Port
from manager.bus.record import NEVER, Record, flag, integer, moment, nested, octets, uint
from manager.devices.device import Device, Takes
from manager.devices.keyboard.translation import BREAK, translated
from manager.devices.ps2.link import (
    ACK,
    RESEND,
    RESET,
    SELF_TEST_PASSED,
    Link,
    LinkState,
)
from manager.devices.ps2_keyboard import keys
from manager.lazy import dataclass

KEYS = "keys"
"""The kind of input: two bytes an event, the key's number and 1 when it goes down, 0 when up."""
EVENT, WAITING_LIMIT = 2, 4096
KEY_TIME = 4_000_000
"""ns from one event to the next: as fast as a program that looks now and then can follow."""

SET_LEDS, ECHO, SCANCODE_SET, IDENTIFY, SET_TYPEMATIC = 0xED, 0xEE, 0xF0, 0xF2, 0xF3
ENABLE, DISABLE, SET_DEFAULTS = 0xF4, 0xF5, 0xF6
ALL_TYPEMATIC, ALL_MAKE_BREAK, ALL_MAKE, ALL_BOTH = 0xF7, 0xF8, 0xF9, 0xFA
KEY_TYPEMATIC, KEY_MAKE_BREAK, KEY_MAKE = 0xFB, 0xFC, 0xFD
TAKES_BYTE = (SET_LEDS, SCANCODE_SET, SET_TYPEMATIC)
TAKES_KEYS = (KEY_TYPEMATIC, KEY_MAKE_BREAK, KEY_MAKE)
FIRST_COMMAND = SET_LEDS
ID = (0xAB, 0x83)
USUAL_PACE = 0x2B
"""10.9 repetitions a second, after half a second."""


@dataclass(slots=True)
class Ps2KeyboardState(Record):
    """A keyboard, and the keys that it is still to be pressed."""

    TYPE: ClassVar[str] = "ps2-keyboard"

    link: LinkState = nested(LinkState, "what it has to send")
    awaiting: int = uint(8, "command that the next byte belongs to; 0 for none")
    leds: int = uint(3, "lights that are on", names="SCROLL NUM CAPS")
    scancode_set: int = integer(1, 3, "set of scancodes that it sends", 2)
    pace: int = uint(7, "delay and rate of repetition, as command F3h takes them", USUAL_PACE)
    scanning: bool = flag("keys are looked at", True)
    key_modes: int = uint(8, "the last of commands F7h to FAh, for set 3; 0 for none")
    held: bytearray = octets(0, len(keys.NAMES), "numbers of the keys that are down, in order")
    waiting: bytearray = octets(0, EVENT * WAITING_LIMIT, "events to come, each a key and 1 or 0")
    next_at: int = moment("before when no event is taken")
    repeating: int = uint(8, "the key that repeats while it is held; 0 for none")
    repeat_at: int = moment("when it does so next", NEVER)

    def contradiction(self) -> str:
        """Keys are those that there are, each held once; a key that repeats is one of them."""
        if any(number not in keys.NAMES for number in self.held):
            return "`held` has a key that there is not"
        if len(set(self.held)) != len(self.held):
            return "`held` has a key twice"
        if (self.repeat_at != NEVER) != (self.repeating != 0):
            return "`repeating` and `repeat_at` do not agree on whether a key repeats"
        if self.repeating and self.repeating not in self.held:
            return "`repeating` is not held"
        return ""


class Ps2Keyboard(Device[Ps2KeyboardState]):
    """manager.devices.ps2.link.Plugged; it is to be plugged into `port`."""

    STATE = Ps2KeyboardState

    def __init__(self, port: Port, clock: Clock) -> None:
        self._clock = clock
        self._link = Link(port, clock, self._next)
        self._pacer = clock.timer(self._next)
        self._repeater = clock.timer(self._repeat)
        self.load(self.power_on())

    def reset(self) -> None:
        """Power-on state; the fingers stay on the keys that are still to be pressed."""
        record = self.power_on()
        record.waiting = self.state.waiting
        self.load(record)

    def load(self, record: Ps2KeyboardState) -> None:
        """Take over all parts before any sets its timer."""
        self._link.state = record.link
        super().load(record)

    def settle(self) -> None:
        """Set the timers from the state."""
        self._link.settle()
        self._wait()
        self._repeater.disarm()
        if self.state.repeat_at != NEVER:
            self._repeater.arm(self.state.repeat_at)

    # -- keys -------------------------------------------------------------------------------

    def takes(self) -> Takes:
        """Keys."""
        return {KEYS: self.press}

    def press(self, events: bytes) -> None:
        """Events, to be taken one after the other; they are lost when too many wait already."""
        waiting = self.state.waiting
        if len(events) % EVENT == 0 and len(waiting) + len(events) <= EVENT * WAITING_LIMIT:
            waiting += events
        self._next()

    def released(self) -> None:
        """The controller lets the keyboard send."""
        self._link.released()

    def _next(self) -> None:
        """Take events until one has something to send."""
        state = self.state
        while state.waiting and state.scanning and self._link.idle:
            if self._clock.now() < state.next_at:
                break
            number, down = state.waiting[:EVENT]
            del state.waiting[:EVENT]
            self._event(number, bool(down))
        self._wait()

    def _wait(self) -> None:
        """The pacer is set while it is what the next event waits for."""
        state = self.state
        due = state.waiting and state.next_at > self._clock.now()
        self._pacer.disarm()
        if due:
            self._pacer.arm(state.next_at)

    def _event(self, number: int, down: bool) -> None:
        state = self.state
        if number not in keys.NAMES or down == (number in state.held):
            return
        state.next_at = self._clock.now() + KEY_TIME
        if down:
            self._send(keys.made(number, state.scancode_set, state.held))
            state.held.append(number)
            if keys.repeats(number, state.scancode_set, state.key_modes):
                self._repeat_after(number, self._delay())
        else:
            state.held.remove(number)
            if number == state.repeating:
                self._stop_repeating()
            if keys.tells_release(number, state.scancode_set, state.key_modes):
                self._send(keys.broken(number, state.scancode_set, state.held))

    def _send(self, codes: bytes) -> None:
        self._link.tell(codes if self.state.scancode_set != 1 else bytes(_in_set_1(codes)))

    # -- repetition -------------------------------------------------------------------------

    def _delay(self) -> int:
        return ((self.state.pace >> 5) + 1) * 250_000_000

    def _period(self) -> int:
        """(8 + A) * 2^B * 4.17 ms."""
        pace = self.state.pace
        return (8 + (pace & 7)) * (1 << (pace >> 3 & 3)) * 4_170_000

    def _repeat_after(self, number: int, delay: int) -> None:
        self.state.repeating = number
        self.state.repeat_at = self._clock.now() + delay
        self._repeater.arm(self.state.repeat_at)

    def _stop_repeating(self) -> None:
        self.state.repeating, self.state.repeat_at = 0, NEVER
        self._repeater.disarm()

    def _repeat(self) -> None:
        """A guest that has not read the last repetition gets no other."""
        state = self.state
        self._repeat_after(state.repeating, self._period())
        if self._link.idle and not state.waiting and state.scanning:
            self._send(keys.made(state.repeating, state.scancode_set, state.held))

    # -- commands ---------------------------------------------------------------------------

    def receive(self, byte: int) -> None:
        """A command, or the byte that belongs to one."""
        state = self.state
        command, state.awaiting = state.awaiting, 0
        if command and byte < FIRST_COMMAND:
            self._argument(command, byte)
        elif byte == ECHO:
            self._link.answer(ECHO)
        elif byte == RESEND:
            self._link.answer(state.link.last)
        elif byte in TAKES_BYTE or byte in TAKES_KEYS:
            state.awaiting = byte
            self._link.answer(ACK)
        elif byte < FIRST_COMMAND or not self._order(byte):
            self._link.answer(RESEND)

    def _order(self, command: int) -> bool:
        """A command of one byte; whether there is such a one."""
        state = self.state
        if command == IDENTIFY:
            self._link.answer(ACK, *ID)
        elif command == ENABLE:
            state.link.buffer.clear()
            state.scanning = True
            self._link.answer(ACK)
        elif command in (DISABLE, SET_DEFAULTS):
            self._defaults()
            state.scanning = command == SET_DEFAULTS
            self._link.answer(ACK)
        elif ALL_TYPEMATIC <= command <= ALL_BOTH:
            state.key_modes = command
            self._link.answer(ACK)
        elif command == RESET:
            self._defaults()
            state.scanning = True
            state.leds = 0
            self._link.answer(ACK, SELF_TEST_PASSED)
        else:
            return False
        return True

    def _argument(self, command: int, byte: int) -> None:
        state = self.state
        if command == SET_LEDS:
            state.leds = byte & 7
        elif command == SET_TYPEMATIC:
            state.pace = byte & 0x7F
        elif command in TAKES_KEYS:
            state.awaiting = command  # for as many keys as come; single keys have no mode here
        elif byte == 0:
            self._link.answer(ACK, state.scancode_set)
            return
        elif byte <= 3:
            state.link.buffer.clear()
            state.scancode_set = byte
        else:
            self._link.answer(RESEND)
            return
        self._link.answer(ACK)

    def _defaults(self) -> None:
        state = self.state
        self._link.forget()
        self._stop_repeating()
        state.scancode_set, state.pace, state.key_modes = 2, USUAL_PACE, 0


def _in_set_1(codes: bytes) -> Iterator[int]:
    """Codes of set 2 as a keyboard sends them in set 1."""
    after_break = False
    for code in codes:
        if code == BREAK:
            after_break = True
        else:
            yield translated(code, broken=after_break)
            after_break = False
