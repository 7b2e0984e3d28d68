# SPDX-License-Identifier: BSD-2-Clause
"""A uart on a PCI card: movable, level-triggered, and whole after a restore."""

from __future__ import annotations

import random
from collections import deque

import pytest

from manager.bus.clock import Clock, ManualTime
from manager.bus.pci import PciHeader
from manager.bus.pci.registers import BAR0, COMMAND, COMMAND_INTX_DISABLE, COMMAND_IO
from manager.bus.ports import PortBus
from manager.bus.record import from_plain, to_plain
from manager.devices.claims import IoBar, PciIdentity
from manager.devices.uart import registers as reg
from manager.devices.uart.pci import PciUart, PciUartState

BASE = 0xC000
HEADER = PciHeader(
    PciIdentity(0x131F, 0x2000, 0x070002), (IoBar(0, BASE, 8),), 1, 10, command=COMMAND_IO
)


class Slot:
    """A PCI uart with everything around it. It is its own line and channel."""

    def __init__(self, header: PciHeader = HEADER) -> None:
        self.level = False
        self.edges = 0
        self.sent = bytearray()
        self.waiting: deque[int] = deque()
        self.ports = PortBus()
        self.time = ManualTime()
        self.clock = Clock(self.time)
        self.uart = PciUart(header, self.ports, self, self, self.clock)

    def set(self, level: bool) -> None:
        self.edges += level and not self.level
        self.level = level

    def transmit(self, byte: int) -> None:
        self.sent.append(byte)

    def receive(self) -> int:
        return self.waiting.popleft() if self.waiting else -1


def restore(state: PciUartState, *, level: bool) -> Slot:
    plain = to_plain(state)
    slot = Slot()
    slot.level = level
    slot.uart.load(from_plain(PciUartState, plain, PciUartState.VERSION, "slots.4"))
    return slot


def test_after_direct_boot_the_bar_decodes_where_the_header_says() -> None:
    slot = Slot()

    slot.ports.write(BASE, 1, ord("x"))

    assert slot.sent == b"x"
    assert slot.uart.function.read(0x3C, 2) == 0x010A


def test_wide_accesses_are_split_into_bytes() -> None:
    slot = Slot()

    slot.ports.write(BASE + reg.LCR, 4, 0x0000_0003)
    slot.ports.write(BASE, 2, 0x0F41)

    assert slot.sent == b"A"
    assert slot.ports.read(BASE + reg.IER, 1) == 0x0F
    assert slot.ports.read(BASE + reg.LCR, 2) == 0x0003


def test_ports_of_a_larger_bar_past_the_registers_are_empty() -> None:
    header = PciHeader(HEADER.identity, (IoBar(0, BASE, 32),), 1, 10, COMMAND_IO)
    slot = Slot(header)

    slot.ports.write(BASE + 8, 1, ord("x"))

    assert slot.sent == b""
    assert slot.ports.read(BASE + 8 + reg.LSR, 1) == 0xFF


def test_the_interrupt_is_not_gated_by_out2() -> None:
    slot = Slot()

    slot.ports.write(BASE + reg.IER, 1, reg.IER_ETBEI)

    assert slot.level
    assert slot.uart.function.read(0x06, 2) & 0x0008


def test_intx_disable_keeps_the_interrupt_from_the_line() -> None:
    slot = Slot()
    slot.uart.function.write(COMMAND, 2, COMMAND_IO | COMMAND_INTX_DISABLE)

    slot.ports.write(BASE + reg.IER, 1, reg.IER_ETBEI)
    held = slot.level
    slot.uart.function.write(COMMAND, 2, COMMAND_IO)

    assert not held
    assert slot.level


def test_input_and_breaks_reach_the_uart() -> None:
    slot = Slot()
    slot.waiting.extend(b"a")
    slot.uart.input_ready()
    byte = slot.ports.read(BASE, 1)

    slot.uart.takes()["break"](b"")

    assert byte == ord("a")
    assert slot.ports.read(BASE + reg.LSR, 1) & reg.LSR_BI


def test_a_moved_bar_and_a_pending_interrupt_survive_a_restore_without_an_edge() -> None:
    slot = Slot()
    slot.uart.function.write(BAR0, 4, 0xD000)
    slot.ports.write(0xD000 + reg.IER, 1, reg.IER_ETBEI)

    other = restore(slot.uart.save(), level=slot.level)

    assert (other.level, other.edges) == (True, 0)
    assert other.ports.is_free(BASE, 8)
    assert other.ports.read(0xD000 + reg.IIR, 1) == reg.IIR_THRE
    assert not other.level


def test_a_disabled_interrupt_stays_off_the_line_while_a_state_is_loaded() -> None:
    slot = Slot()
    slot.uart.function.write(COMMAND, 2, COMMAND_IO | COMMAND_INTX_DISABLE)
    slot.ports.write(BASE + reg.IER, 1, reg.IER_ETBEI)

    other = restore(slot.uart.save(), level=False)

    assert (other.level, other.edges) == (False, 0)


def test_reset_takes_the_bar_back_to_its_first_place() -> None:
    slot = Slot()
    slot.uart.function.write(BAR0, 4, 0xD000)
    slot.ports.write(0xD000 + reg.IER, 1, reg.IER_ETBEI)

    slot.uart.reset()

    assert slot.ports.is_free(0xD000, 8)
    assert slot.ports.read(BASE + reg.LSR, 1) == 0x60
    assert not slot.level
    assert slot.uart.state == slot.uart.power_on()


@pytest.mark.parametrize("seed", range(10))
def test_load_brings_back_everything_that_happened_since_the_save(seed: int) -> None:
    rng = random.Random(seed)
    slot = Slot()
    disturb(slot, rng)
    saved, level = slot.uart.save(), slot.level
    owned = [port for port in range(0xC000, 0xD000) if not slot.ports.is_free(port, 1)]

    disturb(slot, rng)
    slot.uart.load(saved)

    assert slot.uart.save() == saved
    assert slot.level == level
    assert [port for port in range(0xC000, 0xD000) if not slot.ports.is_free(port, 1)] == owned
    assert restore(saved, level=level).uart.save() == saved


def disturb(slot: Slot, rng: random.Random) -> None:
    """Random accesses of every width to ports and configuration space."""
    for _ in range(200):
        size = rng.choice([1, 2, 4])
        value = rng.getrandbits(8 * size)
        base = slot.uart.state.config.bars[0] & 0xFFF8
        if rng.random() < 0.8:
            slot.ports.write(base + rng.randrange(8) & 0xFFFF, size, value)
            slot.ports.read(base + rng.randrange(8) & 0xFFFF, size)
        elif rng.random() < 0.5:
            slot.uart.function.write(rng.randrange(256), size, value)
        else:
            slot.uart.function.write(BAR0, 4, 0xC000 + 8 * rng.randrange(64))
            slot.uart.function.write(COMMAND, 2, COMMAND_IO)
        slot.waiting.extend(rng.randbytes(2))
        slot.uart.input_ready()
