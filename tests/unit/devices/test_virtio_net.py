# SPDX-License-Identifier: BSD-2-Clause
"""virtio-net between queues and a cable: cut anywhere by a suspend, and drivers that lie."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.virtqueue import Driver

from manager.bus.clock import Clock, ManualTime
from manager.bus.dma import Dma
from manager.bus.ethernet import MAX_FRAME
from manager.bus.memory import Memory
from manager.bus.record import RecordError, from_plain, to_plain
from manager.devices import nic_port as nic
from manager.devices.nic_port import LINK_GAP, PLUGGED, PULLED, REPLUGGED, ROOM, NicPortState
from manager.devices.virtio.device import DRIVER_OK, EVENT_IDX, NEEDS_RESET, VirtioState
from manager.devices.virtio.queue import DESC_INDIRECT, DESC_NEXT, DESC_WRITE, QueueState
from manager.devices.virtio.server import ServiceState
from manager.devices.virtio_net.frames import MERGEABLE, RECEIVE, TRANSMIT, NetCore
from manager.machine.network_port import NetworkPort

MEMORY = 1 << 20
SIZE = 16
RINGS = (0x1000, 0x2000)
BUFFERS, FRAMES = 0x10000, 0x40000
MAC = bytes.fromhex("525400123456")
SECOND = 1_000_000_000


def frame(number: int, length: int = 100) -> bytes:
    """A frame that can be told from others."""
    return bytes([number]) * length


class Bench:
    """The card's core; `again` makes another one that gets only records and RAM."""

    def __init__(self, memory: Memory, now: int = 1000) -> None:
        self.memory = memory
        self.time = ManualTime(now)
        self.clock = Clock(self.time)
        self.cable = NetworkPort("slots.6")
        self.sent: list[bytes] = []
        self.cable.listeners.add(self.sent.append)
        dma = Dma(memory, lambda start, end: None)
        self.core = NetCore(dma, self.clock, self.cable, MAC)
        self.interrupts: list[int] = []
        self.core.interrupt = lambda isr, vector: self.interrupts.append(isr)

    def again(self) -> Bench:
        core = self.core
        other = Bench(self.memory, self.time.value)
        other.sent[:0], other.interrupts[:0] = self.sent, self.interrupts
        queues = [
            from_plain(QueueState, to_plain(queue.state), 1, "queue") for queue in core.queues
        ]
        service, port = to_plain(core.server.state), to_plain(core.port.state)
        other.core.server.state = from_plain(ServiceState, service, 1, "service")
        other.core.port.adopt(from_plain(NicPortState, port, 1, "port"))
        virtio = from_plain(VirtioState, to_plain(core.virtio), 1, "virtio")
        other.core.adopt(virtio, queues)
        other.core.settle()
        return other

    def pass_time(self, ns: int) -> None:
        self.time.advance(self.clock, ns)


def fresh(features: int = MERGEABLE) -> tuple[Bench, Driver, Driver]:
    """The bench, and the driver's side of the queues for receiving and sending."""
    bench = Bench(Memory.blank(MEMORY))
    drivers = []
    for index, base in enumerate(RINGS):
        driver = Driver(bench.memory, base, SIZE)
        driver.set_up(bench.core.queues[index].state)
        drivers.append(driver)
    bench.core.set_driver_features(features)
    bench.core.set_status(DRIVER_OK)
    return bench, drivers[0], drivers[1]


def give_buffers(driver: Driver, count: int, length: int, first: int = 0) -> None:
    for number in range(first, first + count):
        driver.put([], [(BUFFERS + 0x1000 * number, length)])


