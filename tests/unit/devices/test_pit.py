# SPDX-License-Identifier: BSD-2-Clause
"""What a guest sees of the 8254 and of port 61h."""

from __future__ import annotations

import random

import pytest

from manager.bus.clock import SECOND, Clock, ManualTime
from manager.bus.lines import Wire
from manager.bus.record import from_plain, to_plain
from manager.devices.pit.device import FREQUENCY, Pit, PitState


def ns(tick: int) -> int:
    """The first nanosecond of a tick."""
    return -(-tick * SECOND // FREQUENCY)


class Board:
    """A timer, its time, and the moments (in ticks) of the edges on IRQ 0."""

    def __init__(self, start: int = 0) -> None:
        self.time = ManualTime(start)
        self.clock = Clock(self.time)
        self.rises: list[int] = []
        self.falls: list[int] = []
        self.irq = Wire(self._edge)
        self.pit = Pit(self.clock, self.irq)

    def _edge(self, level: bool) -> None:
        (self.rises if level else self.falls).append(self.tick())

    def tick(self) -> int:
        return self.time.value * FREQUENCY // SECOND

    def go_to(self, tick: int) -> None:
        self.time.advance(self.clock, ns(tick) - self.time.value)

    def program(self, counter: int, mode: int, count: int, bcd: int = 0) -> None:
        self.pit.write_port(3, counter << 6 | 0x30 | mode << 1 | bcd)
        self.pit.write_port(counter, count & 0xFF)
        self.pit.write_port(counter, count >> 8)

    def read(self, counter: int) -> int:
        """The count, latched."""
        self.pit.write_port(3, counter << 6)
        return self.pit.read_port(counter) | self.pit.read_port(counter) << 8

    def out2(self) -> bool:
        return bool(self.pit.speaker_port.read_port(0) & 0x20)

    def gate2(self, level: int) -> None:
        self.pit.speaker_port.write_port(0, level)


@pytest.fixture
def board() -> Board:
    return Board()


def test_rate_generator_interrupts_each_period_without_drift(board: Board) -> None:
    board.program(0, 2, 1193)
    board.rises.clear()
    board.time.advance(board.clock, SECOND)

    assert board.rises == [1 + 1193 * n for n in range(1, 1001)]


def test_square_wave_is_high_for_the_longer_half(board: Board) -> None:
    board.program(0, 3, 101)
    board.rises.clear()
    board.go_to(303)

    assert board.falls == [1 + 51, 1 + 51 + 101, 1 + 51 + 202]
    assert board.rises == [1 + 101, 1 + 202]


def test_terminal_count_interrupts_once(board: Board) -> None:
    board.program(0, 0, 500)
    board.go_to(200_000)

    assert board.rises == [501]
    assert board.falls == []


def test_software_strobe_interrupts_once_after_the_strobe(board: Board) -> None:
    board.program(0, 4, 500)
    board.rises.clear()
    board.go_to(200_000)

    assert board.rises == [502]


def test_new_one_shot_count_restarts_the_strobe(board: Board) -> None:
    board.program(0, 4, 500)
    board.rises.clear()
    board.go_to(300)
    board.pit.write_port(0, 500 & 0xFF)
    board.pit.write_port(0, 500 >> 8)
    board.go_to(5000)

    assert board.rises == [802]


@pytest.mark.parametrize("mode", [1, 5])
def test_hardware_triggered_modes_never_start_on_counter_0(board: Board, mode: int) -> None:
    board.program(0, mode, 100)
    board.rises.clear()
    board.go_to(100_000)

    assert board.rises == []


def test_count_of_zero_is_the_longest_period(board: Board) -> None:
    board.program(0, 2, 0)
    board.rises.clear()
    board.go_to(2 * 65536 + 10)

    assert board.rises == [1 + 65536, 1 + 2 * 65536]


def test_new_count_of_a_running_rate_generator_waits_for_the_period_to_end(board: Board) -> None:
    board.program(0, 2, 1000)
    board.rises.clear()
    board.go_to(300)
    board.pit.write_port(0, 200)
    board.pit.write_port(0, 0)
    board.go_to(1450)

    assert board.rises == [1001, 1201, 1401]


def test_new_count_of_a_running_square_wave_waits_for_the_half_to_end(board: Board) -> None:
    board.program(0, 3, 1000)
    board.rises.clear()
    board.go_to(300)
    board.pit.write_port(0, 200)
    board.pit.write_port(0, 0)
    board.go_to(850)

    assert board.falls == [501, 701]
    assert board.rises == [601, 801]


def test_control_word_stops_the_interrupts(board: Board) -> None:
    board.program(0, 2, 100)
    board.go_to(550)
    board.pit.write_port(3, 0x30)
    board.rises.clear()
    board.go_to(5000)

    assert board.rises == []


def test_late_timer_fires_once_and_keeps_its_phase(board: Board) -> None:
    board.program(0, 2, 1000)
    board.rises.clear()
    board.time.value = ns(7300)  # several periods without the chance to fire
    board.clock.run_due()
    board.go_to(9500)

    assert board.rises == [7300, 8001, 9001]


def test_edge_that_is_due_comes_before_a_reprogramming(board: Board) -> None:
    board.program(0, 2, 1000)
    board.rises.clear()
    board.time.value = ns(1005)
    board.pit.write_port(3, 0x30)

    assert board.rises == [1005]


def test_rate_generator_counts_down_and_reloads(board: Board) -> None:
    board.program(2, 2, 100)
    board.gate2(1)
    counts = []
    for tick in (1, 2, 100, 101, 150):
        board.go_to(tick)
        counts.append(board.read(2))

    assert counts == [100, 99, 1, 100, 51]


def test_square_wave_counts_down_by_two_twice(board: Board) -> None:
    board.program(0, 3, 100)
    counts = []
    for tick in (1, 2, 50, 51, 52, 101):
        board.go_to(tick)
        counts.append(board.read(0))

    assert counts == [100, 98, 2, 100, 98, 100]


def test_terminal_count_goes_on_past_zero(board: Board) -> None:
    board.program(0, 0, 10)
    board.go_to(1 + 12)

    assert board.read(0) == 0xFFFE


def test_bcd_counts_decimal_digits(board: Board) -> None:
    board.program(0, 0, 0x1000, bcd=1)
    board.go_to(2)
    running = board.read(0)
    board.go_to(1 + 1001)

    assert running == 0x0999
    assert board.rises == [1001]
    assert board.read(0) == 0x9999


def test_latched_count_holds_while_the_counter_runs(board: Board) -> None:
    board.program(0, 2, 0x1234)
    board.go_to(1)
    board.pit.write_port(3, 0x00)
    board.go_to(0x500)
    board.pit.write_port(3, 0x00)  # ignored: one is held
    low = board.pit.read_port(0)
    board.go_to(0x600)

    assert board.pit.read_port(0) << 8 | low == 0x1234
    assert board.pit.read_port(0) == (0x1234 - 0x5FF) & 0xFF


def test_lsb_only_access_reads_one_byte_and_msb_only_the_other(board: Board) -> None:
    board.pit.write_port(3, 0x14)
    board.pit.write_port(0, 0x80)
    board.go_to(1)
    low = [board.pit.read_port(0), board.pit.read_port(0)]
    board.pit.write_port(3, 0x24)
    board.pit.write_port(0, 0x12)
    board.go_to(2)

    assert low == [0x80, 0x80]
    assert board.pit.read_port(0) == 0x12


def test_read_back_gives_status_before_count(board: Board) -> None:
    board.program(0, 2, 0x1234)
    board.go_to(1)
    board.pit.write_port(3, 0xC2)

    read = [board.pit.read_port(0) for _ in range(3)]
    assert read == [0x80 | 0x30 | 0x04, 0x34, 0x12]


def test_status_tells_that_the_count_is_not_loaded(board: Board) -> None:
    board.pit.write_port(3, 0x30)
    board.pit.write_port(3, 0xE2)
    before = board.pit.read_port(0)
    board.pit.write_port(0, 0x10)
    board.pit.write_port(0, 0x00)
    board.go_to(1)
    board.pit.write_port(3, 0xE2)
    running = board.pit.read_port(0)
    board.go_to(20)
    board.pit.write_port(3, 0xE2)

    assert before == 0x40 | 0x30
    assert running == 0x30
    assert board.pit.read_port(0) == 0x80 | 0x30


def test_calibration_by_counter_2_and_port_61h(board: Board) -> None:
    board.gate2(1)
    board.program(2, 0, 11932)
    before = board.out2()
    board.go_to(11932)
    just_before = board.out2()
    board.go_to(11933)

    assert (before, just_before, board.out2()) == (False, False, True)


def test_gate_pauses_a_terminal_count(board: Board) -> None:
    board.gate2(1)
    board.program(2, 0, 1000)
    board.go_to(101)
    board.gate2(0)
    board.go_to(5000)
    paused = board.read(2)
    board.gate2(1)
    board.go_to(5899)
    before = board.out2()
    board.go_to(5900)

    assert paused == 900
    assert (before, board.out2()) == (False, True)


def test_gate_triggers_a_one_shot(board: Board) -> None:
    board.program(2, 1, 100)
    idle = board.out2()
    board.go_to(50)
    board.gate2(1)
    board.go_to(60)
    running = board.out2()
    board.go_to(151)

    assert (idle, running, board.out2()) == (True, False, True)


def test_gate_restarts_a_one_shot(board: Board) -> None:
    board.program(2, 1, 100)
    board.gate2(1)
    board.go_to(80)
    board.gate2(0)
    board.gate2(1)
    board.go_to(150)
    extended = board.out2()
    board.go_to(181)

    assert (extended, board.out2()) == (False, True)


def test_gate_triggers_a_hardware_strobe(board: Board) -> None:
    board.program(2, 5, 100)
    board.gate2(1)
    outputs = []
    for tick in (100, 101, 102):
        board.go_to(tick)
        outputs.append(board.out2())

    assert outputs == [True, False, True]


def test_closed_gate_holds_a_square_wave_high_and_opening_restarts_it(board: Board) -> None:
    board.gate2(1)
    board.program(2, 3, 100)
    board.go_to(60)
    low = board.out2()
    board.gate2(0)
    held = board.out2()
    board.go_to(1000)
    board.gate2(1)
    board.go_to(1040)
    high = board.out2()
    board.go_to(1051)

    assert (low, held, high, board.out2()) == (False, True, True, False)


def test_port_61h_keeps_its_control_bits_and_toggles_refresh(board: Board) -> None:
    board.pit.speaker_port.write_port(0, 0xFF)
    first = board.pit.speaker_port.read_port(0)
    board.go_to(18)
    second = board.pit.speaker_port.read_port(0)

    assert first & 0xCF == 0x0F
    assert (first ^ second) & 0x10 == 0x10


def test_control_register_cannot_be_read(board: Board) -> None:
    assert board.pit.read_port(3) == 0xFF


def test_reset_stops_everything(board: Board) -> None:
    board.program(0, 3, 100)
    board.go_to(130)
    board.pit.reset()
    board.rises.clear()
    board.go_to(1000)

    assert not board.irq.level
    assert board.rises == []


def test_restore_in_the_middle_of_a_period_continues_it(board: Board) -> None:
    board.program(0, 2, 1000)
    board.go_to(1500)
    restored = Board(board.time.value)
    restored.pit.load(board.pit.save())
    restored.rises.clear()
    restored.go_to(3500)

    assert restored.rises == [2001, 3001]


@pytest.mark.parametrize("seed", range(20))
def test_any_guest_leaves_a_valid_state_that_a_restore_continues(seed: int) -> None:
    rng = random.Random(seed)
    board, twin = Board(), Board()
    trace: list[list[int]] = [[], []]
    for step in range(400):
        action, offset, value = rng.randrange(6), rng.randrange(4), rng.randrange(256)
        delta = rng.choice((0, 1, 800, 10_000, 300_000))
        if step == 200:
            twin = Board(board.time.value)
            plain = to_plain(board.pit.save())
            twin.pit.load(from_plain(PitState, plain, PitState.VERSION, "pit"))
            twin.rises, board.rises = [], []
        for one, seen in zip((board, twin), trace, strict=True):
            one.time.advance(one.clock, delta)
            if action < 2:
                seen.append(one.pit.read_port(offset))
            elif action < 4:
                one.pit.write_port(offset, value)
            elif action == 4:
                seen.append(one.pit.speaker_port.read_port(0))
            else:
                one.pit.speaker_port.write_port(0, value)
        from_plain(PitState, to_plain(board.pit.save()), PitState.VERSION, "pit")
    assert trace[0] == trace[1]
    assert board.rises == twin.rises
    assert board.pit.save() == twin.pit.save()
