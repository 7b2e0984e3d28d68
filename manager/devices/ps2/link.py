# SPDX-License-Identifier: BSD-2-Clause
"""The way from a PS/2 device to its controller: a byte at a time, whenever the controller lets it.

The other way takes no time: a device has a byte as soon as the guest has written it.
Source: IBM PS/2 Hardware Interface Technical Reference, keyboard and auxiliary device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from manager.bus.clock import Clock
from manager.bus.ps2 import Port
from manager.bus.record import NEVER, Record, moment, octets, uint
from manager.lazy import dataclass

BYTE_TIME = 880_000
"""ns: 11 bits at 12.5 kHz, in the middle of what devices may have."""
DEPTH = 16
"""Bytes of a device's buffer."""

ACK, RESEND, RESET, SELF_TEST_PASSED = 0xFA, 0xFE, 0xFF, 0xAA


@dataclass(slots=True)
class LinkState(Record):
    """What a device has to send."""

    TYPE: ClassVar[str] = "ps2-link"

    answers: bytearray = octets(0, DEPTH, "answers to commands, which go before all else")
    buffer: bytearray = octets(0, DEPTH, "what the device has to tell")
    last: int = uint(8, "the byte that was sent last, for a command to send it again")
    sent_at: int = moment("when the byte on the wire arrives; none is on it if never", NEVER)


class Link:
    """Sends for one device. `on_idle` is told when all is sent and the controller ready for more.

    Its owner sets `state`, and calls `settle` then.
    """

    __slots__ = ("_clock", "_on_idle", "_port", "_timer", "state")

    def __init__(self, port: Port, clock: Clock, on_idle: Callable[[], None]) -> None:
        self._port = port
        self._clock = clock
        self._on_idle = on_idle
        self._timer = clock.timer(self._arrived)
        self.state = LinkState()

    @property
    def idle(self) -> bool:
        """Whether the controller has taken all and may take more."""
        return self._port.free and not self.state.answers and not self.state.buffer

    def answer(self, *answer: int) -> None:
        """Send the answer to a command. One that asks on without listening loses old answers."""
        answers = self.state.answers
        answers += bytes(answer)
        del answers[:-DEPTH]
        self.released()

    def tell(self, told: bytes) -> bool:
        """Send `told` whole, or not at all if there is no room for it; whether it is sent."""
        if len(self.state.buffer) + len(told) > DEPTH:
            return False
        self.state.buffer += told
        self.released()
        return True

    def forget(self) -> None:
        """What is not sent is not to be sent."""
        self.state.answers.clear()
        self.state.buffer.clear()

    def released(self) -> None:
        """Begin with the next byte if there is one and the controller lets it."""
        state = self.state
        if state.sent_at != NEVER or not self._port.free:
            return
        if state.answers or state.buffer:
            state.sent_at = self._clock.now() + BYTE_TIME
            self._timer.arm(state.sent_at)
        else:
            self._on_idle()

    def settle(self) -> None:
        """Set the timer from the state."""
        self._timer.disarm()
        if self.state.sent_at != NEVER:
            self._timer.arm(self.state.sent_at)

    def _arrived(self) -> None:
        """A controller that was not ready has it sent again."""
        state = self.state
        state.sent_at = NEVER
        source = state.answers or state.buffer
        if source and self._port.free:
            state.last = source.pop(0)
            self._port.take(state.last)
        self.released()
