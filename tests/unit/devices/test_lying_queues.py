# SPDX-License-Identifier: BSD-2-Clause
"""Rings and descriptors in a guest's RAM that lie, under every card that has any."""

from __future__ import annotations

import random

import pytest
from support.whole_board import whole_graph

from manager.devices.virtio.composed import VirtioDevice
from manager.devices.virtio.device import DRIVER_OK, VirtioCore
from manager.testing.bench import Bench

VIRTIO = ("virtio-blk", "virtio-rng", "virtio-net", "virtio-9p", "virtio-console")
PLACE = 0x10000
"""Where the rings and all that they point to are, mostly."""
ROOM = 0x8000
SEEDS = range(3)


def id_of(type: str) -> str:
    return next(node.id for node in whole_graph().devices if node.type == type)


class Liar:
    """A driver of `device` that writes anything to its rings."""

    def __init__(self, type: str, seed: int) -> None:
        self.random = random.Random(seed)
        self.bench = Bench(whole_graph())
        self.id = id_of(type)

    @property
    def core(self) -> VirtioCore:
        device = self.bench.device(self.id)
        assert isinstance(device, VirtioDevice)
        core: VirtioCore = device.core
        return core

    def address(self) -> int:
        """Mostly one in RAM; else at its end, in no RAM, or beyond all."""
        near = PLACE + self.random.randrange(ROOM)
        return self.random.choice([near] * 9 + [self.random.randrange(1 << 64), (1 << 64) - 8])

    def write_rings(self) -> None:
        """Random bytes, with descriptors among them that could be some."""
        pick = self.random
        content = bytearray(pick.randbytes(ROOM))
        for at in range(0, ROOM - 16, 16):
            if pick.random() < 0.7:
                length = pick.choice([0, 1, 8, 12, 24, 64, 600, 4096, 0xFFFFFFFF])
                following = pick.randrange(16) if pick.random() < 0.9 else pick.randrange(1 << 16)
                content[at : at + 16] = (
                    self.address().to_bytes(8, "little")
                    + length.to_bytes(4, "little")
                    + pick.randrange(8).to_bytes(2, "little")
                    + following.to_bytes(2, "little")
                )
        self.bench.memory.write(PLACE, bytes(content))

    def set_up(self) -> None:
        """Queues over each other and over what they point to."""
        self.core.reset()
        self.core.set_driver_features(self.random.getrandbits(64) & self.core.features)
        for queue in self.core.queues:
            state = queue.state
            state.size = self.random.choice([1, 4, 16, state.size])
            places = [PLACE + 16 * self.random.randrange(ROOM // 64) for _ in range(3)]
            state.descriptors, state.driver, state.device = places
            state.enabled = True
            self.offer(state.driver, state.size)
        self.core.set_status(DRIVER_OK)

    def offer(self, ring: int, size: int) -> None:
        """Some requests that are there, or too many."""
        offered = self.random.choice([1, size // 2, size, size + 1])
        heads = [self.random.randrange(size + 1) for _ in range(size)]
        words = [self.random.randrange(2), offered, *heads]
        self.bench.memory.write(ring, b"".join(word.to_bytes(2, "little") for word in words))

    def act(self) -> None:
        """Ring the bell, let something come in, let time pass."""
        queue = self.random.randrange(len(self.core.queues) + 1)
        self.core.notify(queue)
        board = self.bench.board
        for cable in board.network_ports.values():
            cable.arrive(self.random.randbytes(self.random.choice([0, 14, 60, 1514])))
        for port in board.ports.values():
            port.arrive(self.random.randbytes(9))
            port.peer_arrives(bytes([self.random.randrange(2)]))
        self.bench.pass_time(self.random.randrange(1_000_000))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("type", VIRTIO)
def test_a_queue_that_lies_raises_nothing_and_a_restore_does_not_show(type: str, seed: int) -> None:
    liar = Liar(type, seed)
    for _ in range(8):
        liar.write_rings()
        liar.set_up()
        for _ in range(6):
            liar.act()

    assert liar.bench.restored().states()[liar.id] == liar.bench.states()[liar.id]
