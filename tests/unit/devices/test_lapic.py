# SPDX-License-Identifier: BSD-2-Clause
"""What a guest and the CPU see of the local APIC."""

from __future__ import annotations

import random

import pytest

from manager.bus.clock import SECOND, Clock, ManualTime
from manager.bus.lines import Wire
from manager.bus.record import NEVER, from_plain, to_plain
from manager.devices.lapic.bus import ApicBus
from manager.devices.lapic.device import CpuPins, Lapic
from manager.devices.lapic.registers import LapicState
from manager.devices.pic.device import Pic

ID, VERSION, TPR, APR, PPR, EOI = 0x20, 0x30, 0x80, 0x90, 0xA0, 0xB0
LDR, DFR, SVR, ISR, TMR, IRR, ESR = 0xD0, 0xE0, 0xF0, 0x100, 0x180, 0x200, 0x280
ICR_LOW, ICR_HIGH, LVT_TIMER, LINT0, LINT1, LVT_ERROR = 0x300, 0x310, 0x320, 0x350, 0x360, 0x370
INITIAL, CURRENT, DIVIDE = 0x380, 0x390, 0x3E0
MASKED, PERIODIC, TSC_DEADLINE = 0x10000, 0x20000, 0x40000
DIVIDE_BY_1 = 0xB
SELF = 0x40000
PIC_VECTOR = 0x20
ENABLE = 0x800


class Board:
    """A local APIC with a real 8259A on LINT0, its time, and what it does to the CPU."""

    def __init__(self, start: int = 0, *, virtual_wire: bool = True) -> None:
        self.time = ManualTime(start)
        self.clock = Clock(self.time)
        self.nmis = 0
        self.rises: list[int] = []
        self.served: list[int] = []
        self.intr = Wire(self._intr)
        self.lapic = Lapic(
            self.clock,
            CpuPins(self.intr, self._nmi),
            bus=ApicBus(),
            pic_acknowledge=self._pic_acknowledge,
            eoi_broadcast=self.served.append,
            virtual_wire=virtual_wire,
        )
        self.pic = Pic(self.lapic.lint0)
        self.pic.master.write_port(0, 0x11)
        for word in (PIC_VECTOR, 0x04, 0x01):
            self.pic.master.write_port(1, word)

    def _pic_acknowledge(self) -> int:
        return self.pic.acknowledge()

    def _nmi(self) -> None:
        self.nmis += 1

    def _intr(self, level: bool) -> None:
        if level:
            self.rises.append(self.time.value)

    def read(self, register: int) -> int:
        return self.lapic.read_mmio(register, 4)

    def write(self, register: int, value: int) -> None:
        self.lapic.write_mmio(register, 4, value)

    def wait(self, delta: int) -> None:
        self.time.advance(self.clock, delta)

    def take_over(self) -> None:
        """What an APIC-aware guest does first: the 8259A's way masked."""
        self.write(SVR, 0x1FF)
        self.write(LINT0, MASKED)

    def vectors(self, bank: int) -> list[int]:
        """The vectors that are set in ISR, TMR or IRR."""
        words = [self.read(bank + 0x10 * n) for n in range(8)]
        return [vector for vector in range(256) if words[vector >> 5] >> (vector & 31) & 1]

    def service(self) -> int:
        vector = self.lapic.acknowledge()
        self.write(EOI, 0)
        return vector

    def service_for(self, delta: int) -> list[int]:
        """Let time pass, serving each interrupt at once; the moments they came at."""
        moments = []
        end = self.time.value + delta
        while (deadline := self.clock.next_deadline()) <= end:
            self.wait(deadline - self.time.value)
            if self.intr.level:
                self.service()
                moments.append(self.time.value)
        self.wait(end - self.time.value)
        return moments


@pytest.fixture
def board() -> Board:
    board = Board()
    board.take_over()
    return board


# -- virtual wire ---------------------------------------------------------------------------


