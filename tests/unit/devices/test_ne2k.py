# SPDX-License-Identifier: BSD-2-Clause
"""An NE2000 as its drivers use it: cut anywhere by a suspend, and drivers that lie."""

from __future__ import annotations

import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manager.bus.clock import Clock, ManualTime
from manager.bus.ethernet import MAX_FRAME
from manager.bus.lines import Wire
from manager.bus.pci import PciHeader, PciSlot
from manager.bus.record import from_plain, to_plain
from manager.devices.claims import IoBar
from manager.devices.ne2k import IDENTITY
from manager.devices.ne2k import registers as ne
from manager.devices.ne2k.device import Ne2k, Ne2kState
from manager.devices.ne2k.dp8390 import wire_time
from manager.devices.ne2k.registers import PORTS, PORTS_BAR
from manager.devices.nic_port import PLUGGED, PULLED
from manager.machine.network_port import NetworkPort

MAC = bytes.fromhex("525400123456")
OTHER = bytes.fromhex("020000000001")
EVERYONE = b"\xff" * 6
GROUP = bytes.fromhex("01005e000001")
GROUP_BIT = 31
SEND, START, STOP = 0x40, 0x46, 0x80
"""Pages: frames to send, and the receive ring."""
SECOND = 1_000_000_000
PAGE0, PAGE1 = ne.REMOTE_ABORT, ne.REMOTE_ABORT | 1 << ne.PAGE_SHIFT


def frame(number: int, length: int = 100, target: bytes = MAC) -> bytes:
    """A frame that can be told from others."""
    return (target + OTHER).ljust(length, bytes([number]))


