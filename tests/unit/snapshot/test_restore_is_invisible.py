# SPDX-License-Identifier: BSD-2-Clause
"""A board restored in the middle of anything behaves from then on as the one it was saved from.

A driver does random things to all devices of a board: reads and writes of every register, input
from the host, time. Then the board is saved, restored into a new one, and both get the same random
things. Every value read, every byte sent, every level of INTR must be the same.
"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from support.whole_board import bench

from manager.bus.clock import ManualTime
from manager.machine.board import Board

SEEDS = int(os.environ.get("VMMGR_FUZZ_ROUNDS", "40"))
STEPS = 120
AGAIN = 6000
"""What to add to a seed for other things with the same focus."""
UARTS = (0x3F8, 0x3E8, 0xC000, 0xC108)
"""COM1, COM3, and two places for the PCI uart's BAR."""
GROUPS: list[list[int]] = [
    [*range(0x3F8, 0x400), *range(0x3E8, 0x3F0)],
    [uart + register for uart in UARTS[2:] for register in range(8)],
    [0x20, 0x21, 0xA0, 0xA1, 0x4D0, 0x4D1],
    [0x40, 0x41, 0x42, 0x43, 0x61],
    [0x60, 0x64, 0x70, 0x71, 0x92],
    [0x600, 0x602, 0x604, 0x608, 0x510, 0x511, 0x511],
]
"""Ports of devices that belong together; a driver turns to one group more than to the others."""
COMMON = [0x00, 0x01, 0x03, 0x07, 0x0B, 0x0F, 0x11, 0x13, 0x20, 0x34, 0x36, 0x80, 0xB6, 0xC7, 0xFF]
BAR0 = 0x8000_2010
"""CONFIG_ADDRESS of slot 4's first base address register; its command register is 12 before."""


class Driver:
    """Does the same things to a board whenever it has the same seed."""

    def __init__(self, target: Board, seed: int) -> None:
        self.target = target
        self.chance = random.Random(seed)
        self.focus = GROUPS[seed % len(GROUPS)]

    def drive(self, steps: int) -> list[Any]:
        """What could be seen of the board meanwhile."""
        seen: list[Any] = []
        for _ in range(steps):
            seen.append(self._step())
            seen.append({id: port.take_output() for id, port in self.target.ports.items()})
        return seen

    def _step(self) -> Any:
        chance, io = self.chance, self.target.io
        act = chance.randrange(12)
        port = chance.choice(self.focus if chance.random() < 0.8 else chance.choice(GROUPS))
        wide = 0x600 <= port < 0x610 or port == 0x510
        size = 4 if port == 0x608 else 2 if wide else 1
        if act < 4:
            return io.read(port, size)
        if act < 8:
            value = chance.choice(COMMON) if chance.random() < 0.7 else chance.randrange(256)
            # What ends or restarts the machine is for others to test.
            if port not in (0x64, 0x92, 0x604):
                io.write(port, size, value)
            return None
        if act == 8:
            return self._memory()
        if act == 9:
            name = chance.choice(sorted(self.target.ports))
            self.target.ports[name].arrive(chance.randbytes(chance.randrange(1, 24)))
            return None
        if act == 10:
            return self._configure()
        clock = self.target.clock
        time = clock.now
        assert isinstance(time, ManualTime)
        time.advance(clock, chance.choice([100, 5_000, 90_000, 1_000_000, 300_000_000]))
        return clock.next_deadline()

    def _memory(self) -> int | None:
        chance = self.chance
        _, _, device = chance.choice(self.target.addresses.registers())
        offset = chance.choice([0x00, 0x10, 0x80, 0xB0, 0xF0, 0x300, 0x320, 0x350, 0x380, 0x3E0])
        if chance.random() < 0.5:
            return device.read_mmio(offset, 4)
        device.write_mmio(offset, 4, chance.choice([*COMMON, 0x1FF, 0x20031, 0x100FE, 100_000]))
        return None

    def _configure(self) -> int:
        """Move the PCI uart, or change what it may do."""
        io = self.target.io
        io.write(0xCF8, 4, BAR0)
        io.write(0xCFC, 4, self.chance.choice([0xC000, 0xC108, 0x3F8]))
        io.write(0xCF8, 4, BAR0 - 12)
        io.write(0xCFC, 2, self.chance.choice([0x0001, 0x0401, 0x0000]))
        return io.read(0xCFC, 4)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nobody_can_tell_that_a_board_was_restored(seed: int) -> None:
    source = bench()
    Driver(source.board, seed).drive(STEPS)
    target = source.restored()
    source.happened.clear()

    one, other = (Driver(each.board, seed + AGAIN).drive(STEPS) for each in (source, target))

    for step, (expected, found) in enumerate(zip(one, other, strict=True)):
        assert found == expected, f"step {step}"
    assert target.happened == source.happened
    assert target.states() == source.states()