def test_guest_that_knows_only_the_8259a_gets_its_interrupts() -> None:
    board = Board()
    board.pic.line(4).set(True)

    assert board.intr.level
    assert board.lapic.acknowledge() == PIC_VECTOR + 4
    assert not board.intr.level
    assert board.vectors(ISR) == []


def test_waiting_8259a_request_keeps_intr_high_through_an_acknowledge() -> None:
    board = Board()
    board.pic.line(1).set(True)
    board.lapic.accept(0x41, False)

    assert board.lapic.acknowledge() == 0x41
    assert board.intr.level
    assert board.lapic.acknowledge() == PIC_VECTOR + 1


def test_8259a_request_that_goes_away_takes_intr_with_it() -> None:
    board = Board()
    board.pic.line(4).set(True)
    board.pic.line(4).set(False)

    assert not board.intr.level


def test_masking_lint0_shuts_the_8259a_out_until_it_is_unmasked(board: Board) -> None:
    board.pic.line(4).set(True)
    masked = board.intr.level
    board.write(LINT0, 0x700)

    assert not masked
    assert board.lapic.acknowledge() == PIC_VECTOR + 4


def test_task_priority_does_not_hold_back_the_8259a() -> None:
    board = Board()
    board.lapic.write_cr8(15)
    board.pic.line(4).set(True)

    assert board.lapic.acknowledge() == PIC_VECTOR + 4


def test_hardware_reset_leaves_everything_masked_for_firmware_to_set_up() -> None:
    board = Board(virtual_wire=False)
    board.pic.line(4).set(True)
    at_reset = board.intr.level, board.read(SVR), board.read(LINT0)
    board.write(SVR, 0x1FF)
    board.write(LINT0, 0x8700)

    assert at_reset == (False, 0xFF, MASKED)
    assert board.lapic.acknowledge() == PIC_VECTOR + 4


def test_apic_turned_off_leads_the_pins_straight_to_the_cpu(board: Board) -> None:
    board.lapic.write_base(0xFEE00100)
    board.pic.line(4).set(True)
    board.lapic.lint1.set(True)

    assert board.read(VERSION) == 0xFFFFFFFF
    assert not board.lapic.accept(0x41, False)
    assert board.lapic.acknowledge() == PIC_VECTOR + 4
    assert board.nmis == 1


def test_apic_turned_on_again_is_as_after_reset(board: Board) -> None:
    board.write(TPR, 0x40)
    board.write(LVT_TIMER, 0x31)
    board.write(INITIAL, 1000)
    board.lapic.write_base(0)
    board.lapic.write_base(ENABLE)
    board.wait(SECOND)

    assert (board.read(TPR), board.read(SVR), board.read(LVT_TIMER)) == (0, 0xFF, MASKED)
    assert board.rises == []


def test_base_register_tells_base_boot_cpu_and_enable_and_cannot_be_moved(board: Board) -> None:
    at_reset = board.lapic.read_base()
    board.lapic.write_base(0xFED00000 | ENABLE)

    assert at_reset == 0xFEE00900
    assert board.lapic.read_base() == 0xFEE00900
    board.lapic.write_base(0xFEE00000)
    assert board.lapic.read_base() == 0xFEE00100


# -- requests and priorities ----------------------------------------------------------------


def test_identification(board: Board) -> None:
    assert board.read(ID) == 0
    assert board.read(VERSION) == 0x50014


def test_request_moves_from_irr_to_isr_and_ends_with_eoi(board: Board) -> None:
    board.lapic.accept(0x91, False)
    requested = board.vectors(IRR), board.vectors(ISR), board.intr.level
    vector = board.lapic.acknowledge()
    taken = board.vectors(IRR), board.vectors(ISR), board.intr.level
    board.write(EOI, 0)

    assert requested == ([0x91], [], True)
    assert vector == 0x91
    assert taken == ([], [0x91], False)
    assert board.vectors(ISR) == []


