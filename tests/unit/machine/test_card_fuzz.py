# SPDX-License-Identifier: BSD-2-Clause
"""A guest may do anything to a card: nothing raises, and a restore in between cannot be seen."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from support.pci_card import plugged
from support.whole_board import board

from manager.bus.record import from_plain, to_plain
from manager.graph.build import load_graph
from manager.machine.board import Board

MACHINE = """
schema = 1
[boot]
image = "guest.bin"
load = 0x8000
entry = 0x8000
bits = 32
[slots.0]
device = "hostbridge"
[slots.31]
device = "lpc"
"""
STEPS = 1500
VALUES = (0, 1, 2, 4, 6, 7, 0x80, 0x1000, 0xE000_0000, 0xE000_8000, 0xFEE0_0000, 0xFFFF_FFFF)
MESSAGES = (0x41, 0x8041, 0xC041, 0x0400, 0x0700)


def make(folder: Path) -> Board:
    path = folder / "machine.toml"
    path.write_text(MACHINE)
    return board(graph=plugged(load_graph(path), (5, 6)))


def restored(source: Board, folder: Path) -> Board:
    target = make(folder)
    for id, device in target.devices.items():
        plain = to_plain(source.devices[id].save())
        device.load(from_plain(device.STATE, plain, device.STATE.VERSION, id))
    target.settle()
    return target


def act(target: Board, chance: random.Random) -> int:
    """Something that a guest can do; what it reads, or 0."""
    size = chance.choice([1, 2, 4])
    value = chance.choice([*VALUES, *MESSAGES, chance.getrandbits(32)]) & (1 << 8 * size) - 1
    slot = chance.choice([5, 6])
    match chance.randrange(4):
        case 0:
            return target.pci.read(slot, 0, chance.randrange(256), size)
        case 1:
            target.pci.write(slot, 0, chance.choice([4, *range(16, 256, 4)]), size, value)
        case 2:
            at = chance.choice([0, 0x1000, 0x21000, 0x22000, 0x8000]) + 0xE000_0000
            at += chance.choice([*range(0, 0x50, 4), 0x800, 0xFFC])
            if chance.random() < 0.5:
                return target.addresses.read(at, size)
            target.addresses.write(at, size, value)
        case 3:
            port = 0xC000 + chance.randrange(0x44)
            if chance.random() < 0.5:
                return target.io.read(port, size)
            target.io.write(port, size, value)
    return 0


@pytest.mark.parametrize("seed", range(8))
def test_anything_may_be_done_to_a_card_and_a_restore_is_not_seen(
    seed: int, tmp_path: Path
) -> None:
    source = make(tmp_path)
    chance = random.Random(seed)
    for _ in range(STEPS):
        act(source, chance)

    target = restored(source, tmp_path)
    again = random.Random()
    again.setstate(chance.getstate())

    first = [act(source, chance) for _ in range(STEPS)]
    second = [act(target, again) for _ in range(STEPS)]
    assert second == first
    assert [to_plain(device.save()) for device in target.devices.values()] == [
        to_plain(device.save()) for device in source.devices.values()
    ]
