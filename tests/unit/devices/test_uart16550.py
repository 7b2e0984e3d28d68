# SPDX-License-Identifier: BSD-2-Clause
"""The 16550A as its guest, its channel and a snapshot see it."""

from __future__ import annotations

import random
from collections import deque

import pytest

from manager.bus.clock import Clock, ManualTime
from manager.bus.record import NEVER, from_plain, to_plain
from manager.devices.uart import registers as reg
from manager.devices.uart.pace import BAUD, HOST, Pace
from manager.devices.uart.uart16550 import INSTANT, Uart16550, Uart16550State

FOUR_CHARACTERS = 4 * 10 * 1_000_000_000 // 115_200
"""8N1 at 115200 baud, in ns."""
FIFO_ON = reg.FCR_ENABLE
TRIGGER_8 = reg.FCR_ENABLE | 0x80


class Peer:
    """The far end of the wire."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.waiting: deque[int] = deque()

    def transmit(self, byte: int) -> None:
        self.sent.append(byte)

    def receive(self) -> int:
        return self.waiting.popleft() if self.waiting else -1


class Pin:
    """Keeps the level and every rising edge."""

    def __init__(self) -> None:
        self.level = False
        self.edges = 0

    def set(self, level: bool) -> None:
        self.edges += level and not self.level
        self.level = level


class Bench:
    """A uart on a bench."""

    def __init__(self, now: int = 0, pace: Pace = INSTANT) -> None:
        self.pace = pace
        self.time = ManualTime(now)
        self.clock = Clock(self.time)
        self.pin = Pin()
        self.peer = Peer()
        self.uart = Uart16550(self.pin, self.peer, self.clock, pace)

    def read(self, offset: int) -> int:
        return self.uart.read(offset)

    def write(self, offset: int, value: int) -> None:
        self.uart.write(offset, value)

    def host_sends(self, data: bytes) -> None:
        self.peer.waiting.extend(data)
        self.uart.input_ready()

    def read_all(self) -> bytes:
        got = bytearray()
        while self.read(reg.LSR) & reg.LSR_DR:
            got.append(self.read(reg.RBR))
        return bytes(got)

    def cause(self) -> int:
        return self.read(reg.IIR) & 0x0F

    def advance(self, delta: int) -> None:
        self.time.advance(self.clock, delta)

    def restored(self) -> Bench:
        """A fresh uart with this one's state, at the same time, after a trip through plain form."""
        plain = to_plain(self.uart.save())
        state = from_plain(Uart16550State, plain, Uart16550State.VERSION, "lpc.com1")
        other = Bench(self.time.value, self.pace)
        other.pin.level = self.pin.level  # as the interrupt controller's record has it
        other.uart.load(state)
        return other


@pytest.fixture
def bench() -> Bench:
    """At 115200 8N1."""
    made = Bench()
    made.write(reg.LCR, reg.LCR_DLAB)
    made.write(reg.DLL, 1)
    made.write(reg.LCR, 0x03)
    return made


def test_after_power_on_the_transmitter_is_empty_and_the_peer_is_ready() -> None:
    uart = Uart16550(Pin(), Peer(), Clock(ManualTime()))

    registers = [uart.read(offset) for offset in range(8)]

    assert registers == [0, 0, reg.IIR_NONE, 0, 0, reg.LSR_THRE | reg.LSR_TEMT, 0xB0, 0]


def test_a_byte_written_to_thr_is_sent_at_once(bench: Bench) -> None:
    for byte in b"hello":
        bench.write(reg.THR, byte)

    assert bench.peer.sent == b"hello"
    assert bench.read(reg.LSR) == reg.LSR_THRE | reg.LSR_TEMT


def test_dlab_turns_the_first_two_registers_into_the_divisor_latch(bench: Bench) -> None:
    bench.write(reg.IER, reg.IER_ERBFI)
    bench.write(reg.LCR, reg.LCR_DLAB | 0x03)
    bench.write(reg.DLL, 0x34)
    bench.write(reg.DLM, 0x12)
    latch = bench.read(reg.DLL), bench.read(reg.DLM)
    bench.write(reg.LCR, 0x03)

    assert latch == (0x34, 0x12)
    assert bench.read(reg.IER) == reg.IER_ERBFI
    assert bench.peer.sent == b""