def test_highest_vector_comes_first(board: Board) -> None:
    for vector in (0x31, 0xFE, 0x10, 0x80, 0x81):
        board.lapic.accept(vector, False)

    assert [board.service() for _ in range(5)] == [0xFE, 0x81, 0x80, 0x31, 0x10]
    assert not board.intr.level


def test_only_a_higher_class_interrupts_a_service(board: Board) -> None:
    board.lapic.accept(0x51, False)
    board.lapic.acknowledge()
    board.lapic.accept(0x5F, False)
    same_class = board.intr.level
    board.lapic.accept(0x60, False)
    nested = board.lapic.acknowledge()
    in_service = board.vectors(ISR)
    board.write(EOI, 0)
    after_one_eoi = board.intr.level
    board.write(EOI, 0)

    assert not same_class
    assert (nested, in_service) == (0x60, [0x51, 0x60])
    assert not after_one_eoi
    assert board.lapic.acknowledge() == 0x5F


@pytest.mark.parametrize(("tpr", "passes"), [(0x2F, True), (0x30, False), (0x3F, False)])
def test_task_priority_holds_back_its_class_and_below(board: Board, tpr: int, passes: bool) -> None:
    board.write(TPR, tpr)
    board.lapic.accept(0x35, False)

    assert board.intr.level == passes


def test_raising_task_priority_withdraws_intr_and_lowering_brings_it_back(board: Board) -> None:
    board.lapic.accept(0x35, False)
    board.lapic.write_cr8(3)
    raised = board.intr.level, board.read(TPR)
    board.lapic.write_cr8(2)

    assert raised == (False, 0x30)
    assert board.intr.level
    assert board.lapic.read_cr8() == 2


@pytest.mark.parametrize(
    ("tpr", "served", "ppr"),
    [(0x00, 0x00, 0x00), (0x25, 0x00, 0x25), (0x25, 0x41, 0x40), (0x45, 0x41, 0x45),
     (0x54, 0x41, 0x54)],
)  # fmt: skip
def test_processor_priority(board: Board, tpr: int, served: int, ppr: int) -> None:
    if served:
        board.lapic.accept(served, False)
        board.lapic.acknowledge()
    board.write(TPR, tpr)

    assert board.read(PPR) == ppr


def test_withdrawn_request_gives_the_spurious_vector_without_service(board: Board) -> None:
    board.write(SVR, 0x1EF)

    assert board.lapic.acknowledge() == 0xEF
    assert board.vectors(ISR) == []


def test_eoi_of_a_level_vector_is_broadcast_and_that_of_an_edge_is_not(board: Board) -> None:
    board.lapic.accept(0x61, True)
    board.lapic.accept(0x71, False)
    triggers = board.vectors(TMR)
    order = [board.service(), board.service()]

    assert triggers == [0x61]
    assert order == [0x71, 0x61]
    assert board.served == [0x61]


def test_vector_that_was_level_and_is_now_edge_is_not_broadcast(board: Board) -> None:
    board.lapic.accept(0x61, True)
    board.service()
    board.lapic.accept(0x61, False)
    board.service()

    assert board.served == [0x61]


def test_eoi_without_service_does_nothing(board: Board) -> None:
    board.write(EOI, 0)

    assert board.served == []
    assert not board.intr.level


def test_software_disable_masks_the_lvt_and_holds_what_is_pending(board: Board) -> None:
    board.lapic.accept(0x61, False)
    board.write(SVR, 0xFF)
    refused = board.lapic.accept(0x71, False)
    board.write(LVT_ERROR, 0x33)
    disabled = board.intr.level, board.read(LVT_ERROR), board.read(LINT1)
    board.write(SVR, 0x1FF)

    assert not refused
    assert disabled == (False, MASKED | 0x33, MASKED | 0x400)
    assert board.lapic.acknowledge() == 0x61
    assert board.vectors(IRR) == []


# -- local pins -----------------------------------------------------------------------------


