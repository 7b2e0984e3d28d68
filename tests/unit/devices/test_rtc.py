# SPDX-License-Identifier: BSD-2-Clause
"""What a guest sees of the real-time clock and of CMOS memory."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from manager.bus.clock import SECOND, Clock, ManualTime
from manager.bus.lines import Wire
from manager.bus.record import from_plain, to_plain
from manager.devices.rtc.device import Rtc, RtcState

EPOCH = int(datetime(2024, 2, 28, 23, 59, 50, tzinfo=UTC).timestamp())
MIB = 1 << 20
REG_A, REG_B, REG_C, REG_D = 0x0A, 0x0B, 0x0C, 0x0D
TIME = (0x32, 9, 8, 7, 4, 2, 0)  # century, year, month, day, hour, minute, second


class Board:
    """A clock chip, its time, and the moments at which IRQ 8 rose."""

    def __init__(self, start: int = 0, memory: int = 256 * MIB, above_4g: int = 0) -> None:
        self.time = ManualTime(start)
        self.clock = Clock(self.time)
        self.rises: list[int] = []
        self.irq = Wire(self._edge)
        self.rtc = Rtc(self.clock, self.irq, EPOCH, memory, above_4g)

    def _edge(self, level: bool) -> None:
        if level:
            self.rises.append(self.time.value)

    def read(self, address: int) -> int:
        self.rtc.write_port(0, address)
        return self.rtc.read_port(1)

    def write(self, address: int, value: int) -> None:
        self.rtc.write_port(0, address)
        self.rtc.write_port(1, value)

    def wait(self, ns: int) -> None:
        self.time.advance(self.clock, ns)

    def shown(self) -> list[int]:
        return [self.read(address) for address in TIME]

    def set_time(self, *values: int) -> None:
        self.write(REG_B, self.read(REG_B) | 0x80)
        for address, value in zip(TIME, values, strict=True):
            self.write(address, value)
        self.write(REG_B, self.read(REG_B) & ~0x80)


@pytest.fixture
def board() -> Board:
    return Board()


def test_time_starts_at_the_epoch_in_bcd(board: Board) -> None:
    assert board.shown() == [0x20, 0x24, 0x02, 0x28, 0x23, 0x59, 0x50]
    assert board.read(6) == 4  # a Wednesday


def test_time_goes_on_with_virtual_time_over_a_leap_day(board: Board) -> None:
    board.wait(10 * SECOND - 1)
    before = board.shown()
    board.wait(1)

    assert before == [0x20, 0x24, 0x02, 0x28, 0x23, 0x59, 0x59]
    assert board.shown() == [0x20, 0x24, 0x02, 0x29, 0x00, 0x00, 0x00]


def test_binary_mode_shows_plain_numbers_but_for_the_century(board: Board) -> None:
    board.write(REG_B, 0x06)

    assert board.shown() == [0x20, 24, 2, 28, 23, 59, 50]


@pytest.mark.parametrize(
    ("hour", "shown"), [(0, 0x12), (1, 0x01), (11, 0x11), (12, 0x92), (13, 0x81), (23, 0x91)]
)
def test_twelve_hour_mode_marks_the_afternoon(board: Board, hour: int, shown: int) -> None:
    board.set_time(0x20, 0x24, 0x01, 0x01, hour // 10 << 4 | hour % 10, 0, 0)
    board.write(REG_B, 0x00)
    there = board.read(4)
    board.write(4, there)  # and back the same way
    board.write(REG_B, 0x06)

    assert there == shown
    assert board.read(4) == hour


def test_guest_sets_the_time(board: Board) -> None:
    board.set_time(0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x58)
    board.wait(2 * SECOND)

    assert board.shown() == [0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00]


def test_time_stands_while_the_guest_sets_it(board: Board) -> None:
    board.write(REG_B, 0x82)
    board.wait(100 * SECOND)
    shown = board.shown()
    board.write(REG_B, 0x02)
    board.wait(SECOND)

    assert shown[-1] == 0x50
    assert board.shown()[-1] == 0x51


def test_writing_a_running_clock_takes_effect_at_once(board: Board) -> None:
    board.write(2, 0x30)
    board.wait(SECOND)

    assert board.shown()[-2:] == [0x30, 0x51]


def test_first_update_comes_half_a_second_after_the_divider_starts(board: Board) -> None:
    board.wait(SECOND // 3)
    board.write(REG_A, 0x76)
    board.wait(5 * SECOND)
    board.write(REG_A, 0x26)
    board.wait(SECOND // 2 - 1)
    before = board.read(0)
    board.wait(1)

    assert (before, board.read(0)) == (0x50, 0x51)


def test_update_in_progress_is_seen_just_before_the_second_ends(board: Board) -> None:
    seen = []
    for moment in (0, SECOND - 244_001, SECOND - 244_000, SECOND - 1, SECOND):
        board.wait(moment - board.time.value)
        seen.append(board.read(REG_A) >> 7)

    assert seen == [0, 0, 1, 1, 0]


def test_no_update_in_progress_while_time_is_being_set(board: Board) -> None:
    board.write(REG_B, 0x82)
    board.wait(SECOND - 1)

    assert board.read(REG_A) == 0x26


def test_periodic_interrupt_comes_at_its_rate_when_it_is_acknowledged(board: Board) -> None:
    board.write(REG_B, 0x42)  # 1024 Hz
    for _ in range(4):
        board.wait(SECOND // 1024 + 1)
        assert board.read(REG_C) == 0xC0

    assert board.rises == [-(-n * SECOND // 1024) for n in (1, 2, 3, 4)]


def test_unacknowledged_interrupt_holds_the_line_and_arms_nothing(board: Board) -> None:
    board.write(REG_B, 0x42)
    board.wait(SECOND)

    assert board.irq.level
    assert len(board.rises) == 1
    assert board.clock.next_deadline() > 10**18


@pytest.mark.parametrize(("rate", "ticks"), [(1, 128), (2, 256), (3, 4), (6, 32), (15, 16384)])
def test_periodic_rates(board: Board, rate: int, ticks: int) -> None:
    board.write(REG_A, 0x20 | rate)
    board.write(REG_B, 0x42)
    board.wait(SECOND)

    assert board.rises == [-(-ticks * SECOND // 32768)]


def test_alarm_interrupts_when_the_time_matches(board: Board) -> None:
    for address, value in ((5, 0x00), (3, 0x00), (1, 0x05)):
        board.write(address, value)
    board.write(REG_B, 0x22)
    board.wait(60 * SECOND)

    assert board.rises == [15 * SECOND]
    assert board.read(REG_C) == 0x80 | 0x40 | 0x20 | 0x10


def test_alarm_with_wildcards_matches_every_minute(board: Board) -> None:
    for address, value in ((5, 0xC0), (3, 0xFF), (1, 0x20)):
        board.write(address, value)
    board.write(REG_B, 0x22)
    for _ in range(3):
        board.wait(60 * SECOND)
        board.read(REG_C)

    assert board.rises == [30 * SECOND, 90 * SECOND, 150 * SECOND]


def test_alarm_for_an_impossible_time_never_comes(board: Board) -> None:
    board.write(5, 0xFF)
    board.write(3, 0xFF)
    board.write(1, 0x75)
    board.write(REG_B, 0x22)
    board.wait(100_000 * SECOND)

    assert board.rises == []


def test_alarm_follows_a_change_of_the_time(board: Board) -> None:
    for address, value in ((5, 0x12), (3, 0x00), (1, 0x00)):
        board.write(address, value)
    board.write(REG_B, 0x22)
    board.set_time(0x20, 0x24, 0x03, 0x01, 0x11, 0x59, 0x57)
    board.wait(10 * SECOND)

    assert board.rises == [3 * SECOND]


def test_update_ended_interrupts_each_second(board: Board) -> None:
    board.write(REG_B, 0x12)
    for _ in range(3):
        board.wait(SECOND)
        assert board.read(REG_C) & 0x90 == 0x90

    assert board.rises == [SECOND, 2 * SECOND, 3 * SECOND]


def test_setting_the_time_turns_the_update_interrupt_off(board: Board) -> None:
    board.write(REG_B, 0x12)
    board.write(REG_B, 0x92)

    assert board.read(REG_B) == 0x82


def test_flags_are_seen_by_polling_and_cleared_by_reading(board: Board) -> None:
    board.wait(SECOND)

    assert board.read(REG_C) == 0x50  # no interrupt enabled: no IRQF
    assert board.read(REG_C) == 0x00
    assert board.rises == []


def test_enabling_a_pending_flag_interrupts_at_once(board: Board) -> None:
    board.wait(SECOND)
    board.write(REG_B, 0x12)

    assert board.rises == [SECOND]


def test_reading_register_c_drops_the_line(board: Board) -> None:
    board.write(REG_B, 0x12)
    board.wait(SECOND)
    high = board.irq.level
    board.read(REG_C)

    assert (high, board.irq.level) == (True, False)


def test_event_that_is_due_is_seen_before_its_timer_fires(board: Board) -> None:
    board.write(REG_B, 0x12)
    board.time.value = SECOND + 5

    assert board.read(REG_C) & 0x90 == 0x90
    assert board.rises == [SECOND + 5]


def test_memory_keeps_what_is_written_and_index_ignores_the_nmi_bit(board: Board) -> None:
    board.write(0x0F, 0x0A)
    board.write(0x80 | 0x7F, 0x5A)

    assert (board.read(0x8F), board.read(0x7F)) == (0x0A, 0x5A)
    assert board.rtc.read_port(0) == 0xFF


def test_registers_c_and_d_cannot_be_written(board: Board) -> None:
    board.write(REG_C, 0xFF)
    board.write(REG_D, 0x00)

    assert (board.read(REG_C), board.read(REG_D)) == (0x00, 0x80)


@pytest.mark.parametrize(
    ("memory", "above", "base", "extended", "high", "above_units"),
    [
        (8 * MIB, 0, 640, 7 * 1024, 0, 0),
        (256 * MIB, 0, 640, 0xFFFF, 240 * 16, 0),
        (5120 * MIB, 2048 * MIB, 640, 0xFFFF, 3056 * 16, 0x8000),
    ],
)
def test_memory_size_bytes(
    memory: int, above: int, base: int, extended: int, high: int, above_units: int
) -> None:
    board = Board(memory=memory, above_4g=above)

    def number(address: int, length: int) -> int:
        return sum(board.read(address + n) << 8 * n for n in range(length))

    assert number(0x15, 2) == base
    assert number(0x17, 2) == number(0x30, 2) == extended
    assert number(0x34, 2) == high
    assert number(0x5B, 3) == above_units
    assert board.read(0x2E) << 8 | board.read(0x2F) == sum(board.read(n) for n in range(0x10, 0x2E))


def test_reset_turns_interrupts_off_and_keeps_time_and_memory(board: Board) -> None:
    board.write(0x0F, 0x05)
    board.set_time(0x20, 0x30, 0x01, 0x02, 0x03, 0x04, 0x05)
    board.write(REG_B, 0x72)
    board.wait(SECOND)
    board.rtc.reset()

    assert not board.irq.level
    assert board.read(REG_B) == 0x02
    assert board.read(0x0F) == 0x05
    assert board.shown() == [0x20, 0x30, 0x01, 0x02, 0x03, 0x04, 0x06]


def test_restore_keeps_time_interrupts_and_phase(board: Board) -> None:
    board.set_time(0x20, 0x30, 0x01, 0x02, 0x03, 0x04, 0x05)
    board.write(REG_B, 0x12)
    board.wait(SECOND * 3 // 2)
    board.read(REG_C)
    restored = Board(board.time.value)
    restored.rtc.load(board.rtc.save())
    restored.wait(SECOND)

    assert restored.rises == [2 * SECOND]
    assert restored.shown()[-1] == 0x07


@pytest.mark.parametrize("seed", range(20))
def test_any_guest_leaves_a_valid_state_that_a_restore_continues(seed: int) -> None:
    rng = random.Random(seed)
    board, twin = Board(), Board()
    trace: list[list[int]] = [[], []]
    for step in range(400):
        reading, value = rng.random() < 0.5, rng.randrange(256)
        index = rng.choice((*range(14), 0x32, 0x40))
        delta = rng.choice((0, 1, 1_000_000, SECOND // 3, 5 * SECOND))
        if step == 200:
            twin = Board(board.time.value)
            plain = to_plain(board.rtc.save())
            twin.rtc.load(from_plain(RtcState, plain, RtcState.VERSION, "rtc"))
            twin.rises, board.rises = [], []
        for one, seen in zip((board, twin), trace, strict=True):
            one.wait(delta)
            if reading:
                seen.append(one.read(index))
            else:
                one.write(index, value)
        from_plain(RtcState, to_plain(board.rtc.save()), RtcState.VERSION, "rtc")
    assert trace[0] == trace[1]
    assert board.rises == twin.rises
    assert board.rtc.save() == twin.rtc.save()
