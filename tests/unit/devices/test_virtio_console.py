# SPDX-License-Identifier: BSD-2-Clause
"""virtio-console between queues and channels: cut anywhere by a suspend, and drivers that lie."""

from __future__ import annotations

import random
import struct

import pytest
from support.virtqueue import Driver

from manager.bus.clock import Clock, ManualTime
from manager.bus.dma import Dma
from manager.bus.memory import Memory
from manager.bus.record import from_plain, to_plain
from manager.devices.virtio.device import DRIVER_OK, EVENT_IDX, NEEDS_RESET, VirtioState
from manager.devices.virtio.queue import DESC_WRITE, QueueState
from manager.devices.virtio.server import ServiceState
from manager.devices.virtio_console import ports as vc
from manager.devices.virtio_console.ports import MULTIPORT, QUEUES, ConsoleCore, PortState
from manager.machine.serial_port import SerialPort

SIZE = 16
RINGS = 0x1000
BUFFERS, OUTPUT, MESSAGES = 0x20000, 0x60000, 0x80000
RECEIVE, TRANSMIT, AGENT_RECEIVE, AGENT_TRANSMIT = 0, 1, 4, 5
SECOND = 1_000_000_000
Told = tuple[int, int, int, bytes]


class Bench:
    """The device's core with a console and a port "agent"; `again` makes one from the records."""

    def __init__(self, memory: Memory, now: int = 1000) -> None:
        self.memory = memory
        self.time = ManualTime(now)
        self.clock = Clock(self.time)
        self.channels = [SerialPort("slots.8"), SerialPort("slots.8.ports.agent")]
        self.sent = [bytearray(), bytearray()]
        for channel, sent in zip(self.channels, self.sent, strict=True):
            channel.listeners.add(sent.extend)
        dma = Dma(memory, lambda start, end: None)
        self.core = ConsoleCore(dma, self.clock, self.channels, ["agent"])
        self.interrupts = 0
        self.core.interrupt = self._interrupted

    def _interrupted(self, _isr: int, _vector: int) -> None:
        self.interrupts += 1

    def again(self) -> Bench:
        core, other = self.core, Bench(self.memory, self.time.value)
        for before, after in zip(self.channels, other.channels, strict=True):
            before.take_output()
            after.load(before.save())
        for sent, earlier in zip(other.sent, self.sent, strict=True):
            sent.extend(earlier)
        other.interrupts = self.interrupts
        queues = [from_plain(QueueState, to_plain(item.state), 1, "queue") for item in core.queues]
        control = from_plain(ServiceState, to_plain(core.control.state), 1, "control")
        ports = [from_plain(PortState, to_plain(item), 1, "port") for item in core.ports]
        other.core.adopt_ports(control, ports)
        other.core.adopt(from_plain(VirtioState, to_plain(core.virtio), 1, "virtio"), queues)
        other.core.settle()
        return other

    def peer(self, number: int, there: bool) -> None:
        """A client comes to the host's end of a port, or leaves."""
        self.channels[number].tell_peer(there)

    def pass_time(self, ns: int = SECOND) -> None:
        self.time.advance(self.clock, ns)
        for channel in self.channels:
            channel.take_output()