def test_lint1_is_nmi_at_power_on_once_per_edge() -> None:
    board = Board()
    for level in (True, True, False, True):
        board.lapic.lint1.set(level)

    assert board.nmis == 2


def test_masked_lint1_makes_no_nmi(board: Board) -> None:
    board.write(LINT1, MASKED | 0x400)
    board.lapic.lint1.set(True)

    assert board.nmis == 0


def test_lint_pin_as_a_fixed_edge_vector(board: Board) -> None:
    board.write(LINT1, 0x45)
    board.lapic.lint1.set(True)

    assert board.service() == 0x45
    assert not board.intr.level


def test_lint_pin_as_a_fixed_level_vector_requests_until_it_falls(board: Board) -> None:
    board.lapic.lint1.set(True)
    board.write(LINT1, 0x8046)
    in_flight = board.read(LINT1)
    first = board.service()
    again = board.service()
    board.lapic.lint1.set(False)
    board.service()

    assert in_flight == 0xC046
    assert (first, again) == (0x46, 0x46)
    assert not board.intr.level
    assert board.read(LINT1) == 0x8046


# -- inter-processor interrupts -------------------------------------------------------------


@pytest.mark.parametrize(
    ("destination", "command"),
    [(0, SELF), (0, 0x80000), (0, 0), (0xFF, 0), (0xFF, 0x800), (0x82, 0x800), (0, SELF | 0x8000)],
    ids=["self", "all", "id", "broadcast", "logical broadcast", "logical", "level bit"],
)
def test_interrupt_to_oneself(board: Board, destination: int, command: int) -> None:
    board.write(LDR, 0x02000000)
    board.write(ICR_HIGH, destination << 24)
    board.write(ICR_LOW, command | 0x77)

    assert board.read(ICR_LOW) & 0x1000 == 0
    assert board.lapic.acknowledge() == 0x77
    assert board.vectors(TMR) == []


@pytest.mark.parametrize(
    ("destination", "command"),
    [(0, 0xC0000), (1, 0), (0x04, 0x800)],
    ids=["others", "other id", "other logical"],
)
def test_interrupt_to_others_is_not_delivered(board: Board, destination: int, command: int) -> None:
    board.write(LDR, 0x02000000)
    board.write(ICR_HIGH, destination << 24)
    board.write(ICR_LOW, command | 0x77)

    assert not board.intr.level


@pytest.mark.parametrize(
    ("destination", "reached"), [(0x21, True), (0x23, True), (0x22, False), (0x31, False)]
)
def test_cluster_destinations(board: Board, destination: int, reached: bool) -> None:
    board.write(DFR, 0x0FFFFFFF)
    board.write(LDR, 0x21000000)

    assert board.read(DFR) == 0x0FFFFFFF
    assert board.lapic.is_addressed(destination, True) == reached


def test_nmi_to_oneself_and_init_and_startup_that_do_nothing(board: Board) -> None:
    for command in (0x400, 0x500, 0x600, 0x608):
        board.write(ICR_LOW, 0x80000 | command)

    assert board.nmis == 1
    assert not board.intr.level


# -- errors ---------------------------------------------------------------------------------


def test_error_status_shows_errors_only_after_a_write(board: Board) -> None:
    board.write(ICR_LOW, SELF | 0x05)
    before = board.read(ESR)
    board.write(ESR, 0)
    latched = board.read(ESR)
    board.write(ESR, 0)

    assert (before, latched, board.read(ESR)) == (0, 0x20, 0)


@pytest.mark.parametrize("register", [0x00, 0x40, 0x290, 0x2F0, 0x3F0, 0x400, 0xFF0])
def test_reserved_registers_are_errors(board: Board, register: int) -> None:
    board.read(register)
    board.write(ESR, 0)
    by_read = board.read(ESR)
    board.write(register, 1)
    board.write(ESR, 0)

    assert (by_read, board.read(ESR)) == (0x80, 0x80)


