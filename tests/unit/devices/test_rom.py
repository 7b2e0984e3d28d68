# SPDX-License-Identifier: BSD-2-Clause
"""The firmware's chip and its shadow."""

from __future__ import annotations

import pytest

from manager.bus.memory import Memory
from manager.bus.record import from_plain, to_plain
from manager.devices.rom import Rom, RomState

KIB = 1024


def rom(size: int) -> Rom:
    numbered = b"".join(b"%07x\n" % n for n in range(size // 8))
    return Rom(RomState(bytearray(numbered)))


@pytest.mark.parametrize("size", [64 * KIB, 128 * KIB, 256 * KIB, 2048 * KIB])
def test_chip_ends_at_4_gib_and_its_end_appears_under_1_mib(size: int) -> None:
    chip, memory = rom(size), Memory.blank(2048 * KIB)

    chip.shadow(memory)

    shadowed = min(size, 128 * KIB)
    assert chip.base + size == 1 << 32
    assert memory.read((1 << 20) - shadowed, shadowed) == chip.memory[size - shadowed :]
    assert memory.read(0xC0000, 0x20000) == bytes(0x20000)


def test_saved_chip_has_the_same_content_and_a_reset_keeps_it() -> None:
    chip = rom(64 * KIB)

    plain = to_plain(chip.save())
    restored = Rom(from_plain(RomState, plain, RomState.VERSION, "rom"))
    restored.reset()

    assert restored.memory[:] == chip.memory[:]
    assert to_plain(restored.save()) == plain
