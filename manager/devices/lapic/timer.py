# SPDX-License-Identifier: BSD-2-Clause
"""The timer of a local APIC: one-shot, periodic, or a deadline of the time-stamp counter.

It counts at BUS_FREQUENCY over the divider. Only the moment at which the count reaches 0 is kept;
the current count follows from it. Source: Intel SDM volume 3, "APIC Timer".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from manager.bus.clock import Clock
from manager.bus.record import NEVER, Record, moment, uint
from manager.lazy import dataclass

BUS_FREQUENCY = 1_000_000_000
"""Input clock in Hz: one tick per nanosecond of virtual time, as the time-stamp counter has."""

LVT_VECTOR = 0x000000FF
LVT_MASKED = 0x00010000
LVT_MODE = 0x00060000
MODE_ONE_SHOT = 0x00000000
MODE_PERIODIC = 0x00020000
MODE_TSC_DEADLINE = 0x00040000
LVT_TIMER_BITS = LVT_MODE | LVT_MASKED | LVT_VECTOR
COUNTING = (MODE_ONE_SHOT, MODE_PERIODIC)

DIVIDE_LOW = 0x3
DIVIDE_HIGH = 0x8
DIVIDE_BITS = DIVIDE_HIGH | DIVIDE_LOW
COUNT_BITS = 0xFFFF_FFFF
MSR_BITS = (1 << 64) - 1


@dataclass(slots=True)
class LapicTimerState(Record):
    """The timer's registers."""

    TYPE: ClassVar[str] = "lapic-timer"

    lvt: int = uint(19, "LVT entry: vector, mask in bit 16, mode in bits 17 and 18", LVT_MASKED)
    divide: int = uint(4, "divide configuration as written: bits 0, 1 and 3")
    initial: int = uint(32, "initial count; the period of a periodic timer")
    deadline: int = moment("when the count reaches 0 or the TSC its deadline", NEVER)
    tsc_deadline: int = uint(64, "IA32_TSC_DEADLINE; 0 is disarmed")


class LapicTimer:
    """Owned by a Lapic. `fire` is called with the vector when an unmasked timer expires.

    While masked it counts but arms no deadline: what it would have done is worked out when the
    guest looks.
    """

    __slots__ = ("_clock", "_fire", "_timer", "state")

    def __init__(self, clock: Clock, fire: Callable[[int], None]) -> None:
        self.state = LapicTimerState()
        self._clock = clock
        self._fire = fire
        self._timer = clock.timer(self._expire)

    def write_lvt(self, value: int) -> None:
        """Set vector, mask and mode. A change to or from TSC-deadline mode stops the timer."""
        self._catch_up()
        state = self.state
        changed = value ^ state.lvt
        state.lvt = value & LVT_TIMER_BITS
        if changed & LVT_MODE and not (changed & LVT_MODE == MODE_PERIODIC and self._counting()):
            state.initial = state.tsc_deadline = 0
            state.deadline = NEVER
        self._arm()

    def write_initial(self, value: int) -> None:
        """Start counting down from `value`; 0 stops. Without effect in TSC-deadline mode."""
        if not self._counting():
            return
        self._catch_up()
        state = self.state
        state.initial = value & COUNT_BITS
        self._count_from(state.initial)

    def write_divide(self, value: int) -> None:
        """Set the divider; a running count goes on from where it is."""
        left = self.current()
        self.state.divide = value & DIVIDE_BITS
        if left:
            self._count_from(left)

    def current(self) -> int:
        """The current count, 0 when stopped or in TSC-deadline mode."""
        self._catch_up()
        state = self.state
        if state.deadline == NEVER or not self._counting():
            return 0
        return -(-(state.deadline - self._clock.now()) // self._divider())

    def read_tsc_deadline(self) -> int:
        """IA32_TSC_DEADLINE: 0 once it has expired."""
        self._catch_up()
        return self.state.tsc_deadline

    def write_tsc_deadline(self, value: int) -> None:
        """Expire when the TSC reaches `value`, at once if it has; 0 disarms. Other modes: no-op."""
        state = self.state
        if state.lvt & LVT_MODE != MODE_TSC_DEADLINE:
            return
        self._catch_up()
        state.tsc_deadline = value & MSR_BITS
        state.deadline = min(state.tsc_deadline, NEVER) or NEVER
        self._catch_up()
        self._arm()

    def adopt(self, state: LapicTimerState) -> None:
        """Work on another state from now on, its deadline armed."""
        self.state = state
        self._arm()

    def _counting(self) -> bool:
        return self.state.lvt & LVT_MODE in COUNTING

    def _divider(self) -> int:
        """1 to 128. Configurations 0 to 6 are 2 to 128, and 7 is 1."""
        divide = self.state.divide
        choice = divide & DIVIDE_LOW | (divide & DIVIDE_HIGH) >> 1
        return 1 << (choice + 1 & 7)

    def _count_from(self, count: int) -> None:
        deadline = self._clock.now() + count * self._divider()
        self.state.deadline = min(deadline, NEVER) if count else NEVER
        self._arm()

    def _catch_up(self) -> None:
        """What is due comes before what the guest does now."""
        if self.state.deadline <= self._clock.now():
            self._expire()

    def _expire(self) -> None:
        """The deadline is here. However many periods late, it makes one interrupt."""
        state = self.state
        if state.lvt & LVT_MODE == MODE_PERIODIC and state.initial:
            period = state.initial * self._divider()
            missed = (self._clock.now() - state.deadline) // period
            state.deadline = min(state.deadline + (missed + 1) * period, NEVER)
        else:
            state.deadline = NEVER
            state.tsc_deadline = 0
        self._arm()
        if not state.lvt & LVT_MASKED:
            self._fire(state.lvt & LVT_VECTOR)

    def _arm(self) -> None:
        state = self.state
        if state.deadline == NEVER or state.lvt & LVT_MASKED:
            self._timer.disarm()
        else:
            self._timer.arm(state.deadline)