@pytest.mark.parametrize("register", [ID, VERSION, APR, PPR, ISR, TMR, IRR, CURRENT, EOI])
def test_registers_of_one_direction_are_no_errors(board: Board, register: int) -> None:
    before = board.read(register)
    board.write(register, 0xFFFFFFFF)
    board.write(ESR, 0)

    assert board.read(register) == before
    assert board.read(ESR) == 0


def test_error_interrupt_comes_once_per_look(board: Board) -> None:
    board.write(LVT_ERROR, 0x3E)
    board.lapic.accept(0x0F, False)
    first = board.service()
    board.lapic.accept(0x0E, False)
    silent = board.intr.level
    board.write(ESR, 0)
    board.lapic.accept(0x0E, False)

    assert first == 0x3E
    assert not silent
    assert board.service() == 0x3E
    assert board.vectors(IRR) == []


def test_error_vector_that_is_itself_illegal_is_just_noted(board: Board) -> None:
    board.write(LVT_ERROR, 0x03)
    board.read(0x40)
    board.write(ESR, 0)

    assert board.read(ESR) == 0xC0
    assert not board.intr.level


# -- the timer ------------------------------------------------------------------------------


def test_one_shot_counts_down_and_interrupts_once(board: Board) -> None:
    board.write(DIVIDE, DIVIDE_BY_1)
    board.write(LVT_TIMER, 0x31)
    board.write(INITIAL, 1000)
    board.wait(400)
    halfway = board.read(CURRENT)
    board.wait(10_000)

    assert halfway == 600
    assert board.rises == [1000]
    assert board.service() == 0x31
    assert (board.read(CURRENT), board.read(INITIAL)) == (0, 1000)


@pytest.mark.parametrize(
    ("configuration", "divider"),
    [(0x0, 2), (0x1, 4), (0x2, 8), (0x3, 16), (0x8, 32), (0x9, 64), (0xA, 128), (0xB, 1)],
)
def test_divider(board: Board, configuration: int, divider: int) -> None:
    board.write(DIVIDE, configuration)
    board.write(LVT_TIMER, 0x31)
    board.write(INITIAL, 100)
    board.wait(10 * divider)
    count = board.read(CURRENT)
    board.wait(SECOND)

    assert board.read(DIVIDE) == configuration
    assert count == 90
    assert board.rises == [100 * divider]


def test_changed_divider_goes_on_from_the_present_count(board: Board) -> None:
    board.write(DIVIDE, DIVIDE_BY_1)
    board.write(LVT_TIMER, 0x31)
    board.write(INITIAL, 1000)
    board.wait(600)
    board.write(DIVIDE, 0x0)
    count = board.read(CURRENT)
    board.wait(SECOND)

    assert count == 400
    assert board.rises == [600 + 800]


def test_periodic_interrupts_each_period_without_drift(board: Board) -> None:
    board.write(DIVIDE, 0x3)
    board.write(LVT_TIMER, PERIODIC | 0x31)
    board.write(INITIAL, 62_500)

    assert board.service_for(SECOND) == [n * 1_000_000 for n in range(1, 1001)]


def test_periods_missed_make_one_interrupt_and_keep_the_phase(board: Board) -> None:
    board.write(DIVIDE, DIVIDE_BY_1)
    board.write(LVT_TIMER, PERIODIC | 0x31)
    board.write(INITIAL, 1000)
    board.time.value = 3300
    board.clock.run_due()

    assert board.service() == 0x31
    assert not board.intr.level
    assert board.read(CURRENT) == 700
    assert board.service_for(1000) == [4000]


def test_masked_timer_counts_but_never_interrupts_for_the_past(board: Board) -> None:
    board.write(DIVIDE, DIVIDE_BY_1)
    board.write(LVT_TIMER, MASKED | PERIODIC | 0x31)
    board.write(INITIAL, 1000)
    board.wait(2300)
    count = board.read(CURRENT)
    board.write(LVT_TIMER, PERIODIC | 0x31)
    unmasked = board.intr.level

    assert count == 700
    assert not unmasked
    assert board.service_for(1000) == [3000]


