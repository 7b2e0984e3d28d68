# SPDX-License-Identifier: BSD-2-Clause
"""Requests of virtio-blk: cut anywhere by a suspend, and from drivers that lie."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.virtqueue import Driver

from manager.bus.clock import Clock, ManualTime
from manager.bus.dma import Dma
from manager.bus.memory import Memory
from manager.bus.record import from_plain, to_plain
from manager.devices.virtio.device import DRIVER_OK, INDIRECT_DESC, NEEDS_RESET, VirtioState
from manager.devices.virtio.queue import DESC_INDIRECT, DESC_NEXT, DESC_WRITE, QueueState
from manager.devices.virtio.server import ServiceState
from manager.devices.virtio_blk import requests as blk
from manager.storage.base import SECTOR, Zeros
from manager.storage.blocks import DiskBlocks
from manager.storage.disk import Disk
from manager.storage.write_log import WriteLog

SECTORS = 4096
MEMORY = 1 << 20
RINGS, HEADERS, STATUS, DATA = 0x1000, 0x4000, 0x5000, 0x8000
SIZE = 16


class Bench:
    """The device's core; `again` makes another one that gets only records, RAM and disk."""

    def __init__(self, memory: Memory, disk: Disk, now: int = 1000) -> None:
        self.memory = memory
        self.disk = disk
        self.time = ManualTime(now)
        self.clock = Clock(self.time)
        blocks = DiskBlocks(disk, "root", lambda text: None)
        self.core = blk.BlockCore(Dma(memory, lambda start, end: None), self.clock, blocks)
        self.interrupts = 0
        self.core.interrupt = self._interrupt

    def _interrupt(self, isr: int, vector: int) -> None:
        self.interrupts += 1

    def again(self) -> Bench:
        core = self.core
        records = (core.virtio, core.queues[0].state, core.server.state)
        virtio, queue, service = (to_plain(record) for record in records)
        other = Bench(self.memory, self.disk, self.time.value)
        other.interrupts = self.interrupts
        other.core.server.state = from_plain(ServiceState, service, 1, "service")
        state = from_plain(QueueState, queue, 1, "queue")
        other.core.adopt(from_plain(VirtioState, virtio, 1, "virtio"), [state])
        other.core.settle()
        return other


def fresh() -> tuple[Bench, Driver]:
    bench = Bench(Memory.blank(MEMORY), Disk(Zeros(SECTORS * SECTOR), WriteLog.nameless()))
    driver = Driver(bench.memory, RINGS, SIZE)
    driver.set_up(bench.core.queues[0].state)
    bench.core.set_driver_features(INDIRECT_DESC)
    bench.core.set_status(DRIVER_OK)
    return bench, driver


def put(driver: Driver, number: int, kind: int, sector: int, data: tuple[int, int]) -> None:
    """A request whose status byte begins as 0xff."""
    header, status = HEADERS + 16 * number, STATUS + number
    driver.memory.write(header, blk.HEADER.pack(kind, 0, sector))
    driver.memory.write(status, b"\xff")
    if kind == blk.IN:
        driver.put([(header, 16)], [data, (status, 1)])
    else:
        driver.put([(header, 16), data], [(status, 1)])


@pytest.mark.parametrize("step", [1, 333, 5000, 20_000, 100_000])
def test_requests_may_be_cut_anywhere_by_a_suspend(step: int) -> None:
    """Written, read back, and each answered once, though no device lives longer than a step."""
    bench, driver = fresh()
    content = os.urandom(4 * SECTOR)
    driver.memory.write(DATA, content)
    bench = bench.again()
    put(driver, 0, blk.OUT, 7, (DATA, len(content)))
    bench = bench.again()  # available, and the device not yet told
    put(driver, 1, blk.IN, 7, (DATA + 0x1000, len(content)))
    put(driver, 2, blk.IN, SECTORS, (DATA + 0x2000, SECTOR))
    bench.core.notify(0)
    if step == 1:  # the last nanoseconds of each request
        bench.time.advance(bench.clock, blk.ACCESS_TIME + 2040)
    seen, answers = bench.interrupts, driver.collect()
    for _ in range(200_000 // max(step, 1000)):
        bench = bench.again()
        bench.time.advance(bench.clock, step)
        found = driver.collect()
        assert bool(found) == (bench.interrupts > seen), "an answer without its interrupt"
        seen, answers = bench.interrupts, answers + found
    bench.time.advance(bench.clock, 1_000_000)
    answers += driver.collect()

    assert [written for _, written in answers] == [1, len(content) + 1, 1]
    assert driver.memory.read(STATUS, 3) == bytes([blk.OK, blk.OK, blk.IO_ERROR])
    assert driver.memory.read(DATA + 0x1000, len(content)) == content
    assert bench.disk.read(7 * SECTOR, len(content)) == content


LIES: list[Callable[[random.Random], int]] = [
    lambda chance: chance.randrange(MEMORY),
    lambda chance: chance.choice([0, MEMORY - 1, MEMORY, 1 << 32, (1 << 64) - 1]),
    lambda chance: RINGS + chance.randrange(0x400),
]


@given(st.integers(0, 1 << 32))
@settings(max_examples=200)
def test_whatever_the_driver_says_the_device_goes_on_or_wants_a_reset(seed: int) -> None:
    chance = random.Random(seed)
    bench, driver = fresh()
    if chance.random() < 0.2:
        state = bench.core.queues[0].state
        state.descriptors, state.driver, state.device = (
            chance.choice(LIES)(chance) for _ in range(3)
        )
    for _ in range(20):
        kind = chance.choice([blk.IN, blk.OUT, blk.FLUSH_CACHE, blk.GET_ID, 11, 13, 99])
        sector = chance.choice([0, 5, SECTORS - 1, SECTORS, 1 << 40, (1 << 64) - 1])
        bench.memory.write(HEADERS, blk.HEADER.pack(kind, 0, sector))
        bench.memory.write(HEADERS + 16, blk.RANGE.pack(sector, chance.choice([1, 1 << 31]), 0))
        first = chance.randrange(SIZE)
        driver.descriptor(first, HEADERS, chance.choice([16, 16, 16, 32, 3]), DESC_NEXT, first ^ 1)
        for index in {first ^ 1, chance.randrange(SIZE)}:
            address = chance.choice(LIES)(chance)
            length = chance.choice([0, 1, 512, 513, 4096, 1 << 27, (1 << 32) - 1])
            flags = chance.choice([0, DESC_NEXT, DESC_WRITE, DESC_NEXT | DESC_WRITE, DESC_INDIRECT])
            driver.descriptor(index, address, length, flags, chance.randrange(SIZE + 2))
        driver.make_available(chance.choice([first, first, chance.randrange(1 << 16)]))
        bench.core.notify(0)
        bench.time.advance(bench.clock, 300_000_000)

    bench.core.set_status(0)
    bench.core.set_status(DRIVER_OK)
    again = Driver(bench.memory, RINGS, SIZE)
    bench.memory.write(RINGS, bytes(again.end - RINGS))
    again.set_up(bench.core.queues[0].state)
    put(again, 0, blk.OUT, 3, (DATA, SECTOR))
    bench.core.notify(0)
    bench.time.advance(bench.clock, 1_000_000)
    assert not bench.core.virtio.status & NEEDS_RESET
    assert [written for _, written in again.collect()] == [1]
