# SPDX-License-Identifier: BSD-2-Clause
"""An NVMe controller driven through its registers and queues, and drivers that lie."""

from __future__ import annotations

import os
import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manager.bus.clock import Clock, ManualTime
from manager.bus.dma import Dma
from manager.bus.memory import Memory
from manager.bus.record import clone, from_plain, to_plain
from manager.devices.nvme import registers as nvme
from manager.devices.nvme.controller import Controller
from manager.devices.nvme.state import ControllerState
from manager.storage.base import SECTOR, Zeros
from manager.storage.blocks import DiskBlocks
from manager.storage.disk import Disk
from manager.storage.write_log import WriteLog

MEMORY = 4 << 20
SECTORS = 1 << 16
ADMIN_SQ, ADMIN_CQ, IO_SQ, IO_CQ, DATA, LIST = (0x10000 + 0x10000 * n for n in range(6))
ENTRIES = 8


class Bench:
    def __init__(self) -> None:
        self.time = ManualTime()
        self.clock = Clock(self.time)
        self.memory = Memory.blank(MEMORY)
        self.disk = Disk(Zeros(SECTORS * SECTOR), WriteLog.nameless())
        self.messages: list[int] = []
        self.level = False
        self.by_message = True
        self.controller = Controller(
            Dma(self.memory, lambda start, end: None),
            self.clock,
            DiskBlocks(self.disk, "root", lambda text: None),
            self,
            0x1AF4,
        )
        self.tails = [0, 0]
        self.heads = [0, 0]

    def signal(self, vector: int) -> bool:
        if self.by_message:
            self.messages.append(vector)
        return self.by_message

    def set(self, level: bool) -> None:
        self.level = level and not self.by_message

    def write(self, offset: int, value: int) -> None:
        self.controller.write_mmio(offset, 4, value)

    def enable(self) -> None:
        self.write(nvme.AQA, ENTRIES - 1 | ENTRIES - 1 << 16)
        self.write(nvme.ASQ, ADMIN_SQ)
        self.write(nvme.ACQ, ADMIN_CQ)
        self.write(nvme.CC, 0x00460001)
        assert self.controller.read_mmio(nvme.CSTS, 4) == nvme.CSTS_READY

    def put(self, queue: int, opcode: int, *words: int, prp: tuple[int, int] = (DATA, 0)) -> int:
        base = (ADMIN_SQ, IO_SQ)[queue]
        id = 0x100 * queue + self.tails[queue]
        entry = struct.pack("<BBHI16xQQ", opcode, 0, id, 1, *prp)
        entry += struct.pack("<6I", *words, *[0] * (6 - len(words)))
        self.memory.write(base + 64 * self.tails[queue], entry)
        self.tails[queue] = (self.tails[queue] + 1) % ENTRIES
        self.write(nvme.DOORBELLS + 8 * queue, self.tails[queue])
        return id

    def answer(self, queue: int) -> tuple[int, int]:
        """The next completion: id and status."""
        base = (ADMIN_CQ, IO_CQ)[queue]
        self.time.advance(self.clock, 10_000_000)
        entry = self.memory.read(base + 16 * self.heads[queue], 16)
        _, _, _, _, id, status = struct.unpack("<IIHHHH", entry)
        self.heads[queue] = (self.heads[queue] + 1) % ENTRIES
        self.write(nvme.DOORBELLS + 8 * queue + 4, self.heads[queue])
        return id, status >> 1

    def do(self, queue: int, opcode: int, *words: int, prp: tuple[int, int] = (DATA, 0)) -> int:
        id = self.put(queue, opcode, *words, prp=prp)
        found, status = self.answer(queue)
        assert found == id
        return status

    def create_queues(self) -> None:
        size = ENTRIES - 1
        assert self.do(0, nvme.CREATE_CQ, 1 | size << 16, 3 | 1 << 16, prp=(IO_CQ, 0)) == 0
        assert self.do(0, nvme.CREATE_SQ, 1 | size << 16, 1 | 1 << 16, prp=(IO_SQ, 0)) == 0


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.enable()
    return bench


def test_the_controller_and_its_namespace_identify_themselves(bench: Bench) -> None:
    assert bench.do(0, nvme.IDENTIFY, 1) == nvme.SUCCESS
    assert bench.memory.read(DATA + 4, 20) == b"root".ljust(20)
    assert bench.do(0, nvme.IDENTIFY, 0) == nvme.SUCCESS
    assert struct.unpack("<Q", bench.memory.read(DATA, 8)) == (SECTORS,)


def pages_for(
    bench: Bench, start: int, length: int
) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """Scattered pages for `length` bytes, the first from `start` on; and the two PRP entries."""
    first = 0x200000 + start
    parts = [(first, min(length, nvme.PAGE - start))]
    while (left := length - sum(size for _, size in parts)) > 0:
        parts.append((0x200000 + 2 * nvme.PAGE * len(parts), min(left, nvme.PAGE)))
    others = [address for address, _ in parts[1:]]
    if len(others) < 2:
        return parts, (first, *others, 0)[:2]  # type: ignore[return-value]
    bench.memory.write(LIST, struct.pack(f"<{len(others)}Q", *others))
    return parts, (first, LIST)


