# SPDX-License-Identifier: BSD-2-Clause
"""DMA: what reaches RAM, what does not, and what a device is told of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manager.bus.dma import FAILED, Dma, Segment
from manager.bus.memory import Memory, Ram, RamRegion

VGA_WINDOW, ABOVE_VGA = 0xA0000, 0xC0000
RAM_END = 2 << 20
HIGH = 1 << 32
ISLANDS = ((0, 0x2000), (0x3000, 0x1000), (HIGH, 0x2000))
"""(base, length) of a small RAM with gaps, for the model."""


class Pc:
    """RAM with holes, and what was written to it by DMA."""

    def __init__(self) -> None:
        self.memory = Memory.blank(RAM_END)
        self.written: list[tuple[int, int]] = []
        self.dma = Dma(self.memory, lambda start, end: self.written.append((start, end)))


@pytest.fixture
def pc() -> Pc:
    return Pc()


def test_bytes_go_to_ram_and_come_back_and_the_range_is_told(pc: Pc) -> None:
    stored = pc.dma.write(0x1234, b"hello")

    assert stored == 5
    assert pc.dma.read(0x1234, 5) == b"hello"
    assert pc.memory.read(0x1234, 5) == b"hello"
    assert pc.written == [(0x1234, 0x1239)]


def test_a_transfer_stops_where_ram_does(pc: Pc) -> None:
    pc.memory.write(VGA_WINDOW - 2, b"ab")

    assert pc.dma.read(VGA_WINDOW - 2, 0x40000) == b"ab"
    assert pc.dma.write(VGA_WINDOW - 3, b"wxyz") == 3
    assert pc.memory.read(VGA_WINDOW - 3, 3) == b"wxy"
    assert pc.written == [(VGA_WINDOW - 3, VGA_WINDOW)]


@pytest.mark.parametrize(
    "address", [VGA_WINDOW, RAM_END, 0xFEE0_0000, HIGH, 1 << 44, (1 << 64) - 1]
)
def test_where_there_is_no_ram_nothing_is_transferred(pc: Pc, address: int) -> None:
    assert pc.dma.read(address, 16) == b""
    assert pc.dma.write(address, b"x") == 0
    assert pc.dma.clear(address, 1 << 32) == 0
    assert pc.dma.read_u32(address) == FAILED
    assert not pc.dma.write_u32(address, 1)
    assert pc.written == []


def test_without_bus_mastering_nothing_is_transferred(pc: Pc) -> None:
    pc.memory.write(0x1000, b"secret")
    pc.dma.enabled = False

    assert pc.dma.read(0x1000, 6) == b""
    assert pc.dma.write(0x1000, b"x") == 0
    assert pc.dma.gather([(0x1000, 6)]) == b""
    assert pc.dma.scatter([(0x1000, 6)], b"x") == 0
    assert pc.dma.read_u8(0x1000) == FAILED
    assert not pc.dma.write_u8(0x1000, 1)
    assert pc.memory.read(0x1000, 6) == b"secret"
    assert pc.written == []


Load = Callable[[Dma, int], int]
Store = Callable[[Dma, int, int], bool]
NUMBERS: list[tuple[int, Load, Store]] = [
    (1, Dma.read_u8, Dma.write_u8),
    (2, Dma.read_u16, Dma.write_u16),
    (4, Dma.read_u32, Dma.write_u32),
    (8, Dma.read_u64, Dma.write_u64),
]


@pytest.mark.parametrize(("size", "load", "store"), NUMBERS)
def test_numbers_are_little_endian(pc: Pc, size: int, load: Load, store: Store) -> None:
    value = 0xF1E2D3C4B5A69788 & (1 << 8 * size) - 1

    assert store(pc.dma, 0x1001, value)

    assert pc.memory.read(0x1001, size) == value.to_bytes(size, "little")
    assert load(pc.dma, 0x1001) == value
    assert pc.written == [(0x1001, 0x1001 + size)]


@pytest.mark.parametrize(("size", "load", "store"), NUMBERS[1:])
def test_a_number_that_is_not_all_ram_is_not_there(
    pc: Pc, size: int, load: Load, store: Store
) -> None:
    at = VGA_WINDOW - size + 1

    assert load(pc.dma, at) == FAILED
    assert not store(pc.dma, at, 1)
    assert pc.memory.read(at, size - 1) == bytes(size - 1)
    assert load(pc.dma, at) & (1 << 8 * size) - 1 == (1 << 8 * size) - 1


def test_clearing_reaches_as_far_as_ram_and_costs_no_buffer_of_that_size(pc: Pc) -> None:
    pc.memory.write(0x10000, b"x" * 0x90000)

    assert pc.dma.clear(0x20000, 1 << 40) == 0x80000

    assert pc.memory.read(0x1FFFF, 2) == b"x\0"
    assert pc.memory.read(0x20000, 0x80000) == bytes(0x80000)


def small_ram() -> tuple[Dma, dict[int, int]]:
    """RAM with gaps, and the same as a model: address -> byte."""
    regions = [RamRegion(base, Ram(-1, length)) for base, length in ISLANDS]
    model = {base + i: 0 for base, length in ISLANDS for i in range(length)}
    return Dma(Memory(regions), lambda start, end: None), model


addresses = st.one_of(
    st.integers(0, 0x4100),
    st.integers(HIGH - 0x10, HIGH + 0x2010),
    st.sampled_from([0x1FF0, 0x2FF8, 0x3FFC]),
)
segments = st.lists(st.tuples(addresses, st.integers(0, 0x1200)), max_size=6)


@given(segments, st.binary(max_size=0x1800))
def test_scatter_lists_stop_at_the_first_address_without_ram(
    listed: list[Segment], data: bytes
) -> None:
    dma, model = small_ram()
    wanted = [address + i for address, length in listed for i in range(length)][: len(data)]
    reached = next((n for n, at in enumerate(wanted) if at not in model), len(wanted))
    for at, byte in zip(wanted[:reached], data, strict=False):
        model[at] = byte

    stored = dma.scatter(listed, data)
    loaded = dma.gather(listed)

    everything = [address + i for address, length in listed for i in range(length)]
    readable = next((n for n, at in enumerate(everything) if at not in model), len(everything))
    assert stored == reached
    assert loaded == bytes(model[at] for at in everything[:readable])
