# SPDX-License-Identifier: BSD-2-Clause
"""PCI interrupt routing by the LPC bridge."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from manager.bus.lines import Line, Wire, WiredOr
from manager.bus.pci import PciHeader
from manager.devices.claims import PciIdentity
from manager.devices.lpc.device import PIRQ_REGISTERS, ROUTABLE_IRQS, Lpc

HEADER = PciHeader(PciIdentity(0x8086, 0x7000, 0x060100))
ROUTING = (10, 11, 0x80, 0x80, 5, 0x80, 0x80, 10)
A, B, C, E, H = 0, 1, 2, 4, 7


class Board:
    """An LPC bridge in front of 16 interrupt inputs that keep a history."""

    def __init__(self) -> None:
        self.history: list[tuple[int, bool]] = []
        self.wires = [Wire(self.watcher(irq)) for irq in range(16)]
        self.irqs = [WiredOr(wire) for wire in self.wires]
        self.lpc = Lpc(HEADER, self.join, ROUTING)

    def watcher(self, irq: int) -> Callable[[bool], None]:
        return lambda level: self.history.append((irq, level))

    def join(self, irq: int) -> Line:
        return self.irqs[irq].join()

    def asserted(self) -> list[int]:
        return [irq for irq, wire in enumerate(self.wires) if wire.level]

    def route(self, pirq: int, value: int) -> None:
        self.lpc.function.write(PIRQ_REGISTERS[pirq], 1, value)


def test_registers_show_the_routing_of_the_plan() -> None:
    board = Board()

    assert board.lpc.function.read(0x00, 4) == 0x7000_8086
    assert board.lpc.function.read(0x08, 4) == 0x06010000
    assert board.lpc.function.read(0x60, 4) == 0x80800B0A
    assert board.lpc.function.read(0x68, 4) == 0x0A808005


def test_without_a_plan_nothing_is_routed() -> None:
    board = Board()

    lpc = Lpc(HEADER, board.join)

    assert lpc.function.read(0x60, 4) == 0x80808080


def test_reserved_bits_and_other_registers_read_as_zero() -> None:
    board = Board()

    board.route(A, 0xFF)
    board.lpc.function.write(0x64, 4, 0xFFFFFFFF)

    assert board.lpc.function.read(0x60, 1) == 0x8F
    assert board.lpc.function.read(0x64, 4) == 0


def test_a_pirq_drives_the_interrupt_it_is_routed_to() -> None:
    board = Board()
    pin = board.lpc.pirq(A)

    pin.set(True)
    pin.set(False)

    assert board.history == [(10, True), (10, False)]


def test_pins_and_pirqs_that_share_an_interrupt_hold_it_together() -> None:
    board = Board()
    pins = [board.lpc.pirq(A), board.lpc.pirq(A), board.lpc.pirq(H)]
    for pin in pins:
        pin.set(True)

    held = []
    for pin in pins:
        pin.set(False)
        held.append(board.asserted())

    assert held == [[10], [10], []]


def test_the_bridge_shares_an_interrupt_with_isa_devices() -> None:
    board = Board()
    isa = board.join(5)
    pin = board.lpc.pirq(E)
    isa.set(True)
    pin.set(True)

    isa.set(False)

    assert board.history == [(5, True)]


def test_rerouting_moves_an_asserted_level() -> None:
    board = Board()
    board.lpc.pirq(B).set(True)

    board.route(B, 9)

    assert board.history == [(11, True), (11, False), (9, True)]


def test_disabling_a_pirq_drops_its_level_and_enabling_raises_it_again() -> None:
    board = Board()
    board.lpc.pirq(B).set(True)

    board.route(B, 0x80 | 11)
    board.route(B, 11)

    assert board.history == [(11, True), (11, False), (11, True)]


@pytest.mark.parametrize("irq", sorted(set(range(16)) - set(ROUTABLE_IRQS)))
def test_interrupts_of_the_board_cannot_be_driven_by_pci(irq: int) -> None:
    board = Board()
    board.lpc.pirq(C).set(True)

    board.route(C, irq)

    assert board.asserted() == []


def test_a_rewritten_routing_survives_a_restore() -> None:
    board = Board()
    board.route(A, 12)
    other = Board()
    other.lpc.load(board.lpc.save())

    other.lpc.pirq(A).set(True)

    assert other.history == [(12, True)]


def test_loading_moves_levels_that_are_already_asserted() -> None:
    board = Board()
    board.route(A, 12)
    other = Board()
    other.lpc.pirq(A).set(True)

    other.lpc.load(board.lpc.save())

    assert other.asserted() == [12]


def test_reset_restores_the_routing_of_the_plan() -> None:
    board = Board()
    board.route(A, 12)

    board.lpc.reset()

    assert board.lpc.function.read(0x60, 1) == 10


def test_a_routing_that_is_not_for_eight_pirqs_is_refused() -> None:
    board = Board()

    with pytest.raises(ValueError, match="8 PIRQs, found 4"):
        Lpc(HEADER, board.join, (10, 11, 10, 11))


@pytest.mark.parametrize("seed", range(5))
def test_levels_follow_routing_and_pins_whatever_the_guest_writes(seed: int) -> None:
    rng = random.Random(seed)
    board = Board()
    pins = [board.lpc.pirq(index) for index in range(8)]
    levels = [False] * 8

    for _ in range(200):
        index = rng.randrange(8)
        levels[index] = rng.random() < 0.5
        pins[index].set(levels[index])
        size = rng.choice([1, 2, 4])
        board.lpc.function.write(rng.randrange(0x5E, 0x6E), size, rng.getrandbits(8 * size))
        expected = {
            board.lpc.function.read(at, 1)
            for at, level in zip(PIRQ_REGISTERS, levels, strict=True)
            if level
        }
        assert board.asserted() == sorted(expected & set(ROUTABLE_IRQS))
