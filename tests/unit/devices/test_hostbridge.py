# SPDX-License-Identifier: BSD-2-Clause
"""Configuration mechanism 1 at ports 0xCF8-0xCFF, and the host bridge's own registers."""

from __future__ import annotations

import random

import pytest

from manager.bus.pci import PciBus, PciFunction, PciHeader
from manager.bus.ports import PortBus
from manager.devices.claims import PciIdentity
from manager.devices.hostbridge.device import HostBridge

ADDRESS, DATA = 0xCF8, 0xCFC
HEADER = PciHeader(PciIdentity(0x8086, 0x1237, 0x060000, revision=2))
OTHER = PciHeader(PciIdentity(0x131F, 0x2000, 0x070002))


class ResetControl:
    """Port 0xCF9."""

    def __init__(self) -> None:
        self.value = 0

    def read_port(self, offset: int) -> int:
        assert offset == 0
        return self.value

    def write_port(self, offset: int, value: int) -> None:
        assert offset == 0
        self.value = value


class Board:
    """A host bridge at 0.0 and a function at 4.1."""

    def __init__(self, *, reset_control: bool = True) -> None:
        self.ports = PortBus()
        self.pci = PciBus()
        self.reset_control = ResetControl()
        self.bridge = HostBridge(HEADER, self.pci)
        self.pci.attach(0, 0, self.bridge.function)
        self.pci.attach(4, 1, PciFunction(OTHER))
        if reset_control:
            self.ports.claim_nested(0xCF9, 1, self.reset_control)
        self.ports.claim_wide(ADDRESS, 8, self.bridge)

    def select(self, slot: int, function: int, offset: int) -> None:
        self.ports.write(ADDRESS, 4, 0x80000000 | slot << 11 | function << 8 | offset & 0xFC)

    def config_read(self, slot: int, function: int, offset: int, size: int) -> int:
        self.select(slot, function, offset)
        return self.ports.read(DATA + (offset & 3), size)

    def config_write(self, slot: int, function: int, offset: int, size: int, value: int) -> None:
        self.select(slot, function, offset)
        self.ports.write(DATA + (offset & 3), size, value)


def test_mechanism_1_finds_functions_by_slot_and_number() -> None:
    board = Board()

    assert board.config_read(0, 0, 0x00, 4) == 0x1237_8086
    assert board.config_read(4, 1, 0x00, 4) == 0x2000_131F
    assert board.config_read(4, 0, 0x00, 4) == 0xFFFFFFFF
    assert board.config_read(5, 0, 0x00, 2) == 0xFFFF


def test_data_may_be_read_in_any_width_at_any_byte() -> None:
    board = Board()

    assert board.config_read(0, 0, 0x02, 2) == 0x1237
    assert board.config_read(0, 0, 0x0B, 1) == 0x06
    assert board.config_read(0, 0, 0x0A, 2) == 0x0600


def test_the_probe_of_an_operating_system_finds_mechanism_1() -> None:
    board = Board()

    board.ports.write(0xCFB, 1, 0x01)
    board.ports.write(ADDRESS, 4, 0x80000000)

    assert board.ports.read(ADDRESS, 4) == 0x80000000


def test_narrow_writes_do_not_touch_the_address() -> None:
    board = Board()
    board.select(4, 1, 0x3C)

    board.ports.write(ADDRESS, 1, 0)
    board.ports.write(ADDRESS, 2, 0)
    board.ports.write(ADDRESS + 2, 2, 0)

    assert board.ports.read(ADDRESS, 4) == 0x8000213C


@pytest.mark.parametrize("address", [0x00000000, 0x80010000, 0x80FF0000])
def test_without_the_enable_bit_or_on_another_bus_nothing_answers(address: int) -> None:
    board = Board()
    before = board.bridge.save()
    board.ports.write(ADDRESS, 4, address | 0x40)

    board.ports.write(DATA, 4, 0x12345678)

    assert board.ports.read(DATA, 4) == 0xFFFFFFFF
    assert board.bridge.state.registers == before.registers


def test_bytes_at_cf9_go_to_the_reset_control_only() -> None:
    board = Board()
    board.select(0, 0, 0)

    board.ports.write(0xCF9, 1, 0x06)
    board.ports.write(ADDRESS, 2, 0xFFFF)

    assert board.ports.read(0xCF9, 1) == 0x06
    assert board.ports.read(ADDRESS, 4) == 0x80000000


def test_without_a_reset_control_cf9_is_empty() -> None:
    board = Board(reset_control=False)

    board.ports.write(0xCF9, 1, 0x06)

    assert board.ports.read(0xCF9, 1) == 0xFF


def test_firmware_finds_what_it_wrote_to_pam_and_smram() -> None:
    board = Board()
    smram = board.config_read(0, 0, 0x72, 1)

    board.config_write(0, 0, 0x59, 1, 0x30)
    board.config_write(0, 0, 0x5C, 4, 0x33333333)

    assert smram == 0x02
    assert board.config_read(0, 0, 0x58, 4) == 0x00003000
    assert board.config_read(0, 0, 0x5C, 4) == 0x33333333


def test_a_latched_address_and_registers_survive_a_restore() -> None:
    board = Board()
    board.config_write(0, 0, 0x80, 4, 0xCAFEF00D)
    other = Board()

    other.bridge.load(board.bridge.save())

    assert other.ports.read(DATA, 4) == 0xCAFEF00D


def test_reset_forgets_the_address() -> None:
    board = Board()
    board.config_write(0, 0, 0x80, 4, 0xCAFEF00D)

    board.bridge.reset()

    assert board.ports.read(ADDRESS, 4) == 0
    assert board.bridge.state == board.bridge.power_on()


@pytest.mark.parametrize("seed", range(5))
def test_no_access_of_any_width_raises_and_a_load_undoes_it(seed: int) -> None:
    rng = random.Random(seed)
    board = Board()
    saved = board.bridge.save()

    for _ in range(500):
        size = rng.choice([1, 2, 4])
        board.ports.write(0xCF6 + rng.randrange(12), size, rng.getrandbits(8 * size))
        board.select(rng.choice([0, 4]), rng.randrange(2), rng.randrange(256))
        board.ports.write(0xCFC + rng.randrange(4), size, rng.getrandbits(8 * size))
        assert 0 <= board.ports.read(0xCF6 + rng.randrange(12), size) < 1 << 8 * size
    changed = board.bridge.save()
    board.bridge.load(saved)

    assert changed != board.bridge.save()
    assert board.config_read(0, 0, 0x72, 1) == 0x02
