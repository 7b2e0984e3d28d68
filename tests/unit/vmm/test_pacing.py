# SPDX-License-Identifier: BSD-2-Clause
"""Virtual time against the host's: never ahead when paced, never asleep when virtual."""

from __future__ import annotations

import pytest

from manager.bus.record import NEVER
from manager.vmm.pacing import GRAIN, SLICE, Paced, Virtual


class Hand:
    """A machine and a host clock, both set by hand."""

    def __init__(self) -> None:
        self.time = 1000
        self.idle: int | None = None
        self.host = 77

    def now(self) -> int:
        return self.time

    def idle_until(self) -> int | None:
        return self.idle


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def paced(hand) -> Paced:
    return Paced(hand, lambda: hand.host)


def test_a_busy_paced_machine_sleeps_while_it_is_on_time(hand, paced) -> None:
    assert paced.until() is None
    assert paced.sleep() == GRAIN / 1e9


def test_a_busy_paced_machine_runs_up_to_the_host_and_no_further(hand, paced) -> None:
    hand.host += 3 * GRAIN

    assert paced.until() == hand.time + 3 * GRAIN


def test_a_paced_machine_that_is_behind_runs_in_slices_without_sleeping(hand, paced) -> None:
    hand.host += 100 * SLICE

    assert paced.until() == hand.time + SLICE
    hand.time = paced.until()
    assert paced.until() == hand.time + SLICE


def test_an_idle_paced_machine_sleeps_until_its_deadline(hand, paced) -> None:
    hand.idle = hand.time + 250_000_000

    assert paced.until() is None
    assert paced.sleep() == 0.25

    hand.host += 250_000_000
    assert paced.until() == hand.idle


def test_an_idle_paced_machine_without_deadline_sleeps_for_ever(hand, paced) -> None:
    hand.idle = NEVER
    hand.host += 10**12

    assert paced.until() is None
    assert paced.sleep() is None


def test_input_finds_a_sleeping_paced_machine_at_the_hosts_time(hand, paced) -> None:
    hand.idle = NEVER
    hand.host += 10**9

    assert paced.catch_up() == hand.time + 10**9


def test_a_busy_machine_is_not_moved_by_input(hand, paced) -> None:
    hand.host += 10**9

    assert paced.catch_up() is None


def test_time_that_stood_still_is_not_caught_up(hand, paced) -> None:
    hand.host += 10**12
    paced.resume()

    assert paced.until() is None


def test_a_virtual_machine_never_sleeps_before_a_deadline(hand) -> None:
    hand.idle = 10**15

    assert Virtual(hand).until() == 10**15 + SLICE


def test_a_virtual_machine_that_nothing_will_wake_sleeps(hand) -> None:
    hand.idle = NEVER

    assert Virtual(hand).until() is None
    assert Virtual(hand).sleep() is None
