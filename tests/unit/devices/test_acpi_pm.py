# SPDX-License-Identifier: BSD-2-Clause
"""What a guest sees of ACPI's fixed hardware."""

from __future__ import annotations

import random

import pytest

from manager.bus.clock import SECOND, Clock, ManualTime
from manager.bus.lines import Wire
from manager.bus.record import from_plain, to_plain
from manager.devices.acpi_pm.device import S5_TYPE, AcpiPm, AcpiPmState

STATUS, ENABLE, CONTROL, TIMER = 0, 2, 4, 8
TIMER_EVENT, POWER_BUTTON = 0x0001, 0x0100
SCI_ENABLE, SLEEP_ENABLE = 0x0001, 0x2000
RATE = 3_579_545
TOGGLE = -(-(1 << 31) * SECOND // RATE)
"""The first nanosecond at which the timer's top bit is set."""


class Board:
    """The registers, their time, and what they do to the outside."""

    def __init__(self, start: int = 0) -> None:
        self.time = ManualTime(start)
        self.clock = Clock(self.time)
        self.rises: list[int] = []
        self.sci = Wire(lambda level: self.rises.append(self.time.value) if level else None)
        self.off = 0
        self.pm = AcpiPm(self.clock, self.sci, self._power_off)

    def _power_off(self) -> None:
        self.off += 1

    def read(self, offset: int, size: int = 2) -> int:
        return self.pm.read_wide(offset, size)

    def write(self, offset: int, value: int, size: int = 2) -> None:
        self.pm.write_wide(offset, size, value)

    def wait(self, delta: int) -> None:
        self.time.advance(self.clock, delta)


@pytest.fixture
def board() -> Board:
    return Board()


def test_machine_is_in_acpi_mode_whatever_is_written(board: Board) -> None:
    at_power_on = board.read(CONTROL)
    board.write(CONTROL, 0)

    assert at_power_on == board.read(CONTROL) == SCI_ENABLE


def test_soft_off_powers_off_and_only_when_enabled(board: Board) -> None:
    board.write(CONTROL, S5_TYPE << 10)
    only_typed = board.off
    board.write(CONTROL, S5_TYPE << 10 | SLEEP_ENABLE)

    assert only_typed == 0
    assert board.off == 1
    assert board.read(CONTROL) == S5_TYPE << 10 | SCI_ENABLE


def test_soft_off_written_in_bytes(board: Board) -> None:
    board.write(CONTROL + 1, (S5_TYPE << 10 | SLEEP_ENABLE) >> 8, size=1)

    assert board.off == 1


@pytest.mark.parametrize("kind", [kind for kind in range(8) if kind != S5_TYPE])
def test_other_sleep_states_do_nothing(board: Board, kind: int) -> None:
    board.write(CONTROL, kind << 10 | SLEEP_ENABLE)

    assert board.off == 0


def test_timer_counts_at_its_rate(board: Board) -> None:
    at_start = board.read(TIMER, 4)
    board.wait(10 * SECOND)

    assert (at_start, board.read(TIMER, 4)) == (0, 10 * RATE)
    assert board.read(TIMER + 1, 1) == 10 * RATE >> 8 & 0xFF
    assert board.read(TIMER + 2) == 10 * RATE >> 16


def test_timer_wraps_at_32_bits_and_cannot_be_written(board: Board) -> None:
    board.wait(2 * TOGGLE)
    board.write(TIMER, 0x12345678, 4)

    assert board.read(TIMER, 4) < 10


def test_timer_event_is_noted_without_being_enabled(board: Board) -> None:
    board.wait(TOGGLE - 1)
    early = board.read(STATUS)
    board.wait(1)

    assert (early, board.read(STATUS)) == (0, TIMER_EVENT)
    assert not board.sci.level


def test_enabled_timer_event_asserts_the_sci_at_each_toggle_until_cleared(board: Board) -> None:
    board.write(ENABLE, TIMER_EVENT)
    board.wait(TOGGLE)
    asserted = board.sci.level
    board.write(STATUS, TIMER_EVENT)
    cleared = board.sci.level, board.read(STATUS)
    board.wait(TOGGLE)

    assert asserted
    assert cleared == (False, 0)
    assert len(board.rises) == 2
    assert board.rises[0] == TOGGLE
    assert board.rises[1] - 2 * TOGGLE in (0, -1)


def test_enabling_an_event_that_stands_asserts_the_sci_and_disabling_releases(
    board: Board,
) -> None:
    board.wait(TOGGLE)
    board.write(ENABLE, TIMER_EVENT)
    enabled = board.sci.level
    board.write(ENABLE, 0)

    assert enabled
    assert not board.sci.level
    assert board.read(STATUS) == TIMER_EVENT


def test_power_button_asks_a_guest_that_listens(board: Board) -> None:
    board.write(ENABLE, POWER_BUTTON)
    board.pm.press_power_button()
    pressed = board.sci.level, board.read(STATUS)
    board.write(STATUS, POWER_BUTTON)

    assert pressed == (True, POWER_BUTTON)
    assert not board.sci.level


def test_power_button_is_only_noted_by_a_guest_that_does_not_listen(board: Board) -> None:
    board.pm.press_power_button()

    assert not board.sci.level
    assert board.read(STATUS) == POWER_BUTTON


def test_status_bits_are_cleared_one_by_one_in_any_width(board: Board) -> None:
    board.wait(TOGGLE)
    board.pm.press_power_button()
    board.write(STATUS, 0x0000)
    kept = board.read(STATUS)
    board.write(STATUS + 1, 0x01, size=1)
    button_gone = board.read(STATUS)
    board.write(STATUS, 0x0120_0001, size=4)

    assert kept == TIMER_EVENT | POWER_BUTTON
    assert button_gone == TIMER_EVENT
    assert board.read(STATUS, 4) == 0x0120_0000


def test_enable_register_keeps_defined_bits_and_is_written_in_any_width(board: Board) -> None:
    board.write(ENABLE, 0xFFFF)
    all_bits = board.read(ENABLE)
    board.write(ENABLE, 0x00, size=1)

    assert all_bits == 0x0721
    assert board.read(ENABLE) == 0x0700
    assert board.read(ENABLE + 1, 1) == 0x07


def test_reset_disables_events_and_lets_the_timer_run_on(board: Board) -> None:
    board.write(ENABLE, TIMER_EVENT)
    board.wait(TOGGLE + SECOND)
    board.pm.reset()

    assert not board.sci.level
    assert board.read(STATUS, 4) == 0
    assert board.read(TIMER, 4) == (TOGGLE + SECOND) * RATE // SECOND


def test_restore_goes_on_to_the_same_timer_event(board: Board) -> None:
    board.write(ENABLE, TIMER_EVENT | POWER_BUTTON)
    board.wait(TOGGLE // 2)
    board.pm.press_power_button()
    restored = Board(board.time.value)
    restored.pm.load(board.pm.save())
    at_once = restored.sci.level
    restored.write(STATUS, POWER_BUTTON)
    restored.wait(TOGGLE)

    assert at_once
    assert restored.rises == [TOGGLE // 2, TOGGLE]


@pytest.mark.parametrize("seed", range(20))
def test_any_guest_leaves_a_valid_state_that_a_restore_continues(seed: int) -> None:
    rng = random.Random(seed)
    board, twin = Board(), Board()
    trace: list[list[int]] = [[], []]
    for step in range(300):
        reading, value = rng.random() < 0.5, rng.getrandbits(32)
        offset, size = rng.randrange(12), rng.choice((1, 2, 4))
        delta = rng.choice((0, 1, SECOND, TOGGLE // 3, 3 * TOGGLE))
        pressed = rng.random() < 0.05
        if step == 150:
            twin = Board(board.time.value)
            plain = to_plain(board.pm.save())
            twin.pm.load(from_plain(AcpiPmState, plain, AcpiPmState.VERSION, "acpi-pm"))
            twin.rises, board.rises = [], []
            twin.off = board.off = 0
        for one, seen in zip((board, twin), trace, strict=True):
            one.wait(delta)
            if pressed:
                one.pm.press_power_button()
            if reading:
                seen.append(one.read(offset, size))
            else:
                one.write(offset, value, size)
            seen.append(one.sci.level)
        from_plain(AcpiPmState, to_plain(board.pm.save()), AcpiPmState.VERSION, "acpi-pm")
    assert trace[0] == trace[1]
    assert (board.rises, board.off) == (twin.rises, twin.off)
    assert board.pm.save() == twin.pm.save()