def test_masked_timer_does_not_wake_an_idle_machine(board: Board) -> None:
    board.write(INITIAL, 1000)

    assert board.clock.next_deadline() == NEVER
    board.write(LVT_TIMER, 0x31)
    assert board.clock.next_deadline() == 2000


def test_initial_count_of_zero_stops_the_timer(board: Board) -> None:
    board.write(LVT_TIMER, PERIODIC | 0x31)
    board.write(INITIAL, 1000)
    board.write(INITIAL, 0)
    board.wait(SECOND)

    assert board.rises == []
    assert board.read(CURRENT) == 0


def test_timer_interrupt_that_waits_is_not_doubled(board: Board) -> None:
    board.write(DIVIDE, DIVIDE_BY_1)
    board.write(LVT_TIMER, PERIODIC | 0x31)
    board.write(INITIAL, 1000)
    board.wait(10_500)

    assert board.rises == [1000]
    assert board.service() == 0x31
    assert not board.intr.level


def test_tsc_deadline_interrupts_when_the_tsc_gets_there(board: Board) -> None:
    board.write(LVT_TIMER, TSC_DEADLINE | 0x32)
    board.lapic.write_tsc_deadline(5000)
    armed = board.lapic.read_tsc_deadline()
    board.wait(9000)

    assert armed == 5000
    assert board.rises == [5000]
    assert board.lapic.read_tsc_deadline() == 0


def test_tsc_deadline_in_the_past_interrupts_at_once(board: Board) -> None:
    board.wait(100)
    board.write(LVT_TIMER, TSC_DEADLINE | 0x32)
    board.lapic.write_tsc_deadline(50)

    assert board.service() == 0x32


def test_tsc_deadline_of_zero_disarms(board: Board) -> None:
    board.write(LVT_TIMER, TSC_DEADLINE | 0x32)
    board.lapic.write_tsc_deadline(5000)
    board.lapic.write_tsc_deadline(0)
    board.wait(SECOND)

    assert board.rises == []


def test_unreachable_tsc_deadline_reads_back(board: Board) -> None:
    board.write(LVT_TIMER, TSC_DEADLINE | 0x32)
    board.lapic.write_tsc_deadline((1 << 64) - 1)
    board.wait(SECOND)

    assert board.rises == []
    assert board.lapic.read_tsc_deadline() == (1 << 64) - 1


def test_tsc_deadline_and_counting_modes_exclude_each_other(board: Board) -> None:
    board.write(LVT_TIMER, 0x31)
    board.lapic.write_tsc_deadline(5000)
    not_in_mode = board.lapic.read_tsc_deadline()
    board.write(INITIAL, 1000)
    board.write(LVT_TIMER, TSC_DEADLINE | 0x31)
    board.write(INITIAL, 1000)
    board.wait(SECOND)

    assert not_in_mode == 0
    assert board.read(CURRENT) == 0
    assert board.rises == []


# -- access widths, reset and restore -------------------------------------------------------


def test_parts_of_registers_can_be_read_but_only_whole_ones_written(board: Board) -> None:
    board.write(LDR, 0x42000000)
    board.lapic.write_mmio(LDR, 1, 0xFF)
    board.lapic.write_mmio(LDR + 4, 4, 0xFFFFFFFF)
    board.lapic.write_mmio(LDR + 2, 4, 0xFFFFFFFF)

    assert board.lapic.read_mmio(LDR + 3, 1) == 0x42
    assert board.lapic.read_mmio(LDR + 2, 2) == 0x4200
    assert board.lapic.read_mmio(LDR + 4, 4) == 0
    assert board.read(LDR) == 0x42000000


