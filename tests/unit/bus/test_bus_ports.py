# SPDX-License-Identifier: BSD-2-Clause
"""The I/O space: dispatch, widths, and ports without a device."""

from __future__ import annotations

import pytest

from manager.bus.ports import PortBus, PortConflictError


class Bytes:
    """Eight byte registers."""

    def __init__(self) -> None:
        self.registers = bytearray(range(0x10, 0x18))

    def read_port(self, offset: int) -> int:
        return self.registers[offset]

    def write_port(self, offset: int, value: int) -> None:
        self.registers[offset] = value


class Wide:
    """Keeps every access with its width."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def read_wide(self, offset: int, size: int) -> int:
        self.seen.append((offset, size))
        return 0x0403_0201 & (1 << 8 * size) - 1

    def write_wide(self, offset: int, size: int, value: int) -> None:
        self.seen.append((offset, size, value))


@pytest.fixture
def bus() -> PortBus:
    return PortBus()


def test_wide_accesses_to_byte_registers_are_little_endian(bus: PortBus) -> None:
    bus.claim(0x60, 8, Bytes())

    bus.write(0x62, 2, 0xBEEF)

    assert bus.read(0x62, 1) == 0xEF
    assert bus.read(0x60, 4) == 0xBEEF_1110


def test_a_wide_device_sees_the_width(bus: PortBus) -> None:
    device = Wide()
    bus.claim_wide(0xCF8, 8, device)

    bus.write(0xCF8, 4, 0x80000000)
    value = bus.read(0xCFE, 2)

    assert device.seen == [(0, 4, 0x80000000), (6, 2)]
    assert value == 0x0201


def test_an_access_across_the_end_of_a_wide_device_is_split(bus: PortBus) -> None:
    device = Wide()
    bus.claim_wide(0x100, 2, device)

    value = bus.read(0x101, 2)

    assert device.seen == [(1, 1)]
    assert value == 0xFF01


def test_neighbours_share_a_wide_access(bus: PortBus) -> None:
    low, high = Bytes(), Bytes()
    bus.claim(0x70, 1, low)
    bus.claim(0x71, 1, high)

    bus.write(0x70, 2, 0x2211)

    assert (low.registers[0], high.registers[0]) == (0x11, 0x22)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_unclaimed_ports_read_as_all_ones_and_drop_writes(bus: PortBus, size: int) -> None:
    bus.write(0x300, size, 0)

    assert bus.read(0x300, size) == (1 << 8 * size) - 1


def test_unclaimed_accesses_are_told_port_by_port(bus: PortBus) -> None:
    told: list[tuple[int, bool]] = []
    bus.on_unclaimed = lambda port, is_write: told.append((port, is_write))
    bus.claim(0x300, 1, Bytes())

    bus.read(0x300, 2)
    bus.write(0x301, 1, 0)

    assert told == [(0x301, False), (0x301, True)]


def test_an_access_at_the_last_port_wraps_to_the_first(bus: PortBus) -> None:
    bus.claim(0, 1, Bytes())

    assert bus.read(0xFFFF, 2) == 0x10FF


def test_overlapping_claims_are_refused_and_leave_no_trace(bus: PortBus) -> None:
    bus.claim(0x3F8, 8, Bytes())

    with pytest.raises(PortConflictError, match="0x3f0-0x3ff"):
        bus.claim_wide(0x3F0, 16, Wide())

    assert bus.is_free(0x3F0, 8)


def test_released_ports_are_free_again(bus: PortBus) -> None:
    bus.claim(0x3F8, 8, Bytes())
    bus.claim_wide(0x400, 8, Wide())

    bus.release(0x3F8, 16)

    assert bus.is_free(0x3F8, 16)
    assert bus.read(0x3F8, 1) == 0xFF


@pytest.mark.parametrize(("base", "free"), [(-1, False), (0xFFF8, True), (0xFFF9, False)])
def test_only_ranges_inside_the_io_space_are_free(bus: PortBus, base: int, free: bool) -> None:
    assert bus.is_free(base, 8) == free
