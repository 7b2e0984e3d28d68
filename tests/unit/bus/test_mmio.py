# SPDX-License-Identifier: BSD-2-Clause
"""Who answers at which physical address."""

from __future__ import annotations

import pytest

from manager.bus.mmio import MemoryBus, MemoryConflictError

RAM = (0, 0x40_0000)
HERE, THERE = 0xE000_0000, 0xE010_0000
ONES = 0xFFFF_FFFF


class Engine:
    """What it was told, as the addresses that are in use."""

    def __init__(self) -> None:
        self.registers: dict[int, int] = {}
        self.memory: dict[int, int | None] = {}

    def map_mmio(self, base: int, length: int, read: object, write: object) -> None:
        self.registers[base] = length

    def unmap_mmio(self, base: int) -> None:
        del self.registers[base]

    def place_ram(self, home: int, base: int | None) -> None:
        self.memory[home] = base

    def touched(self, home: int) -> bytes:
        return b"\1"


class Tag:
    """Registers that say whose they are."""

    def __init__(self, tag: int) -> None:
        self.tag = tag
        self.writes: list[tuple[int, int, int]] = []

    def read_mmio(self, offset: int, size: int) -> int:
        return self.tag + offset

    def write_mmio(self, offset: int, size: int, value: int) -> None:
        self.writes.append((offset, size, value))


def test_an_owner_has_its_addresses_and_no_others() -> None:
    engine, tag = Engine(), Tag(0x100)
    bus = MemoryBus([RAM], engine)

    bus.claim(HERE, 0x20, tag)
    bus.write(HERE + 0x10, 2, 7)

    assert [bus.read(at, 4) for at in (HERE - 4, HERE, HERE + 0x1C, HERE + 0x20)] == [
        ONES, 0x100, 0x11C, ONES,
    ]  # fmt: skip
    assert tag.writes == [(0x10, 2, 7)]
    assert engine.registers == {HERE: 0x20}


def test_what_is_given_back_is_free_again() -> None:
    engine = Engine()
    bus = MemoryBus([RAM], engine)
    bus.claim(HERE, 0x20, Tag(1))
    bus.show(THERE, 0x1000, 1 << 56)

    bus.release(HERE)
    bus.hide(THERE, 1 << 56)

    assert bus.is_free(HERE, 0x20)
    assert bus.is_free(THERE, 0x1000)
    assert bus.read(HERE, 1) == 0xFF
    assert engine.registers == {}
    assert engine.memory == {1 << 56: None}


@pytest.mark.parametrize(
    ("base", "length"),
    [(0x1000, 0x1000), (0x3F_F000, 0x2000), (HERE, 4), (HERE + 0x10, 0x100), (HERE - 0x10, 0x20),
     (HERE - 0x1000, 0x10000), (THERE + 0x800, 0x10), (1 << 40, 0x1000),
     ((1 << 40) - 0x800, 0x1000), ((1 << 64) - 0x1000, 0x1000), (-0x1000, 0x1000)],
)  # fmt: skip
def test_ram_owners_and_the_end_of_addresses_are_in_the_way(base: int, length: int) -> None:
    bus = MemoryBus([RAM])
    bus.claim(HERE, 0x20, Tag(1))
    bus.show(THERE, 0x1000, 1 << 56)

    assert not bus.is_free(base, length)
    with pytest.raises(MemoryConflictError):
        bus.claim(base, length, Tag(2))
    with pytest.raises(MemoryConflictError):
        bus.show(base, length, 1 << 57)


def test_memory_that_is_shown_is_the_engines_to_read() -> None:
    bus = MemoryBus()
    bus.show(HERE, 0x1000, 1 << 56)

    assert bus.find(HERE) is None