def test_scratch_lcr_and_reserved_bits_read_back(bench: Bench) -> None:
    for offset in (reg.SCR, reg.LCR, reg.MCR, reg.IER):
        bench.write(offset, 0x7F)

    assert bench.read(reg.SCR) == 0x7F
    assert bench.read(reg.LCR) == 0x7F
    assert bench.read(reg.MCR) == 0x1F
    assert bench.read(reg.IER) == 0x0F


def test_iir_tells_a_16550a_only_while_the_fifos_are_on(bench: Bench) -> None:
    off = bench.read(reg.IIR)
    bench.write(reg.FCR, FIFO_ON)
    on = bench.read(reg.IIR)

    assert (off, on) == (0x01, 0xC1)


def test_an_empty_rbr_reads_as_zero(bench: Bench) -> None:
    assert bench.read(reg.RBR) == 0


def test_writing_lsr_and_msr_changes_nothing(bench: Bench) -> None:
    before = bench.uart.save()

    bench.write(reg.LSR, 0xFF)
    bench.write(reg.MSR, 0xFF)

    assert bench.uart.state == before


# Reception


def test_without_fifos_the_host_is_held_back_to_one_character(bench: Bench) -> None:
    bench.host_sends(b"abc")

    assert bytes(bench.peer.waiting) == b"bc"
    assert bench.read_all() == b"abc"


def test_a_full_fifo_holds_the_host_back_and_loses_nothing(bench: Bench) -> None:
    text = bytes(range(100))
    bench.write(reg.FCR, FIFO_ON)

    bench.host_sends(text)

    assert len(bench.peer.waiting) == 100 - 16
    assert not bench.read(reg.LSR) & reg.LSR_OE
    assert bench.read_all() == text


def test_resetting_the_receiver_drops_its_content_and_lets_more_in(bench: Bench) -> None:
    bench.write(reg.FCR, FIFO_ON)
    bench.host_sends(bytes(20))

    bench.write(reg.FCR, FIFO_ON | reg.FCR_RESET_RECEIVER)

    assert len(bench.uart.state.received) == 4
    assert bench.uart.state.fcr == FIFO_ON


@pytest.mark.parametrize(("before", "after"), [(0, FIFO_ON), (FIFO_ON, 0)])
def test_switching_the_fifos_drops_what_was_received(bench: Bench, before: int, after: int) -> None:
    bench.write(reg.FCR, before)
    bench.host_sends(b"x")

    bench.write(reg.FCR, after)

    assert not bench.read(reg.LSR) & reg.LSR_DR


def test_fcr_bits_count_only_together_with_the_enable_bit(bench: Bench) -> None:
    bench.host_sends(b"x")

    bench.write(reg.FCR, reg.FCR_RESET_RECEIVER | reg.FCR_TRIGGER)

    assert bench.read_all() == b"x"
    assert bench.uart.state.fcr == 0


def test_power_on_reset_lets_waiting_input_in(bench: Bench) -> None:
    bench.host_sends(b"ab")
    bench.write(reg.IER, 0x0F)

    bench.uart.reset()

    assert not bench.pin.level
    assert bench.read_all() == b"b"


# Received data and time-out interrupts


def test_without_fifos_every_character_interrupts_until_it_is_read(bench: Bench) -> None:
    bench.write(reg.IER, reg.IER_ERBFI)
    bench.host_sends(b"x")

    assert bench.pin.level
    assert bench.cause() == reg.IIR_RECEIVED_DATA
    bench.read(reg.RBR)
    assert not bench.pin.level
    assert bench.cause() == reg.IIR_NONE


@pytest.mark.parametrize(("bits", "trigger"), [(0x00, 1), (0x40, 4), (0x80, 8), (0xC0, 14)])
def test_the_fifo_interrupts_at_its_trigger_level(bench: Bench, bits: int, trigger: int) -> None:
    bench.write(reg.FCR, FIFO_ON | bits)
    bench.write(reg.IER, reg.IER_ERBFI)

    bench.host_sends(bytes(trigger - 1))
    below = bench.pin.level
    bench.host_sends(b"x")

    assert not below
    assert bench.pin.level
    assert bench.cause() == reg.IIR_RECEIVED_DATA
    bench.read(reg.RBR)
    assert not bench.pin.level