@pytest.mark.parametrize("features", [0, MERGEABLE, MERGEABLE | EVENT_IDX])
@pytest.mark.parametrize("step", [1, 300, 900, 5000])
def test_frames_may_be_cut_anywhere_by_a_suspend(step: int, features: int) -> None:
    """Both ways, each frame once and in order, though no device lives longer than a step."""
    header = 12 if features else 10
    bench, receiver, sender = fresh(features)
    give_buffers(receiver, 4, 1600)
    for number in range(3):
        at = FRAMES + 0x1000 * number
        bench.memory.write(at + header, frame(number, 60 + number))
        sender.put([(at, header), (at + header, 60 + number)])
    bench = bench.again()
    bench.core.notify(TRANSMIT)
    for number in range(3):
        bench.cable.arrive(frame(0x40 + number, 200 + number))
    if step == 1:
        bench.pass_time(3 * 1060)
    for _ in range(20_000 // max(step, 100)):
        bench = bench.again()
        bench.pass_time(step)
    bench.pass_time(SECOND)

    assert bench.sent == [frame(number, 60 + number) for number in range(3)]
    assert len(sender.collect()) == 3
    assert [written for _, written in receiver.collect()] == [header + 200 + n for n in range(3)]
    for number in range(3):
        found = bench.memory.read(BUFFERS + 0x1000 * number, header + 200 + number)
        count = b"\1\0" if features else b""
        assert found == bytes(10) + count + frame(0x40 + number, 200 + number)
    assert bench.interrupts


def test_one_frame_fills_several_buffers() -> None:
    bench, receiver, _ = fresh()
    give_buffers(receiver, 3, 200)

    bench.cable.arrive(frame(7, 500))
    bench.pass_time(SECOND)

    parts = receiver.collect()
    assert [written for _, written in parts] == [200, 200, 112]
    found = b"".join(bench.memory.read(BUFFERS + 0x1000 * n, parts[n][1]) for n in range(3))
    assert found == bytes(10) + b"\3\0" + frame(7, 500)
    assert len(bench.interrupts) == 1


@pytest.mark.parametrize("features", [MERGEABLE, MERGEABLE | EVENT_IDX])
def test_a_frame_waits_until_there_are_buffers_enough(features: int) -> None:
    bench, receiver, _ = fresh(features)
    give_buffers(receiver, 2, 200)
    bench.cable.arrive(frame(7, 500))
    bench.cable.arrive(frame(8, 100))
    bench.pass_time(SECOND)
    bench = bench.again()
    assert receiver.collect() == []
    assert bench.cable.waiting == 2
    if features & EVENT_IDX:
        assert receiver.avail_event == 2, "the driver would not tell of the next buffer"

    give_buffers(receiver, 2, 200, first=2)
    bench.core.notify(RECEIVE)
    bench.pass_time(SECOND)

    assert [written for _, written in receiver.collect()] == [200, 200, 112, 112]
    assert bench.cable.waiting == 0


def test_a_card_holds_so_many_frames_and_no_more() -> None:
    bench, receiver, _ = fresh()
    for number in range(ROOM + 10):
        bench.cable.arrive(frame(number))
    assert bench.cable.waiting == ROOM
    received = 0
    for _ in range(ROOM // 8 + 1):
        give_buffers(receiver, 8, 1600)
        bench.core.notify(RECEIVE)
        bench.pass_time(1_000_000)
        received += len(receiver.collect())
    assert received == ROOM


def test_the_driver_sees_the_link_go_and_come_back() -> None:
    bench, _, sender = fresh()
    pull = bench.core.port.takes()["link"]
    assert bench.core.config() == MAC + b"\1\0"

    pull(PULLED)
    assert bench.core.config() == MAC + b"\0\0"
    assert len(bench.interrupts) == 1
    sender.put([(FRAMES, 112)])
    bench.core.notify(TRANSMIT)
    bench.cable.arrive(frame(1))
    bench.pass_time(SECOND)
    assert bench.sent == []
    assert bench.cable.waiting == 0

    pull(PLUGGED)
    assert bench.core.config() == MAC + b"\1\0"
    pull(REPLUGGED)
    bench = bench.again()
    bench.pass_time(LINK_GAP - 1)
    assert bench.core.config() == MAC + b"\0\0"
    bench.pass_time(1)
    assert bench.core.config() == MAC + b"\1\0"
    assert bench.core.virtio.generation == 4


@pytest.mark.parametrize("length", [0, 13, MAX_FRAME + 1, 9000])
def test_what_is_no_frame_is_lost_in_both_directions(length: int) -> None:
    bench, receiver, sender = fresh()
    give_buffers(receiver, 8, 1600)
    bench.cable.arrive(frame(1, length))
    sender.put([(FRAMES, 12 + length)])
    bench.core.notify(TRANSMIT)
    bench.pass_time(SECOND)
    assert receiver.collect() == []
    assert bench.sent == []
    assert len(sender.collect()) == 1
    assert not bench.core.virtio.status & NEEDS_RESET


def test_a_buffer_outside_of_ram_wants_a_reset() -> None:
    bench, receiver, _ = fresh()
    receiver.put([], [(MEMORY - 4, 1600)])
    bench.cable.arrive(frame(1))
    bench.pass_time(SECOND)
    assert bench.core.virtio.status & NEEDS_RESET
    assert bench.cable.waiting == 0


@pytest.mark.parametrize("waiting", [b"\1", b"\0\0", b"\x10\0abc", b"\xff\xff" + bytes(65535)])
def test_a_record_with_torn_frames_is_refused(waiting: bytes) -> None:
    plain = {**to_plain(NicPortState()), "waiting": waiting}
    with pytest.raises(RecordError):
        from_plain(NicPortState, plain, 1, "port")


LIES: list[Callable[[random.Random], int]] = [
    lambda chance: chance.randrange(MEMORY),
    lambda chance: chance.choice([0, MEMORY - 1, MEMORY, 1 << 32, (1 << 64) - 1]),
    lambda chance: RINGS[0] + chance.randrange(0x400),
]


@given(st.integers(0, 1 << 32))
@settings(max_examples=200)
def test_whatever_the_driver_says_the_card_goes_on_or_wants_a_reset(seed: int) -> None:
    chance = random.Random(seed)
    bench, *drivers = fresh(chance.choice([0, MERGEABLE, EVENT_IDX | MERGEABLE, 1 << 28]))
    if chance.random() < 0.2:
        state = chance.choice(bench.core.queues).state
        state.descriptors, state.driver, state.device = (
            chance.choice(LIES)(chance) for _ in range(3)
        )
    for _ in range(20):
        index = chance.randrange(2)
        driver = drivers[index]
        first = chance.randrange(SIZE)
        for number in {first, first ^ 1, chance.randrange(SIZE)}:
            address = chance.choice(LIES)(chance)
            length = chance.choice([0, 1, 12, 72, 1530, 4096, 1 << 27, (1 << 32) - 1])
            flags = chance.choice([0, DESC_NEXT, DESC_WRITE, DESC_NEXT | DESC_WRITE, DESC_INDIRECT])
            driver.descriptor(number, address, length, flags, chance.randrange(SIZE + 2))
        driver.make_available(chance.choice([first, first, chance.randrange(1 << 16)]))
        bench.core.notify(index)
        bench.cable.arrive(frame(1, chance.choice([60, 1514])))
        bench.pass_time(300_000_000)

    bench.core.set_status(0)
    bench.core.set_status(DRIVER_OK)
    bench.sent.clear()
    again = Driver(bench.memory, RINGS[1], SIZE)
    bench.memory.write(RINGS[1], bytes(again.end - RINGS[1]))
    again.set_up(bench.core.queues[TRANSMIT].state)
    bench.memory.write(FRAMES, bytes(10) + frame(9, 60))
    again.put([(FRAMES, 70)])
    bench.core.notify(TRANSMIT)
    bench.pass_time(nic.frame_time(70))
    assert not bench.core.virtio.status & NEEDS_RESET
    assert bench.sent == [frame(9, 60)]
