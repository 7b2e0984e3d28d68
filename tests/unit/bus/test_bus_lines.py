# SPDX-License-Identifier: BSD-2-Clause
"""Interrupt lines: changes are told once, shared lines are high while anybody drives them."""

from __future__ import annotations

import random

import pytest

from manager.bus.lines import Wire, WiredOr


def test_a_wire_tells_changes_only() -> None:
    heard: list[bool] = []
    wire = Wire(heard.append)

    for level in (False, True, True, False, False, True):
        wire.set(level)

    assert heard == [True, False, True]
    assert wire.level


def test_a_shared_line_rises_with_the_first_driver_and_falls_with_the_last() -> None:
    heard: list[bool] = []
    line = WiredOr(Wire(heard.append))
    one, two = line.join(), line.join()

    one.set(True)
    two.set(True)
    one.set(False)
    before = list(heard)
    two.set(False)

    assert before == [True]
    assert heard == [True, False]


@pytest.mark.parametrize("seed", range(5))
def test_a_shared_line_is_the_or_of_its_drivers(seed: int) -> None:
    rng = random.Random(seed)
    output = Wire(lambda _: None)
    line = WiredOr(output)
    drivers = [line.join() for _ in range(4)]
    levels = [False] * 4

    for _ in range(200):
        index = rng.randrange(4)
        levels[index] = rng.random() < 0.5
        drivers[index].set(levels[index])
        assert output.level == any(levels)