def test_characters_below_the_trigger_time_out_after_four_character_times(bench: Bench) -> None:
    bench.write(reg.FCR, TRIGGER_8)
    bench.write(reg.IER, reg.IER_ERBFI)
    bench.host_sends(b"ab")

    bench.advance(FOUR_CHARACTERS - 1)
    early = bench.cause()
    bench.advance(1)

    assert early == reg.IIR_NONE
    assert bench.pin.level
    assert bench.cause() == reg.IIR_TIMEOUT
    bench.read(reg.RBR)
    assert not bench.pin.level


def test_reading_one_character_starts_the_time_out_again_for_the_rest(bench: Bench) -> None:
    bench.write(reg.FCR, TRIGGER_8)
    bench.write(reg.IER, reg.IER_ERBFI)
    bench.host_sends(b"ab")
    bench.advance(FOUR_CHARACTERS)

    bench.read(reg.RBR)
    bench.advance(FOUR_CHARACTERS - 1)
    early = bench.pin.level
    bench.advance(1)

    assert not early
    assert bench.cause() == reg.IIR_TIMEOUT


def test_a_new_character_puts_the_time_out_off(bench: Bench) -> None:
    bench.write(reg.FCR, TRIGGER_8)
    bench.write(reg.IER, reg.IER_ERBFI)
    bench.host_sends(b"a")
    bench.advance(FOUR_CHARACTERS - 1)

    bench.host_sends(b"b")
    bench.advance(FOUR_CHARACTERS - 1)

    assert not bench.pin.level


def test_a_pending_time_out_is_not_timed_again_by_a_new_character(bench: Bench) -> None:
    bench.write(reg.FCR, TRIGGER_8)
    bench.write(reg.IER, reg.IER_ERBFI)
    bench.host_sends(b"a")
    bench.advance(FOUR_CHARACTERS)

    bench.host_sends(b"b")

    assert bench.clock.next_deadline() == NEVER
    assert bench.cause() == reg.IIR_TIMEOUT


def test_a_time_out_that_passed_before_the_interrupt_was_enabled_shows_then(bench: Bench) -> None:
    bench.write(reg.FCR, TRIGGER_8)
    bench.host_sends(b"a")
    bench.advance(10 * FOUR_CHARACTERS)

    bench.write(reg.IER, reg.IER_ERBFI)
    bench.advance(0)

    assert bench.cause() == reg.IIR_TIMEOUT


def test_no_deadline_is_set_when_no_interrupt_would_follow(bench: Bench) -> None:
    bench.write(reg.FCR, TRIGGER_8)
    bench.host_sends(b"a")
    disabled = bench.clock.next_deadline()
    bench.write(reg.IER, reg.IER_ERBFI)
    bench.host_sends(bytes(7))

    assert disabled == NEVER
    assert bench.clock.next_deadline() == NEVER


@pytest.mark.parametrize(
    ("lcr", "divisor", "expected"),
    [
        (0x03, 1, 347_222),  # 8N1: 10 bits
        (0x03, 0, 347_222),
        (0x03, 12, 4_166_666),  # 9600 baud
        (0x1F, 1, 416_666),  # 8E2: 12 bits
        (0x00, 1, 243_055),  # 5N1: 7 bits
        (0x04, 1, 260_416),  # 5N1.5: 7.5 bits
        (0x03, 0xFFFF, 1_000_000_000),
    ],
)
def test_four_characters_last_as_frame_and_divisor_say(
    lcr: int, divisor: int, expected: int
) -> None:
    assert Pace().characters(4, lcr, divisor) == expected


# Pace

CHARACTER = 86_805
"""8N1 at 115200 baud, in ns."""


@pytest.fixture
def slow() -> Bench:
    """A line that runs at its divisor's pace: 115200 8N1."""
    made = Bench(pace=BAUD)
    made.write(reg.LCR, reg.LCR_DLAB)
    made.write(reg.DLL, 1)
    made.write(reg.LCR, 0x03)
    return made


def test_at_baud_pace_a_character_is_sent_after_its_time(slow: Bench) -> None:
    slow.write(reg.THR, ord("a"))
    slow.advance(CHARACTER - 1)
    early = bytes(slow.peer.sent), slow.read(reg.LSR)
    slow.advance(1)

    assert early == (b"", reg.LSR_THRE)
    assert slow.peer.sent == b"a"
    assert slow.read(reg.LSR) == reg.LSR_THRE | reg.LSR_TEMT