class Bench:
    """The card and what a driver does to it; `again` makes another one that gets only records."""

    def __init__(self, now: int = 1000) -> None:
        self.time = ManualTime(now)
        self.clock = Clock(self.time)
        self.cable = NetworkPort("slots.6")
        self.sent: list[bytes] = []
        self.cable.listeners.add(self.sent.append)
        self.level = False
        header = PciHeader(IDENTITY, bars=(IoBar(PORTS_BAR, 0xC000, PORTS),))
        slot = PciSlot(line=Wire(lambda level: setattr(self, "level", level)))
        self.card = Ne2k(header, slot, self.clock, self.cable, MAC)
        self.next = START + 1

    def again(self) -> Bench:
        other = Bench(self.time.value)
        other.sent[:0], other.next = self.sent, self.next
        other.card.load(from_plain(Ne2kState, to_plain(self.card.save()), 1, "ne2k"))
        return other

    def write(self, port: int, value: int, size: int = 1) -> None:
        self.card.write_wide(port, size, value)

    def read(self, port: int, size: int = 1) -> int:
        return self.card.read_wide(port, size)

    def pass_time(self, ns: int = SECOND) -> None:
        self.time.advance(self.clock, ns)

    # -- what a driver does -------------------------------------------------------------------

    def start(self, receive: int = ne.BROADCAST, *, wide: bool = True) -> Bench:
        self.read(ne.RESET)
        assert self.read(ne.INTERRUPT_STATUS) & ne.IN_RESET
        self.write(ne.COMMAND, PAGE0 | ne.STOP)
        self.write(0x0E, ne.NO_LOOPBACK | (ne.WORD_WIDE if wide else 0))
        for port, value in ((0x01, START), (0x02, STOP), (0x03, START), (0x04, SEND)):
            self.write(port, value)
        self.write(0x0C, receive)
        self.write(0x07, 0xFF)
        self.write(0x0F, ne.INTERRUPTING)
        self.write(ne.COMMAND, PAGE1 | ne.STOP)
        for number, byte in enumerate(MAC):
            self.write(ne.PHYSICAL + number, byte)
        self.write(ne.CURRENT, START + 1)
        self.write(ne.COMMAND, PAGE0 | ne.START)
        return self

    def remote(self, command: int, address: int, count: int) -> None:
        for port, value in ((0x08, address), (0x0A, count)):
            self.write(port, value & 0xFF)
            self.write(port + 1, value >> 8)
        self.write(ne.COMMAND, command | ne.START)

    def get(self, address: int, length: int, size: int = 2) -> bytes:
        length += -length % size
        self.remote(ne.REMOTE_READ, address, length)
        parts = [self.read(ne.DATA, size).to_bytes(size, "little") for _ in range(length // size)]
        return b"".join(parts)

    def put(self, address: int, data: bytes, size: int = 2) -> None:
        data = data.ljust(len(data) + -len(data) % size, b"\0")
        self.remote(ne.REMOTE_WRITE, address, len(data))
        for at in range(0, len(data), size):
            self.write(ne.DATA, int.from_bytes(data[at : at + size], "little"), size)

    def send(self, data: bytes, size: int = 2) -> None:
        self.put(SEND << 8, data, size)
        self.write(0x05, len(data) & 0xFF)
        self.write(0x06, len(data) >> 8)
        self.write(ne.COMMAND, PAGE0 | ne.START | ne.TRANSMIT)

    def current(self) -> int:
        self.write(ne.COMMAND, PAGE1)
        found = self.read(ne.CURRENT)
        self.write(ne.COMMAND, PAGE0)
        return found

    def collect(self, size: int = 2) -> list[bytes]:
        """All frames in the ring, with their checksum; frees their pages."""
        found = []
        while self.next != self.current():
            status, following, low, high = self.get(self.next << 8, 4, size)
            assert status & ne.RECEIVED_WHOLE
            found.append(self.get((self.next << 8) + 4, low | high << 8, size)[: low | high << 8])
            self.next = following
            self.write(ne.BOUNDARY, self.next - 1 if self.next > START else STOP - 1)
        return found


def with_checksum(data: bytes) -> bytes:
    data = data.ljust(60, b"\0")
    return data + zlib.crc32(data).to_bytes(4, "little")


def test_drivers_know_the_card_and_its_address() -> None:
    bench = Bench()
    assert bench.read(0x0A, 2) == int.from_bytes(b"PC", "little")
    bench.start()
    # By words, and by bytes that skip every other one, as Linux reads it.
    assert bench.get(0, 32)[::2] == MAC + bytes(8) + b"WW"
    bench.remote(ne.REMOTE_READ, 0, 32)
    assert bytes(bench.read(ne.DATA) for _ in range(6)) == MAC


@pytest.mark.parametrize("size", [1, 2, 4])
def test_frames_go_out_and_come_in(size: int) -> None:
    bench = Bench().start(wide=size > 1)

    bench.send(frame(1), size)
    assert bench.read(ne.COMMAND) & ne.TRANSMIT
    bench.pass_time(wire_time(100) - 1)
    assert bench.sent == []
    bench.pass_time(1)
    assert bench.sent == [frame(1)]
    assert not bench.read(ne.COMMAND) & ne.TRANSMIT
    assert bench.level
    assert bench.read(ne.INTERRUPT_STATUS) & ne.SENT
    bench.write(ne.INTERRUPT_STATUS, 0xFF)
    assert not bench.level

    bench.cable.arrive(frame(2, 20))
    bench.cable.arrive(frame(3, 300))
    bench.pass_time()
    assert bench.level
    assert bench.collect(size) == [with_checksum(frame(2, 20)), with_checksum(frame(3, 300))]


def test_the_ring_goes_round_for_the_card_and_for_remote_dma() -> None:
    bench = Bench().start()
    for number in range(200):
        data = frame(number, 60 + 7 * number)
        bench.cable.arrive(data)
        bench.pass_time()
        assert bench.collect() == [with_checksum(data)]


def test_a_card_that_was_started_receives_whatever_page_is_selected() -> None:
    bench = Bench().start()
    bench.write(ne.COMMAND, PAGE1)  # as Linux selects a page
    bench.cable.arrive(frame(1))
    bench.pass_time()
    assert bench.collect() == [with_checksum(frame(1))]
    bench.write(ne.COMMAND, PAGE0 | ne.STOP)
    bench.cable.arrive(frame(2))
    bench.pass_time()
    bench.write(ne.COMMAND, PAGE0 | ne.START)
    assert bench.collect() == []


def test_a_full_ring_loses_frames_and_says_so() -> None:
    bench = Bench().start()
    for number in range(20):
        bench.cable.arrive(frame(number, 1500))
    bench.pass_time()

    assert bench.read(ne.INTERRUPT_STATUS) & ne.OVERWRITE
    found = bench.collect()
    assert found == [with_checksum(frame(number, 1500)) for number in range(len(found))]
    assert len(found) == (STOP - START) // 6
    assert bench.read(0x0F) == 20 - len(found)
    assert bench.read(0x0F) == 0, "a tally is cleared as it is read"
    bench.cable.arrive(frame(99, 60))
    bench.pass_time()
    assert bench.collect() == [with_checksum(frame(99, 60))]


@pytest.mark.parametrize("step", [1000, 30_000, 100_000, 700_000])
def test_frames_may_be_cut_anywhere_by_a_suspend(step: int) -> None:
    bench = Bench().start()
    bench.send(frame(1, 600))
    for number in range(3):
        bench.cable.arrive(frame(0x40 + number, 200 + number))
    for _ in range(2_000_000 // step):
        bench = bench.again()
        bench.pass_time(step)
    assert bench.sent == [frame(1, 600)]
    assert bench.level
    expected = [with_checksum(frame(0x40 + number, 200 + number)) for number in range(3)]
    assert bench.collect() == expected


@pytest.mark.parametrize(
    ("rules", "heard"),
    [
        (0, {MAC}),
        (ne.BROADCAST, {MAC, EVERYONE}),
        (ne.GROUPS, {MAC, GROUP}),
        (ne.PROMISCUOUS, {MAC, OTHER}),
        (ne.PROMISCUOUS | ne.BROADCAST | ne.GROUPS, {MAC, OTHER, EVERYONE, GROUP}),
        (ne.BROADCAST | ne.MONITOR, set()),
    ],
)
def test_the_filter_lets_through_what_it_is_told_to(rules: int, heard: set[bytes]) -> None:
    bench = Bench().start(rules)
    bench.write(ne.COMMAND, PAGE1 | ne.START)
    bench.write(ne.MULTICAST + GROUP_BIT // 8, 1 << GROUP_BIT % 8)
    bench.write(ne.COMMAND, PAGE0 | ne.START)
    for target in (MAC, OTHER, EVERYONE, GROUP, bytes.fromhex("01005e000002")):
        bench.cable.arrive(frame(1, 60, target))
    bench.pass_time()
    assert {data[:6] for data in bench.collect()} == heard


def test_a_frame_that_is_looped_back_ends_in_the_fifo() -> None:
    bench = Bench().start()
    bench.write(0x0D, 0x02)
    bench.send(frame(7, 64))
    bench.cable.arrive(frame(1))
    bench.pass_time()
    assert bench.sent == bench.collect() == []
    tail = frame(7, 64)[-1:] + zlib.crc32(frame(7, 64)).to_bytes(4, "little") + b"\x40\0\0"
    assert bytes(bench.read(ne.FIFO) for _ in range(8)) == tail
    assert bench.read(0x0C) == ne.RECEIVED_WHOLE


def test_without_a_link_the_carrier_is_lost() -> None:
    bench = Bench().start()
    bench.card.takes()["link"](PULLED)
    bench.send(frame(1))
    bench.pass_time()
    assert bench.sent == []
    assert bench.read(0x04) & ne.NO_CARRIER
    bench.card.takes()["link"](PLUGGED)
    bench.send(frame(2))
    bench.pass_time()
    assert bench.sent == [frame(2)]
    assert not bench.read(0x04) & ne.NO_CARRIER


@pytest.mark.parametrize("length", [0, 13, MAX_FRAME + 1, 0xFFFF])
def test_what_is_no_frame_is_lost(length: int) -> None:
    bench = Bench().start()
    bench.put(SEND << 8, bytes(64))
    bench.write(0x05, length & 0xFF)
    bench.write(0x06, length >> 8)
    bench.write(ne.COMMAND, PAGE0 | ne.START | ne.TRANSMIT)
    bench.pass_time()
    assert bench.sent == []
    assert bench.read(ne.INTERRUPT_STATUS) & ne.SENT


def test_send_packet_reads_the_next_frame_and_frees_its_pages() -> None:
    bench = Bench().start()
    bench.write(ne.BOUNDARY, START + 1)
    bench.cable.arrive(frame(5, 300))
    bench.pass_time()
    bench.write(ne.COMMAND, ne.SEND_PACKET | ne.START)
    found = b"".join(bench.read(ne.DATA, 2).to_bytes(2, "little") for _ in range(304 // 2))
    assert found[4:] == frame(5, 300)
    assert bench.read(ne.INTERRUPT_STATUS) & ne.REMOTE_DONE
    assert bench.read(ne.BOUNDARY) == START + 3


@given(st.integers(0, 1 << 32))
@settings(max_examples=100)
def test_whatever_the_driver_writes_the_card_works_after_a_reset(seed: int) -> None:
    chance = random.Random(seed)
    bench = Bench()
    if chance.random() < 0.7:
        bench.start(chance.randrange(64))
    for _ in range(60):
        size = chance.choice([1, 1, 2, 4])
        port = chance.randrange(PORTS)
        if chance.random() < 0.3:
            bench.read(port, size)
        else:
            bench.write(port, chance.getrandbits(8 * size), size)
        if chance.random() < 0.2:
            bench.cable.arrive(frame(1, chance.choice([14, 60, 1514]), chance.choice([MAC, GROUP])))
            bench.pass_time(chance.choice([1000, 10_000_000]))

    bench.pass_time()
    bench.sent.clear()
    bench.write(0x0D, 0)
    bench.start()
    bench.write(ne.COMMAND, PAGE0 | ne.STOP)
    bench.write(0x0D, 0)
    bench.next = START + 1
    bench.write(ne.COMMAND, PAGE0 | ne.START)
    bench.send(frame(9))
    bench.cable.arrive(frame(8))
    bench.pass_time()
    assert bench.sent == [frame(9)]
    assert bench.collect() == [with_checksum(frame(8))]