class Guest:
    """The bench, and the driver's side of its queues."""

    def __init__(self, features: int = MULTIPORT) -> None:
        self.bench = Bench(Memory.blank(1 << 20))
        self.queues = []
        for index in range(QUEUES):
            driver = Driver(self.bench.memory, RINGS + 0x400 * index, SIZE)
            driver.set_up(self.bench.core.queues[index].state)
            self.queues.append(driver)
        self.bench.core.set_driver_features(features)
        self.bench.core.set_status(DRIVER_OK)

    def room(self, index: int, count: int, length: int = 0x100) -> None:
        """Make buffers available."""
        for number in range(count):
            at = BUFFERS + 0x4000 * (index // 2) + 0x400 * number
            self.queues[index].put([], [(at, length)])
        self.bench.core.notify(index)

    def received(self, index: int) -> list[bytes]:
        """What is in the buffers that came back."""
        base = BUFFERS + 0x4000 * (index // 2)
        found = self.queues[index].collect()
        return [
            self.bench.memory.read(base + 0x400 * number, written)
            for number, (_, written) in enumerate(found)
        ]

    def send(self, index: int, data: bytes, at: int = OUTPUT) -> None:
        self.bench.memory.write(at, data)
        self.queues[index].put([(at, len(data))])
        self.bench.core.notify(index)

    def say(self, number: int, event: int, value: int) -> None:
        """A control message, and the time that it takes."""
        self.send(vc.CONTROL_TRANSMIT, struct.pack("<IHH", number, event, value), MESSAGES)
        self.bench.pass_time()

    def told(self) -> list[Told]:
        """The control messages that came."""
        messages = self.received(vc.CONTROL_RECEIVE)
        return [(*struct.unpack_from("<IHH", data), data[8:]) for data in messages]

    def set_up(self) -> None:
        """All that Linux says to have both ports, the second one open."""
        self.room(vc.CONTROL_RECEIVE, SIZE)
        self.say(0, vc.DEVICE_READY, 1)
        for number in (0, 1):
            self.say(number, vc.PORT_READY, 1)
            self.say(number, vc.PORT_OPEN, 1)


def test_the_driver_is_told_of_the_ports_as_it_gets_ready() -> None:
    guest = Guest()
    guest.room(vc.CONTROL_RECEIVE, SIZE)

    guest.say(0, vc.DEVICE_READY, 1)
    guest.say(0, vc.PORT_READY, 1)
    guest.say(1, vc.PORT_READY, 1)

    assert guest.told() == [
        (0, vc.DEVICE_ADD, 1, b""),
        (1, vc.DEVICE_ADD, 1, b""),
        (0, vc.CONSOLE_PORT, 1, b""),
        (0, vc.PORT_OPEN, 1, b""),
        (1, vc.PORT_NAME, 1, b"agent"),
        (1, vc.PORT_OPEN, 1, b""),
    ]


def test_a_client_that_leaves_closes_the_host_s_end_until_the_next_one() -> None:
    guest = Guest()
    guest.set_up()
    channel = guest.bench.channels[1]
    assert channel.peer is not None
    assert channel.peer.has_peer() is None

    guest.bench.peer(1, there=True)
    guest.bench.peer(1, there=False)
    guest.bench = guest.bench.again()
    guest.bench.peer(1, there=True)
    guest.bench.peer(1, there=True)
    guest.bench.peer(0, there=False)

    assert guest.told()[-3:] == [
        (1, vc.PORT_OPEN, 1, b""),
        (1, vc.PORT_OPEN, 0, b""),
        (1, vc.PORT_OPEN, 1, b""),
    ]


def test_a_driver_that_comes_later_hears_that_the_client_has_left() -> None:
    guest = Guest()
    guest.bench.peer(1, there=True)
    guest.bench.peer(1, there=False)

    guest.room(vc.CONTROL_RECEIVE, SIZE)
    guest.say(1, vc.PORT_READY, 1)

    assert guest.told() == [(1, vc.PORT_NAME, 1, b"agent"), (1, vc.PORT_OPEN, 0, b"")]


def test_what_there_is_no_room_to_tell_is_told_later_and_once() -> None:
    guest = Guest()
    for _ in range(5):
        guest.say(0, vc.DEVICE_READY, 1)
        guest.say(1, vc.PORT_READY, 1)
        guest.bench = guest.bench.again()
    assert guest.told() == []

    guest.room(vc.CONTROL_RECEIVE, SIZE)

    assert [(number, event) for number, event, _, _ in guest.told()] == [
        (0, vc.DEVICE_ADD),
        (1, vc.DEVICE_ADD),
        (1, vc.PORT_NAME),
        (1, vc.PORT_OPEN),
    ]


@pytest.mark.parametrize("features", [0, MULTIPORT, MULTIPORT | EVENT_IDX])
@pytest.mark.parametrize("step", [1, 1000, 2500, 20_000])
def test_bytes_may_be_cut_anywhere_by_a_suspend(step: int, features: int) -> None:
    guest = Guest(features)
    if features:
        guest.set_up()
    for number in range(3):
        guest.send(TRANSMIT, b"out %d " % number, OUTPUT + 0x100 * number)
    guest.bench = guest.bench.again()
    guest.bench.channels[0].arrive(b"in, in two pieces")
    if step == 1:
        guest.bench.pass_time(5010)
    for _ in range(100_000 // max(step, 1000)):
        guest.bench = guest.bench.again()
        guest.bench.pass_time(step)
    guest.room(RECEIVE, 1, 8)
    guest.bench = guest.bench.again()
    guest.bench.pass_time()
    guest.room(RECEIVE, 1, 0x100)

    assert bytes(guest.bench.sent[0]) == b"out 0 out 1 out 2 "
    assert len(guest.queues[TRANSMIT].collect()) == 3
    (first, _), (second, _) = [(written, head) for head, written in guest.queues[0].collect()]
    assert (first, second) == (8, 9)
    assert guest.bench.interrupts


def test_a_port_with_a_name_gets_input_only_while_it_is_open() -> None:
    guest = Guest()
    guest.room(AGENT_RECEIVE, 4)
    guest.bench.channels[1].arrive(b"early")
    assert guest.received(AGENT_RECEIVE) == []

    guest.set_up()
    assert guest.received(AGENT_RECEIVE) == [b"early"]
    guest.say(1, vc.PORT_OPEN, 0)
    guest.bench.channels[1].arrive(b"late")

    assert guest.bench.channels[1].pending == len(b"late")
    guest.send(AGENT_TRANSMIT, b"an answer")
    guest.bench.pass_time()
    assert bytes(guest.bench.sent[1]) == b"an answer"
    assert not guest.bench.sent[0]


def test_a_driver_of_one_port_needs_no_messages() -> None:
    guest = Guest(0)
    guest.room(RECEIVE, 2)
    guest.bench.channels[0].arrive(b"typed")
    guest.bench.channels[1].arrive(b"never seen")
    assert guest.received(RECEIVE) == [b"typed"]
    assert guest.bench.channels[1].pending


def test_a_byte_in_need_comes_before_any_queue() -> None:
    bench = Bench(Memory.blank(1 << 20))
    for byte in b"help":
        bench.core.write_config(vc.EMERGENCY_AT, bytes((byte, 0, 0, 0)))
        bench.core.write_config(0, b"\1\0")
    bench.pass_time()
    assert bytes(bench.sent[0]) == b"help"


def test_a_reset_closes_the_ports_and_keeps_what_waits() -> None:
    guest = Guest()
    guest.set_up()
    guest.bench.core.set_status(0)
    guest.bench.channels[1].arrive(b"for the next driver")

    assert not any(port.is_open or port.untold for port in guest.bench.core.ports)
    assert guest.bench.channels[1].pending == len(b"for the next driver")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\0" * 7,
        struct.pack("<IHH", 2, vc.PORT_OPEN, 1),
        struct.pack("<IHH", 0xFFFF_FFFF, vc.PORT_READY, 1),
        struct.pack("<IHH", 0, 0xFFFF, 0xFFFF),
        struct.pack("<IHH", 0, vc.DEVICE_READY, 0),
        struct.pack("<IHH", 1, vc.PORT_READY, 0),
        bytes(vc.LONGEST_MESSAGE + 1),
    ],
)
def test_a_message_that_makes_no_sense_is_ignored(message: bytes) -> None:
    guest = Guest()
    guest.room(vc.CONTROL_RECEIVE, SIZE)
    guest.send(vc.CONTROL_TRANSMIT, message, MESSAGES)
    guest.bench.pass_time()
    assert guest.told() == []
    assert len(guest.queues[vc.CONTROL_TRANSMIT].collect()) == 1
    assert not guest.bench.core.virtio.status & NEEDS_RESET


@pytest.mark.parametrize(
    ("index", "address", "length", "flags"),
    [
        (TRANSMIT, 1 << 40, 16, 0),
        (vc.CONTROL_TRANSMIT, 1 << 40, 8, 0),
        (RECEIVE, 1 << 40, 16, DESC_WRITE),
        (RECEIVE, OUTPUT, 16, 0),
        (RECEIVE, OUTPUT, 0, DESC_WRITE),
        (vc.CONTROL_RECEIVE, OUTPUT, 7, DESC_WRITE),
        (vc.CONTROL_RECEIVE, OUTPUT, 64, 0),
    ],
)
def test_a_buffer_that_is_none_needs_a_reset(
    index: int, address: int, length: int, flags: int
) -> None:
    guest = Guest()
    if index != vc.CONTROL_RECEIVE:
        guest.set_up()
    else:
        guest.say(0, vc.DEVICE_READY, 1)
    guest.bench.channels[0].arrive(b"something")
    guest.queues[index].descriptor(0, address, length, flags, 0)
    guest.queues[index].make_available(0)

    guest.bench.core.notify(index)
    guest.bench.pass_time()

    assert guest.bench.core.virtio.status & NEEDS_RESET


def test_whatever_a_driver_does_nothing_raises() -> None:
    chance = random.Random(8)
    for _ in range(60):
        guest = Guest(chance.choice([0, MULTIPORT, MULTIPORT | EVENT_IDX]))
        for _ in range(30):
            index = chance.randrange(QUEUES)
            match chance.randrange(5):
                case 0:
                    data = struct.pack("<IHH", *(chance.choice([0, 1, 3, 6, 7]) for _ in "abc"))
                    at = MESSAGES + 0x100 * chance.randrange(8)
                    guest.bench.memory.write(at, data)
                    guest.queues[index].descriptor(chance.randrange(SIZE), at, 8, 0, 0)
                case 1:
                    values = [chance.choice([0, 1, 8, 0x1000, BUFFERS, 1 << 40]) for _ in "ab"]
                    flags = chance.randrange(8)
                    guest.queues[index].descriptor(
                        chance.randrange(SIZE), values[0], values[1] & 0xFFFF, flags, 3
                    )
                case 2:
                    guest.queues[index].make_available(chance.randrange(SIZE + 1))
                case 3:
                    guest.bench.channels[chance.randrange(2)].arrive(b"x" * chance.randrange(300))
                case 4:
                    guest.bench.pass_time(chance.randrange(20_000))
            guest.bench.core.notify(index)
            if chance.random() < 0.2:
                guest.bench = guest.bench.again()