@pytest.mark.parametrize("count", [1, 8, 16, 17, 200, 1024])
@pytest.mark.parametrize("start", [0, 512])
def test_sectors_written_are_read_again(bench: Bench, count: int, start: int) -> None:
    bench.create_queues()
    data = os.urandom(count * SECTOR)
    parts, prp = pages_for(bench, start, len(data))
    at = 0
    for address, size in parts:
        bench.memory.write(address, data[at : at + size])
        at += size

    assert bench.do(1, nvme.WRITE, 5, 0, count - 1, prp=prp) == nvme.SUCCESS
    assert bench.disk.read(5 * SECTOR, count * SECTOR) == data

    for address, size in parts:
        bench.memory.write(address, bytes(size))
    assert bench.do(1, nvme.READ, 5, 0, count - 1, prp=prp) == nvme.SUCCESS
    assert b"".join(bench.memory.read(*part) for part in parts) == data
    assert bench.messages[-1] == 1


def test_without_messages_the_pin_is_high_until_the_guest_has_looked(bench: Bench) -> None:
    bench.by_message = False
    bench.put(0, nvme.IDENTIFY, 1)
    bench.time.advance(bench.clock, 1_000_000)
    assert bench.level
    bench.write(nvme.INTMS, 1)
    assert not bench.level
    bench.write(nvme.INTMC, 1)
    assert bench.level

    bench.answer(0)

    assert not bench.level


@pytest.mark.parametrize(
    ("opcode", "words", "status"),
    [
        (nvme.READ, (SECTORS, 0, 0), nvme.LBA_OUT_OF_RANGE),
        (nvme.READ, (0, 1, 0), nvme.LBA_OUT_OF_RANGE),
        (nvme.WRITE, (0, 0, 0xFFFF), nvme.INVALID_FIELD),
        (0x7F, (), nvme.INVALID_OPCODE),
    ],
)
def test_what_cannot_be_done_is_refused(
    bench: Bench, opcode: int, words: tuple[int, ...], status: int
) -> None:
    bench.create_queues()

    assert bench.do(1, opcode, *words) & 0x7FF == status


def test_zeroes_and_deallocation(bench: Bench) -> None:
    bench.create_queues()
    bench.disk.write(0, b"x" * 64 * SECTOR)
    assert bench.do(1, nvme.WRITE_ZEROES, 8, 0, 7) == 0
    bench.memory.write(DATA, struct.pack("<IIQ", 0, 8, 24))
    assert bench.do(1, nvme.DATASET_MANAGEMENT, 0, nvme.DEALLOCATE) == 0

    assert bench.disk.read(8 * SECTOR, 8 * SECTOR) == bytes(8 * SECTOR)
    assert bench.disk.read(24 * SECTOR, 8 * SECTOR) == bytes(8 * SECTOR)
    assert bench.disk.read(16 * SECTOR, SECTOR) == b"x" * SECTOR


def test_a_reset_forgets_the_queues(bench: Bench) -> None:
    bench.create_queues()
    bench.write(nvme.CC, 0)
    assert bench.controller.read_mmio(nvme.CSTS, 4) == 0

    assert all(queue.size == 0 for queue in bench.controller.state.submissions)


def test_a_full_completion_queue_holds_commands_back(bench: Bench) -> None:
    for _ in range(ENTRIES - 1):
        bench.put(0, nvme.GET_FEATURES, 2)
    bench.time.advance(bench.clock, 1_000_000)
    first = bench.put(0, nvme.GET_FEATURES, 2)
    bench.time.advance(bench.clock, 1_000_000)
    found = [bench.answer(0)[0] for _ in range(ENTRIES)]

    assert found[-1] == first


def test_commands_may_be_cut_anywhere_by_a_suspend(bench: Bench) -> None:
    bench.create_queues()
    data = os.urandom(4 * SECTOR)
    bench.memory.write(DATA, data)
    bench.put(1, nvme.WRITE, 0, 0, 3)
    bench.put(1, nvme.WRITE, 100, 0, 3)
    for _ in range(200):
        plain = to_plain(clone(bench.controller.state))
        again = Bench()
        again.memory = bench.memory
        again.disk = bench.disk
        again.time.value = bench.time.value
        again.controller = Controller(
            Dma(again.memory, lambda start, end: None),
            again.clock,
            DiskBlocks(again.disk, "root", lambda text: None),
            again,
            0x1AF4,
        )
        again.controller.state = from_plain(ControllerState, plain, 1, "nvme")
        again.controller.settle()
        again.time.advance(again.clock, 333)
        bench = again

    assert bench.disk.read(0, 4 * SECTOR) == bench.disk.read(100 * SECTOR, 4 * SECTOR) == data


@given(st.integers(0, 1 << 32))
@settings(max_examples=150)
def test_no_access_and_no_queue_content_raises(seed: int) -> None:
    chance = random.Random(seed)
    bench = Bench()
    bench.memory.write(ADMIN_SQ, chance.randbytes(0x400))
    bench.memory.write(IO_SQ, chance.randbytes(0x400))
    bench.enable()
    if chance.random() < 0.7:
        bench.memory.write(ADMIN_SQ, bytes(0x400))
        bench.create_queues()
    for _ in range(30):
        registers = [chance.randrange(0x40), nvme.DOORBELLS + 4 * chance.randrange(40)]
        at = chance.choice(registers)
        value = chance.choice([chance.randrange(8), chance.randrange(1 << 32)])
        if chance.random() < 0.3:
            opcode = chance.choice([0, 1, 2, 4, 5, 6, 8, 9, 10, 12])
            sector = chance.choice([0, ADMIN_SQ, IO_SQ])
            if sector:
                entry = struct.pack("<BBHIQQQQ", opcode, 0, 1, 1, 0, 0, DATA, LIST)
                bench.memory.write(sector + 64 * chance.randrange(8), entry + chance.randbytes(24))
        bench.controller.write_mmio(at, chance.choice([1, 2, 4]), value)
        bench.controller.read_mmio(at, 4)
        bench.time.advance(bench.clock, 100_000)
