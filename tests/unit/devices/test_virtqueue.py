# SPDX-License-Identifier: BSD-2-Clause
"""Requests through a virtqueue, and drivers that lie."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.virtqueue import Driver

from manager.bus.dma import Dma
from manager.bus.memory import Memory
from manager.devices.virtio.queue import (
    DESC_INDIRECT,
    DESC_NEXT,
    DESC_WRITE,
    QueueBrokenError,
    QueueState,
    Virtqueue,
)

SIZE = 8
MEMORY = 1 << 20
BASE = 0x1000


@pytest.fixture
def memory() -> Memory:
    return Memory.blank(MEMORY)


@pytest.fixture
def driver(memory: Memory) -> Driver:
    return Driver(memory, BASE, SIZE)


@pytest.fixture
def queue(memory: Memory, driver: Driver) -> Virtqueue:
    queue = Virtqueue(Dma(memory, lambda start, end: None), QueueState())
    driver.set_up(queue.state)
    return queue


def test_requests_come_in_order_and_go_back(queue: Virtqueue, driver: Driver) -> None:
    heads = [driver.put([(0x8000, 16)], [(0x9000, 512), (0xA000, 1)]) for _ in range(2)]

    for head in heads:
        assert queue.take() == head
        chain = queue.chain(head)
        assert chain.readable == ((0x8000, 16),)
        assert chain.writable == ((0x9000, 512), (0xA000, 1))
        queue.give_back(head, 513)

    assert queue.take() is None
    assert driver.collect() == [(head, 513) for head in heads]


def test_indices_wrap(queue: Virtqueue, driver: Driver) -> None:
    for _ in range(0x1_0000 // SIZE + 3):
        heads = [driver.put([(0x8000, 1)]) for _ in range(SIZE)]
        for head in heads:
            assert queue.take() == head
            queue.give_back(head, 0)
        assert [head for head, _ in driver.collect()] == heads


def test_an_indirect_table_holds_a_long_chain(queue: Virtqueue, driver: Driver) -> None:
    queue.indirect = True
    parts = [(0x8000 + 16 * n, 16) for n in range(40)]

    head = driver.put(parts, [(0x9000, 1)], table=0x20000)

    assert queue.take() == head
    assert queue.chain(head).readable == tuple(parts)


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        (lambda d: d.descriptor(0, 0, 1, DESC_NEXT, 0), "loops"),
        (lambda d: d.descriptor(0, 0, 1, DESC_NEXT, SIZE), "descriptor 8"),
        (lambda d: d.descriptor(0, 0, 16, DESC_INDIRECT, 0), "indirect"),
        (
            lambda d: (
                d.descriptor(0, 0, 1, DESC_NEXT | DESC_WRITE, 1),
                d.descriptor(1, 0, 1, 0, 0),
            ),
            "behind",
        ),
        (lambda d: d.descriptor(0, 0, 0xFFFFFFFF, 0, 0), "bytes"),
    ],
    ids=["loop", "beyond the table", "indirect unasked", "read after write", "too long"],
)
def test_a_chain_that_lies_breaks_the_queue(
    queue: Virtqueue, driver: Driver, lie: object, words: str
) -> None:
    lie(driver)  # type: ignore[operator]
    driver.make_available(0)

    head = queue.take()
    assert head == 0
    with pytest.raises(QueueBrokenError, match=words):
        queue.chain(head)


@pytest.mark.parametrize("length", [0, 8, 24, 16 * 1025])
def test_an_indirect_table_of_an_odd_size_breaks_the_queue(
    queue: Virtqueue, driver: Driver, length: int
) -> None:
    queue.indirect = True
    driver.descriptor(0, 0x8000, length, DESC_INDIRECT, 0)

    with pytest.raises(QueueBrokenError, match="indirect table"):
        queue.chain(0)


def test_more_requests_than_the_queue_has_break_it(queue: Virtqueue, driver: Driver) -> None:
    for _ in range(SIZE + 1):
        driver.make_available(0)

    with pytest.raises(QueueBrokenError, match="9 requests"):
        queue.take()


@pytest.mark.parametrize("ring", ["descriptors", "driver", "device"])
@pytest.mark.parametrize("address", [MEMORY, MEMORY - 1, 1 << 63, (1 << 64) - 2])
def test_rings_outside_ram_break_the_queue(
    queue: Virtqueue, driver: Driver, ring: str, address: int
) -> None:
    driver.put([(0x8000, 1)])
    setattr(queue.state, ring, address)

    def serve() -> None:
        head = queue.take()
        assert head is not None
        queue.chain(head)
        queue.give_back(head, 0)

    with pytest.raises(QueueBrokenError, match="RAM"):
        serve()


def test_the_driver_may_not_want_to_hear(queue: Virtqueue, driver: Driver) -> None:
    driver.suppress(True)
    queue.give_back(0, 0)
    assert not queue.wants_interrupt()

    driver.suppress(False)
    assert not queue.wants_interrupt()
    queue.give_back(0, 0)
    assert queue.wants_interrupt()


def test_with_an_event_index_it_hears_once_it_is_passed(queue: Virtqueue, driver: Driver) -> None:
    queue.event_index = True
    driver.hear_of(2)
    wanted = []
    for _ in range(5):
        queue.give_back(0, 0)
        wanted.append(queue.wants_interrupt())

    assert wanted == [False, False, True, False, False]


def test_the_device_asks_to_be_told(queue: Virtqueue, driver: Driver) -> None:
    queue.event_index = True
    driver.put([(0x8000, 1)])
    queue.take()

    queue.ask_to_be_told()

    assert driver.avail_event == 1


@given(seed=st.integers(0, 1 << 32))
@settings(max_examples=300)
def test_no_content_of_the_rings_raises_anything_else(seed: int) -> None:
    chance = random.Random(seed)
    memory = Memory.blank(MEMORY)
    memory.write(BASE, chance.randbytes(2048))
    queue = Virtqueue(Dma(memory, lambda start, end: None), QueueState())
    queue.event_index, queue.indirect = chance.random() < 0.5, chance.random() < 0.5
    Driver(memory, BASE, SIZE).set_up(queue.state)
    memory.write(queue.state.driver + 2, chance.choice([1, 3, 8]).to_bytes(2, "little"))
    try:
        while (head := queue.take()) is not None:
            chain = queue.chain(head)
            assert chain.to_read + chain.to_write <= 1 << 27
            queue.give_back(head, chance.randrange(1 << 32))
            queue.wants_interrupt()
    except QueueBrokenError:
        pass