def test_reset_drops_requests_and_the_timer_and_brings_virtual_wire_back(board: Board) -> None:
    board.write(LVT_TIMER, PERIODIC | 0x31)
    board.write(INITIAL, 1000)
    board.lapic.accept(0x41, False)
    board.lapic.reset()
    dropped = board.intr.level
    board.wait(SECOND)
    board.pic.line(4).set(True)

    assert not dropped
    assert board.lapic.acknowledge() == PIC_VECTOR + 4
    assert board.vectors(IRR) == []


def test_restore_in_mid_count_goes_on_to_the_same_moment(board: Board) -> None:
    board.write(DIVIDE, 0x1)
    board.write(LVT_TIMER, PERIODIC | 0x31)
    board.write(INITIAL, 1000)
    board.wait(5000)
    board.service()
    restored = Board(board.time.value)
    restored.lapic.load(board.lapic.save())

    assert restored.read(CURRENT) == 750
    assert restored.service_for(10_000) == [8000, 12_000]


def test_restore_drives_intr_and_makes_no_edges(board: Board) -> None:
    board.write(LINT1, 0x400)
    board.lapic.lint1.set(True)
    board.lapic.accept(0x41, True)
    restored = Board()
    restored.lapic.load(board.lapic.save())
    restored.lapic.lint1.set(True)
    restored.lapic.settle()

    assert restored.nmis == 0
    assert restored.service() == 0x41
    assert restored.served == [0x41]


def test_snapshot_is_not_changed_by_what_comes_after(board: Board) -> None:
    board.lapic.accept(0x41, True)
    saved = board.lapic.save()
    before = to_plain(saved)
    board.service()
    board.write(LVT_ERROR, 0x3E)
    board.write(INITIAL, 7)
    after = to_plain(saved)
    board.lapic.load(saved)

    assert before == after == to_plain(board.lapic.save())
    assert board.vectors(IRR) == [0x41]


@pytest.mark.parametrize("seed", range(20))
def test_any_guest_leaves_a_valid_state_that_a_restore_continues(seed: int) -> None:
    rng = random.Random(seed)
    board, twin = Board(), Board()
    trace: list[list[int]] = [[], []]
    for step in range(400):
        action, size = rng.randrange(8), rng.choice((1, 2, 4, 4, 4, 4))
        offset = rng.choice((rng.randrange(0x1000), 0x10 * rng.randrange(0x40)))
        value = rng.choice((rng.getrandbits(32), rng.getrandbits(9), 0x1FF, rng.getrandbits(19)))
        delta = rng.choice((0, 1, 100, 10_000, SECOND))
        if step == 200:
            twin = Board(board.time.value)
            plain = to_plain(board.lapic.save())
            twin.lapic.load(from_plain(LapicState, plain, LapicState.VERSION, "lapic"))
            twin.rises, board.rises = [], []
            twin.nmis = board.nmis = 0
            twin.served, board.served = [], []
        for one, seen in zip((board, twin), trace, strict=True):
            # Time in one stride: a period of a few ns would fire very often.
            one.time.value += delta
            one.clock.run_due()
            if action == 0:
                seen.append(one.lapic.acknowledge() if one.intr.level else -1)
            elif action == 1:
                one.lapic.accept(value & 0xFF, bool(value & 0x100))
            elif action == 2:
                (one.lapic.lint0, one.lapic.lint1)[value & 1].set(bool(value & 2))
            elif action == 3:
                msr = (one.lapic.write_base, one.lapic.write_cr8, one.lapic.write_tsc_deadline)
                msr[value % 3](value | 0x800 if value & 0x30 else value)
            elif action == 4:
                seen.append(one.lapic.read_mmio(offset, size))
            else:
                one.lapic.write_mmio(offset, size, value)
            seen.append(one.intr.level)
        from_plain(LapicState, to_plain(board.lapic.save()), LapicState.VERSION, "lapic")
    assert trace[0] == trace[1]
    assert (board.nmis, board.served) == (twin.nmis, twin.served)
    assert board.lapic.save() == twin.lapic.save()