def test_at_baud_pace_thr_is_full_while_another_character_is_out(slow: Bench) -> None:
    slow.write(reg.IER, reg.IER_ETBEI)
    slow.cause()
    slow.write(reg.THR, ord("a"))
    slow.cause()
    slow.write(reg.THR, ord("b"))

    assert slow.read(reg.LSR) == 0
    assert not slow.pin.level
    slow.advance(CHARACTER)
    assert slow.read(reg.LSR) == reg.LSR_THRE
    assert slow.cause() == reg.IIR_THRE


def test_at_baud_pace_the_fifo_takes_sixteen_and_loses_nothing(slow: Bench) -> None:
    slow.write(reg.FCR, FIFO_ON)
    for byte in range(17):  # one goes straight to the shift register
        slow.write(reg.THR, byte)
    slow.advance(17 * CHARACTER)

    assert slow.peer.sent == bytes(range(17))


def test_at_baud_pace_input_comes_a_character_at_a_time(slow: Bench) -> None:
    slow.write(reg.FCR, FIFO_ON)
    slow.host_sends(b"abc")

    assert slow.read_all() == b"a"
    slow.advance(CHARACTER)
    assert slow.read_all() == b"b"
    slow.advance(CHARACTER)
    assert slow.read_all() == b"c"


def test_a_character_on_the_line_goes_on_after_a_restore(slow: Bench) -> None:
    slow.write(reg.THR, ord("a"))
    slow.write(reg.THR, ord("b"))
    slow.advance(CHARACTER // 2)

    other = slow.restored()
    other.advance(CHARACTER // 2 + 1)
    first = bytes(other.peer.sent)
    other.advance(CHARACTER)

    assert first == b"a"
    assert other.peer.sent == b"ab"


def test_the_hosts_pace_leaves_a_driver_time_between_fifofuls() -> None:
    bench = Bench(pace=HOST)
    bench.write(reg.FCR, FIFO_ON)
    bench.host_sends(bytes(range(40)))

    got = [bench.read_all()]
    bench.advance(16 * HOST.host_character)
    got.append(bench.read_all())
    bench.advance(16 * HOST.host_character)
    got.append(bench.read_all())

    assert [len(part) for part in got] == [16, 16, 8]
    assert b"".join(got) == bytes(range(40))


# THR empty interrupt


def test_enabling_the_thr_interrupt_raises_it_and_reading_iir_clears_it(bench: Bench) -> None:
    bench.write(reg.IER, reg.IER_ETBEI)

    assert bench.pin.level
    assert bench.cause() == reg.IIR_THRE
    assert not bench.pin.level
    assert bench.cause() == reg.IIR_NONE


def test_each_byte_sent_raises_the_thr_interrupt_again(bench: Bench) -> None:
    bench.write(reg.IER, reg.IER_ETBEI)
    bench.read(reg.IIR)

    bench.write(reg.THR, 0x41)

    assert bench.pin.edges == 2
    assert bench.cause() == reg.IIR_THRE


def test_writing_ier_again_without_an_edge_does_not_raise_the_thr_interrupt(bench: Bench) -> None:
    bench.write(reg.IER, reg.IER_ETBEI)
    bench.read(reg.IIR)

    bench.write(reg.IER, reg.IER_ETBEI | reg.IER_ERBFI)

    assert not bench.pin.level


def test_reading_iir_for_another_reason_keeps_the_thr_interrupt(bench: Bench) -> None:
    bench.write(reg.IER, reg.IER_ETBEI | reg.IER_ERBFI)
    bench.host_sends(b"x")

    first = bench.cause()
    bench.read(reg.RBR)

    assert first == reg.IIR_RECEIVED_DATA
    assert bench.pin.level
    assert bench.cause() == reg.IIR_THRE


def test_a_pending_thr_interrupt_survives_a_restore(bench: Bench) -> None:
    bench.write(reg.IER, reg.IER_ETBEI)

    other = bench.restored()

    assert other.pin.level
    assert other.pin.edges == 0
    assert other.cause() == reg.IIR_THRE
    assert other.cause() == reg.IIR_NONE


def test_an_acknowledged_thr_interrupt_stays_acknowledged_over_a_restore(bench: Bench) -> None:
    bench.write(reg.IER, reg.IER_ETBEI)
    bench.read(reg.IIR)

    other = bench.restored()

    assert not other.pin.level
    assert other.cause() == reg.IIR_NONE


# Line status, breaks, modem status


def test_interrupts_are_reported_by_priority(bench: Bench) -> None:
    bench.write(reg.IER, 0x0F)
    bench.write(reg.MCR, reg.MCR_LOOP)  # CTS, DSR, DCD fall
    bench.write(reg.THR, 1)
    bench.write(reg.THR, 2)  # overrun

    causes = [bench.cause()]
    bench.read(reg.LSR)
    causes.append(bench.cause())
    bench.read(reg.RBR)
    causes.append(bench.cause())
    causes.append(bench.cause())
    bench.read(reg.MSR)
    causes.append(bench.cause())

    assert causes == [
        reg.IIR_LINE_STATUS,
        reg.IIR_RECEIVED_DATA,
        reg.IIR_THRE,
        reg.IIR_MODEM_STATUS,
        reg.IIR_NONE,
    ]
    assert not bench.pin.level


def test_a_break_is_a_zero_with_bi_that_lsr_shows_once(bench: Bench) -> None:
    bench.write(reg.IER, reg.IER_ELSI)

    bench.uart.receive_break()
    raised = bench.pin.level
    first, second = bench.read(reg.LSR), bench.read(reg.LSR)

    assert raised
    assert first & (reg.LSR_BI | reg.LSR_DR) == reg.LSR_BI | reg.LSR_DR
    assert second & (reg.LSR_BI | reg.LSR_DR) == reg.LSR_DR
    assert not bench.pin.level
    assert bench.read_all() == b"\0"


def test_in_the_fifo_a_break_shows_when_its_character_is_next(bench: Bench) -> None:
    bench.write(reg.FCR, FIFO_ON)
    bench.host_sends(b"a")
    bench.uart.receive_break()
    bench.host_sends(b"b")

    ahead = bench.read(reg.LSR)
    bench.read(reg.RBR)
    at_head = bench.read(reg.LSR)
    bench.read(reg.RBR)
    behind = bench.read(reg.LSR)

    assert ahead & (reg.LSR_BI | reg.LSR_FIFO_ERROR) == reg.LSR_FIFO_ERROR
    assert at_head & (reg.LSR_BI | reg.LSR_FIFO_ERROR) == reg.LSR_BI | reg.LSR_FIFO_ERROR
    assert not behind & (reg.LSR_BI | reg.LSR_FIFO_ERROR)
    assert bench.read(reg.RBR) == ord("b")


def test_a_break_waits_for_room_like_any_character(bench: Bench) -> None:
    bench.host_sends(b"a")
    bench.uart.receive_break()
    before = bench.read(reg.LSR)

    bench.read(reg.RBR)

    assert not before & reg.LSR_BI
    assert bench.read(reg.LSR) & reg.LSR_BI


def test_loopback_connects_the_modem_outputs_to_the_inputs(bench: Bench) -> None:
    seen = []
    for mcr in (reg.MCR_RTS, reg.MCR_DTR, reg.MCR_OUT1, reg.MCR_OUT2):
        bench.write(reg.MCR, reg.MCR_LOOP | mcr)
        seen.append(bench.read(reg.MSR) & 0xF0)

    assert seen == [reg.MSR_CTS, reg.MSR_DSR, reg.MSR_RI, reg.MSR_DCD]


def test_modem_deltas_are_set_by_changes_and_cleared_by_reading(bench: Bench) -> None:
    bench.write(reg.IER, reg.IER_EDSSI)
    bench.write(reg.MCR, reg.MCR_LOOP | reg.MCR_DTR)

    raised = bench.pin.level
    first, second = bench.read(reg.MSR), bench.read(reg.MSR)

    assert raised
    assert first == reg.MSR_DSR | 0x09  # DCTS, DDCD
    assert second == reg.MSR_DSR
    assert not bench.pin.level


def test_teri_marks_the_end_of_a_ring_only(bench: Bench) -> None:
    bench.write(reg.MCR, reg.MCR_LOOP)
    bench.read(reg.MSR)

    bench.write(reg.MCR, reg.MCR_LOOP | reg.MCR_OUT1)
    begin = bench.read(reg.MSR)
    bench.write(reg.MCR, reg.MCR_LOOP)
    end = bench.read(reg.MSR)

    assert begin == reg.MSR_RI
    assert end == 0x04


def test_loopback_returns_what_is_sent_and_leaves_the_wire_alone(bench: Bench) -> None:
    bench.write(reg.FCR, FIFO_ON)
    bench.write(reg.MCR, reg.MCR_LOOP)
    bench.host_sends(b"host")

    for byte in b"loop":
        bench.write(reg.THR, byte)
    looped = bench.read_all()
    bench.write(reg.MCR, 0)

    assert looped == b"loop"
    assert bench.peer.sent == b""
    assert bench.read_all() == b"host"


def test_a_looped_overrun_keeps_a_full_fifo_but_replaces_a_single_character(bench: Bench) -> None:
    bench.write(reg.MCR, reg.MCR_LOOP)
    bench.write(reg.THR, 1)
    bench.write(reg.THR, 2)
    single = bench.read(reg.LSR) & reg.LSR_OE, bench.read(reg.RBR)
    bench.write(reg.FCR, FIFO_ON)
    for byte in range(17):
        bench.write(reg.THR, byte)
    overrun, again = bench.read(reg.LSR), bench.read(reg.LSR)

    assert single == (reg.LSR_OE, 2)
    assert overrun & reg.LSR_OE
    assert not again & reg.LSR_OE
    assert bench.read_all() == bytes(range(16))


def test_set_break_in_loopback_is_received_as_a_break(bench: Bench) -> None:
    bench.write(reg.MCR, reg.MCR_LOOP)

    bench.write(reg.LCR, 0x03 | reg.LCR_BREAK)

    assert bench.read(reg.LSR) & reg.LSR_BI


# Snapshots


def test_a_time_out_under_way_comes_at_the_same_moment_after_a_restore(bench: Bench) -> None:
    bench.write(reg.FCR, TRIGGER_8)
    bench.write(reg.IER, reg.IER_ERBFI)
    bench.host_sends(b"ab")
    bench.advance(1000)

    other = bench.restored()
    other.advance(FOUR_CHARACTERS - 1001)
    early = other.pin.level
    other.advance(1)

    assert not early
    assert other.cause() == reg.IIR_TIMEOUT
    assert other.read_all() == b"ab"


def test_loading_an_idle_state_into_a_busy_uart_lowers_its_line_and_timer(bench: Bench) -> None:
    idle = bench.uart.save()
    bench.write(reg.FCR, TRIGGER_8)
    bench.write(reg.IER, reg.IER_ERBFI | reg.IER_ETBEI)
    bench.host_sends(b"a")

    bench.uart.load(idle)

    assert not bench.pin.level
    assert bench.clock.next_deadline() == NEVER
    assert bench.uart.state == idle


def test_a_saved_state_does_not_follow_the_live_one(bench: Bench) -> None:
    bench.host_sends(b"a")
    saved = bench.uart.save()

    bench.read(reg.RBR)

    assert saved.received == b"a"


def test_any_state_that_passes_validation_can_be_used(bench: Bench) -> None:
    odd = Uart16550State(
        received=bytearray(range(16)), breaks=0xFFFF, timeout_pending=True, ier=0x0F, fcr=0
    )

    bench.uart.load(odd)

    assert bench.read_all() == bytes(range(16))


@pytest.mark.parametrize("seed", range(20))
def test_a_restored_uart_and_the_original_cannot_be_told_apart(bench: Bench, seed: int) -> None:
    rng = random.Random(seed)
    drive(bench, rng, 200)
    other = bench.restored()
    other.peer.waiting.extend(bench.peer.waiting)
    same = rng.getstate()
    bench.peer.sent.clear()
    bench.pin.edges = 0

    first = drive(bench, rng, 300)
    rng.setstate(same)
    second = drive(other, rng, 300)

    assert first == second
    assert (bench.peer.sent, bench.pin.edges) == (other.peer.sent, other.pin.edges)
    assert bench.uart.state == other.uart.state


def drive(bench: Bench, rng: random.Random, steps: int) -> list[int]:
    """Random guest and host actions; everything that a guest could see of them."""
    seen = []
    for _ in range(steps):
        action = rng.randrange(10)
        if action < 4:
            seen.append(bench.read(rng.randrange(8)))
        elif action < 8:
            bench.write(rng.randrange(8), rng.randrange(256) & rng.randrange(256))
        elif action == 8:
            bench.host_sends(rng.randbytes(rng.randrange(6)))
        else:
            bench.advance(rng.randrange(1_000_000))
        if rng.random() < 0.02:
            bench.uart.receive_break()
        seen.append(bench.pin.level)
    return seen


class Reference:
    """Reception and interrupts of the datasheet in their plainest form, for comparison.

    No loopback, no breaks, no divisor changes: what a driver does all day.
    """

    def __init__(self) -> None:
        self.wire = b""
        self.fifo: list[int] = []
        self.sent = b""
        self.ier = self.fcr = self.now = self.since = 0
        self.timed_out = self.thre = False

    def take(self) -> None:
        room = (16 if self.fcr & 1 else 1) - len(self.fifo)
        taken, self.wire = self.wire[:room], self.wire[room:]
        self.fifo += taken
        if taken:
            self.since = self.now

    def sleep(self, delta: int) -> None:
        self.now += delta
        level = [1, 4, 8, 14][self.fcr >> 6]
        overdue = self.now - self.since >= FOUR_CHARACTERS
        if self.fcr & 1 and self.ier & 1 and 0 < len(self.fifo) < level and overdue:
            self.timed_out = True

    def pop(self) -> int:
        byte = self.fifo.pop(0) if self.fifo else 0
        self.timed_out = False
        self.since = self.now
        self.take()
        return byte

    def control(self, value: int) -> None:
        if not value & 1:
            value = 0
        if value & 2 or (value ^ self.fcr) & 1:
            self.fifo = []
            self.timed_out = False
        self.fcr = value & 0xC9
        self.take()

    def enable(self, value: int) -> None:
        self.thre = self.thre or bool(value & 2 and not self.ier & 2)
        self.ier = value

    def send(self, byte: int) -> None:
        self.sent += bytes([byte])
        self.thre = True

    def cause(self) -> int:
        level = [1, 4, 8, 14][self.fcr >> 6] if self.fcr & 1 else 1
        if self.ier & 1 and len(self.fifo) >= level:
            return 0x04
        if self.ier & 1 and self.timed_out:
            return 0x0C
        return 0x02 if self.ier & 2 and self.thre else 0x01

    def identify(self) -> int:
        cause = self.cause()
        self.thre = self.thre and cause != 0x02
        return cause | (0xC0 if self.fcr & 1 else 0)


@pytest.mark.parametrize("seed", range(25))
def test_reception_and_interrupts_agree_with_a_plain_reference(bench: Bench, seed: int) -> None:
    rng = random.Random(seed)
    reference = Reference()
    for _ in range(400):
        value = rng.randrange(256)
        action = rng.choice(["pop", "send", "enable", "control", "identify", "sleep", "host"])
        if action == "pop":
            assert bench.read(reg.RBR) == reference.pop()
        elif action == "send":
            bench.write(reg.THR, value)
            reference.send(value)
        elif action == "enable":
            bench.write(reg.IER, value & 3)
            reference.enable(value & 3)
        elif action == "control" and rng.random() < 0.3:
            value |= rng.random() < 0.8
            bench.write(reg.FCR, value)
            reference.control(value)
        elif action == "identify":
            assert bench.read(reg.IIR) == reference.identify()
        elif action == "sleep":
            bench.advance(value * 3000)
            reference.sleep(value * 3000)
        elif action == "host":
            data = rng.randbytes(value % 5)
            reference.wire += data
            reference.take()
            bench.host_sends(data)
        assert bench.pin.level == (reference.cause() != 0x01)
        assert bool(bench.read(reg.LSR) & reg.LSR_DR) == bool(reference.fifo)
    assert bytes(bench.peer.sent) == reference.sent


def test_an_access_after_the_line_became_free_does_not_lose_the_rest() -> None:
    bench = Bench(pace=HOST)
    bench.write(reg.FCR, FIFO_ON)
    bench.host_sends(bytes(range(20)))
    bench.read_all()

    bench.time.value = 17 * HOST.host_character  # a long block: the timer is overdue
    bench.read(reg.LSR)
    bench.write(reg.IER, 0)
    bench.clock.run_due()

    assert bench.read_all() == bytes(range(16, 20))
