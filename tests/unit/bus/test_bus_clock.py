# SPDX-License-Identifier: BSD-2-Clause
"""Deadlines in virtual time: order, ties, re-arming."""

from __future__ import annotations

from functools import partial

from manager.bus.clock import Clock, ManualTime
from manager.bus.record import NEVER


def test_timers_fire_in_order_of_deadline_and_ties_in_order_of_creation() -> None:
    time = ManualTime()
    clock = Clock(time)
    fired: list[str] = []
    first, second, third = (clock.timer(partial(fired.append, name)) for name in "abc")
    third.arm(5)
    second.arm(10)
    first.arm(10)

    time.advance(clock, 10)

    assert fired == ["c", "a", "b"]


def test_a_timer_fires_once_at_its_deadline_and_not_before() -> None:
    time = ManualTime()
    clock = Clock(time)
    fired: list[int] = []
    clock.timer(lambda: fired.append(time())).arm(100)

    time.advance(clock, 99)
    early = list(fired)
    time.advance(clock, 1000)

    assert early == []
    assert fired == [100]
    assert clock.next_deadline() == NEVER


def test_a_periodic_timer_catches_up_within_one_run() -> None:
    time = ManualTime()
    clock = Clock(time)
    fired: list[int] = []

    def tick() -> None:
        fired.append(len(fired) + 1)
        timer.arm(10 * (len(fired) + 1))

    timer = clock.timer(tick)
    timer.arm(10)
    time.value = 35
    clock.run_due()

    assert fired == [1, 2, 3]
    assert clock.next_deadline() == 40


def test_a_disarmed_timer_does_not_fire() -> None:
    time = ManualTime()
    clock = Clock(time)
    fired: list[bool] = []
    timer = clock.timer(lambda: fired.append(True))
    timer.arm(10)

    timer.disarm()
    time.advance(clock, 100)

    assert fired == []


def test_a_timer_that_another_puts_off_at_the_same_moment_does_not_fire() -> None:
    time = ManualTime()
    clock = Clock(time)
    fired: list[str] = []
    killer = clock.timer(lambda: victim.arm(NEVER))
    victim = clock.timer(lambda: fired.append("victim"))
    killer.arm(10)
    victim.arm(10)

    time.advance(clock, 10)

    assert fired == []


def test_arming_tells_the_engine_that_a_deadline_changed() -> None:
    told: list[int] = []
    clock = Clock(ManualTime(), lambda: told.append(clock.next_deadline()))

    clock.timer(lambda: None).arm(7)

    assert told == [7]


def test_without_timers_there_is_no_deadline() -> None:
    clock = Clock(ManualTime(5))

    clock.run_due()

    assert clock.next_deadline() == NEVER
