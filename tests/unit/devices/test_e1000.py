# SPDX-License-Identifier: BSD-2-Clause
"""An 82540EM as its drivers use it: cut anywhere by a suspend, and drivers that lie."""

from __future__ import annotations

import random
import struct
import time
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manager.bus.clock import Clock, ManualTime
from manager.bus.dma import Dma
from manager.bus.ethernet import MAX_FRAME
from manager.bus.lines import Wire
from manager.bus.memory import Memory
from manager.bus.pci import PciHeader, PciSlot
from manager.bus.record import from_plain, to_plain
from manager.devices.claims import IoBar, MemoryBar
from manager.devices.e1000 import IDENTITY, eeprom, phy
from manager.devices.e1000 import registers as e1000
from manager.devices.e1000.device import E1000, E1000State
from manager.devices.e1000.offload import ones_sum
from manager.devices.nic_port import LINK_GAP, PLUGGED, PULLED, REPLUGGED, frame_time
from manager.machine.network_port import NetworkPort

MAC = bytes.fromhex("525400123456")
OTHER = bytes.fromhex("020000000001")
EVERYONE = b"\xff" * 6
GROUP = bytes.fromhex("01005e000001")
MEMORY = 1 << 20
RECEIVE, TRANSMIT, BUFFERS, FRAMES = 0x1000, 0x3000, 0x10000, 0x80000
COUNT = 16
SECOND = 1_000_000_000
END, SUMS, REPORT, EXTENDED, VLAN = 0x01, 0x04, 0x08, 0x20, 0x40
"""Commands of descriptors; SUMS is SEGMENT in an extended one."""
BUS_MASTER = 7


def frame(number: int, length: int = 100, target: bytes = MAC) -> bytes:
    """A frame that can be told from others."""
    return (target + OTHER).ljust(length, bytes([number]))


def on_wire(data: bytes) -> bytes:
    data = data.ljust(60, b"\0")
    return data + zlib.crc32(data).to_bytes(4, "little")


class Bench:
    """The card and its driver; `again` makes another card that gets only records and RAM."""

    def __init__(self, memory: Memory | None = None, now: int = 1000) -> None:
        self.memory = memory or Memory.blank(MEMORY)
        self.time = ManualTime(now)
        self.clock = Clock(self.time)
        self.cable = NetworkPort("slots.6")
        self.sent: list[bytes] = []
        self.cable.listeners.add(self.sent.append)
        self.level = False
        header = PciHeader(
            IDENTITY,
            bars=(IoBar(e1000.PORTS_BAR, 0xC000, e1000.PORTS),),
            command=BUS_MASTER,
            memory_bars=(MemoryBar(e1000.REGISTERS_BAR, 0xFEB00000, e1000.REGISTERS_LENGTH),),
        )
        line = Wire(lambda level: setattr(self, "level", level))
        slot = PciSlot(line=line, dma=Dma(self.memory, lambda start, end: None))
        self.card = E1000(header, slot, self.clock, self.cable, MAC)
        self.filled = self.taken = self.put_at = 0
        self.status = self.special = 0

    def again(self) -> Bench:
        other = Bench(self.memory, self.time.value)
        other.sent[:0] = self.sent
        other.filled, other.taken, other.put_at = self.filled, self.taken, self.put_at
        other.card.load(from_plain(E1000State, to_plain(self.card.save()), 1, "e1000"))
        return other

    def read(self, offset: int) -> int:
        return self.card.controller.read_mmio(offset, 4)

    def write(self, offset: int, value: int) -> None:
        self.card.controller.write_mmio(offset, 4, value)

    def pass_time(self, ns: int = SECOND) -> None:
        self.time.advance(self.clock, ns)

    # -- what a driver does -------------------------------------------------------------------

    def start(self, rules: int = e1000.BROADCAST, *, buffers: int = COUNT - 1) -> Bench:
        self.write(e1000.CTRL, e1000.CTRL_RESET)
        self.write(e1000.CTRL, self.read(e1000.CTRL) | e1000.CTRL_SET_LINK_UP)
        for ring, base in ((e1000.RECEIVE_RING, RECEIVE), (e1000.TRANSMIT_RING, TRANSMIT)):
            self.write(ring + e1000.BASE_LOW, base)
            self.write(ring + e1000.LENGTH, COUNT * 16)
        self.give_buffers(buffers)
        self.write(e1000.RCTL, rules | e1000.RECEIVE_ENABLE)
        self.write(e1000.TCTL, e1000.TRANSMIT_ENABLE | e1000.PAD_SHORT)
        self.read(e1000.ICR)
        self.write(e1000.IMS, e1000.SENT | e1000.RECEIVED | e1000.LINK_CHANGED)
        return self

    def give_buffers(self, count: int) -> None:
        for _ in range(count):
            index = self.filled % COUNT
            entry = struct.pack("<QQ", BUFFERS + 0x800 * index, 0)
            self.memory.write(RECEIVE + 16 * index, entry)
            self.filled += 1
        self.write(e1000.RECEIVE_RING + e1000.TAIL, self.filled % COUNT)

    def collect(self) -> list[bytes]:
        """The frames in the buffers, which are given back."""
        found, data = [], b""
        while self.taken < self.filled:
            index = self.taken % COUNT
            raw = self.memory.read(RECEIVE + 16 * index, 16)
            address, length, _, status, errors, special = struct.unpack("<QHHBBH", raw)
            if not status & 1:
                break
            assert errors == 0
            data += self.memory.read(address, length)
            self.taken += 1
            self.status, self.special = status, special
            if status & 2:
                found.append(data)
                data = b""
        self.give_buffers(COUNT - 1 - (self.filled - self.taken))
        return found

    def put(self, address: int, command: int, options: int = 0) -> None:
        at = TRANSMIT + 16 * (self.put_at % COUNT)
        self.memory.write(at, struct.pack("<QII", address, command, options))
        self.put_at += 1

    def go(self) -> None:
        self.write(e1000.TRANSMIT_RING + e1000.TAIL, self.put_at % COUNT)

    def send(self, data: bytes, command: int = END | REPORT) -> None:
        at = FRAMES + 0x1000 * (self.put_at % COUNT)
        self.memory.write(at, data)
        self.put(at, len(data) | command << 24)
        self.go()

    def done(self, number: int) -> bool:
        return bool(self.memory.read(TRANSMIT + 16 * (number % COUNT) + 12, 1)[0] & 1)


def test_the_address_is_in_the_eeprom_in_each_way_to_it() -> None:
    bench = Bench()
    assert bench.read(e1000.ADDRESSES).to_bytes(4, "little") == MAC[:4]
    assert bench.read(e1000.ADDRESSES + 4) == e1000.ADDRESS_VALID | 0x5634

    def by_register(index: int) -> int:
        bench.write(e1000.EERD, index << 8 | 1)
        assert bench.read(e1000.EERD) & 0x10
        return bench.read(e1000.EERD) >> 16

    def by_lines(index: int) -> int:
        def clock(bit: int) -> int:
            lines = eeprom.SELECT | (eeprom.DATA_IN if bit else 0)
            bench.write(e1000.EECD, lines)
            bench.write(e1000.EECD, lines | eeprom.CLOCK)
            return 1 if bench.read(e1000.EECD) & eeprom.DATA_OUT else 0

        bench.write(e1000.EECD, 0)
        for bit in f"{0b110:03b}{index:06b}":
            clock(int(bit))
        return int("".join(str(clock(0)) for _ in range(16)), 2)

    for read in (by_register, by_lines):
        words = [read(index) for index in range(64)]
        assert struct.pack("<3H", *words[:3]) == MAC
        assert sum(words) & 0xFFFF == 0xBABA
    bench.write(e1000.EECD, eeprom.REQUEST)
    assert bench.read(e1000.EECD) & eeprom.GRANT


def test_the_phy_tells_of_the_link() -> None:
    bench = Bench()

    def mii(number: int, value: int | None = None) -> int:
        command = phy.READ if value is None else phy.WRITE | value
        bench.write(e1000.MDIC, command | number << 16 | 1 << 21)
        assert bench.read(e1000.MDIC) & (phy.READY | phy.ERROR) == phy.READY
        return bench.read(e1000.MDIC) & 0xFFFF

    assert (mii(2), mii(3) & 0xFFF0) == (0x0141, 0x0C20)
    assert mii(1) & 0x24 == 0x24
    assert not bench.read(e1000.STATUS) & e1000.STATUS_LINK
    bench.write(e1000.CTRL, bench.read(e1000.CTRL) | e1000.CTRL_SET_LINK_UP)
    assert bench.read(e1000.STATUS) & e1000.STATUS_LINK
    assert bench.read(e1000.ICR) & e1000.LINK_CHANGED
    mii(0, mii(0) | phy.POWER_DOWN)
    assert not bench.read(e1000.STATUS) & e1000.STATUS_LINK
    mii(0, phy.RESET)
    assert bench.read(e1000.STATUS) & e1000.STATUS_LINK
    bench.write(e1000.MDIC, phy.READ | 2 << 21)
    assert bench.read(e1000.MDIC) & phy.ERROR


def test_the_ports_reach_the_registers() -> None:
    bench = Bench()
    bench.card.write_wide(e1000.IO_ADDRESS, 4, e1000.TCTL)
    bench.card.write_wide(e1000.IO_DATA, 4, 0x1234)
    assert bench.read(e1000.TCTL) == bench.card.read_wide(e1000.IO_DATA, 4) == 0x1234
    bench.card.write_wide(e1000.IO_ADDRESS, 4, e1000.CTRL)
    bench.card.write_wide(e1000.IO_DATA, 4, e1000.CTRL_RESET)
    assert bench.read(e1000.TCTL) == 0
    assert bench.card.read_wide(e1000.IO_ADDRESS, 4) == e1000.CTRL


def test_frames_go_out_and_come_in() -> None:
    bench = Bench().start()

    bench.send(frame(1))
    bench.pass_time(frame_time(100) - 1)
    assert bench.sent == []
    assert not bench.done(0)
    bench.pass_time(1)
    assert bench.sent == [frame(1)]
    assert bench.done(0)
    assert bench.level
    assert bench.read(e1000.ICR) & (e1000.SENT | e1000.QUEUE_EMPTY)
    assert not bench.level
    bench.send(frame(2, 20))
    bench.pass_time()
    assert bench.sent[1] == frame(2, 20).ljust(60, b"\0")

    bench.cable.arrive(frame(3, 20))
    bench.cable.arrive(frame(4, 1514))
    bench.pass_time()
    assert bench.level
    assert bench.collect() == [on_wire(frame(3, 20)), on_wire(frame(4, 1514))]
    counters = (0x4074, 0x4080, 0x4088, 0x408C)
    assert [bench.read(at) for at in counters] == [2, 2, 64 + 1518, 0]
    assert [bench.read(at) for at in counters] == [0, 0, 0, 0]


def test_a_frame_may_have_several_parts() -> None:
    bench = Bench().start()
    data = frame(7, 300)
    bench.memory.write(FRAMES, data)
    for at, command in ((0, 0), (100, 0), (200, END | REPORT)):
        bench.put(FRAMES + at, 100 | command << 24)
    bench.write(e1000.TRANSMIT_RING + e1000.TAIL, 2)
    bench.pass_time()
    assert bench.sent == []
    bench.go()
    bench.pass_time()
    assert bench.sent == [data]
    small = 3 << e1000.SIZE_SHIFT
    bench.write(e1000.RCTL, e1000.RECEIVE_ENABLE | e1000.STRIP_CHECKSUM | small)
    bench.cable.arrive(frame(8, 1000))
    bench.pass_time()
    assert bench.collect() == [frame(8, 1000)]
    assert bench.taken == 4


def test_a_frame_waits_until_there_are_buffers() -> None:
    bench = Bench().start(buffers=1)
    for number in range(5):
        bench.cable.arrive(frame(number))
    bench.pass_time()
    bench = bench.again()
    assert bench.cable.waiting == 4
    assert bench.collect() == [on_wire(frame(0))]
    bench.pass_time()
    assert bench.collect() == [on_wire(frame(number)) for number in range(1, 5)]


@pytest.mark.parametrize("step", [1, 300, 900, 5000])
def test_frames_may_be_cut_anywhere_by_a_suspend(step: int) -> None:
    bench = Bench().start()
    for number in range(3):
        bench.send(frame(number, 60 + number))
        bench.cable.arrive(frame(0x40 + number, 200 + number))
    if step == 1:
        bench.pass_time(3 * 1060)
    for _ in range(20_000 // max(step, 100)):
        bench = bench.again()
        bench.pass_time(step)
    bench.pass_time()

    assert bench.sent == [frame(number, 60 + number) for number in range(3)]
    assert all(bench.done(number) for number in range(3))
    expected = [on_wire(frame(0x40 + number, 200 + number)) for number in range(3)]
    assert bench.collect() == expected
    assert bench.level


@pytest.mark.parametrize(
    ("rules", "heard"),
    [
        (0, {MAC, GROUP}),
        (e1000.BROADCAST, {MAC, GROUP, EVERYONE}),
        (e1000.ALL_STATIONS, {MAC, OTHER, GROUP}),
        (e1000.ALL_GROUPS, {MAC, GROUP, EVERYONE, bytes.fromhex("01005e000002")}),
    ],
)
def test_the_filter_lets_through_what_it_is_told_to(rules: int, heard: set[bytes]) -> None:
    bench = Bench().start(rules)
    bit = int.from_bytes(GROUP[4:], "little") >> 4
    bench.write(e1000.GROUPS + 4 * (bit >> 5), 1 << (bit & 31))
    for target in (MAC, OTHER, EVERYONE, GROUP, bytes.fromhex("01005e000002")):
        bench.cable.arrive(frame(1, 60, target))
    bench.pass_time()
    assert {data[:6] for data in bench.collect()} == heard


def test_vlan_tags_are_filtered_taken_off_and_put_on() -> None:
    bench = Bench().start(e1000.VLAN_FILTER | e1000.STRIP_CHECKSUM)
    bench.write(0x38, 0x8100)
    bench.write(e1000.CTRL, e1000.CTRL_SET_LINK_UP | e1000.CTRL_VLAN)
    bench.write(e1000.VLANS + 4 * (5 >> 5), 1 << 5)
    tagged = frame(1)[:12] + bytes.fromhex("81000005") + frame(1)[12:]
    bench.cable.arrive(tagged)
    bench.cable.arrive(tagged.replace(bytes.fromhex("81000005"), bytes.fromhex("81000006")))
    bench.pass_time()
    assert bench.collect() == [frame(1)]
    assert (bench.status & 8, bench.special) == (8, 5)

    bench.memory.write(FRAMES, frame(1))
    bench.put(FRAMES, len(frame(1)) | (END | VLAN) << 24, 5 << 16)
    bench.go()
    bench.pass_time()
    assert bench.sent == [tagged]


IP, TCP = 14, 34
HEADERS = 54


def tcp_packet(payload: bytes, *, with_length: bool) -> bytes:
    """A frame of IPv4 and TCP as a driver leaves it to the card: sums of pseudo-headers alone."""
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(payload), 0xFFFF, 0, 64, 6, 0)
    ends = bytes.fromhex("0a000201 0a000202")
    pseudo = ends + struct.pack(">HH", 6, 20 + len(payload) if with_length else 0)
    tcp = struct.pack(">HHIIBBHHH", 1, 2, 0xFFFF_FF00, 9, 0x50, 0x19, 100, ones_sum(pseudo), 0)
    return MAC + OTHER + b"\x08\0" + ip + ends + tcp + payload


def verify(data: bytes) -> tuple[int, int, int, bytes]:
    """Identification, sequence number, flags and payload of a packet whose sums are right."""
    assert ones_sum(data[IP:TCP]) == 0xFFFF
    (length, ident) = struct.unpack_from(">HH", data, IP + 2)
    pseudo = data[IP + 12 : TCP] + struct.pack(">HH", 6, length - 20)
    assert ones_sum(pseudo + data[TCP : IP + length]) == 0xFFFF
    (sequence,) = struct.unpack_from(">I", data, TCP + 4)
    return ident, sequence, data[TCP + 13], data[HEADERS : IP + length]


def context(bench: Bench, kind: int, payload: int, segment: int) -> None:
    places = struct.pack("<BBHBBH", IP, IP + 10, TCP - 1, TCP, TCP + 16, 0)
    command = payload | (EXTENDED | REPORT | kind) << 24
    bench.put(int.from_bytes(places, "little"), command, HEADERS << 8 | segment << 16)


def test_sums_are_put_into_whole_frames() -> None:
    bench = Bench().start()
    data = tcp_packet(b"hello, world!", with_length=True)
    bench.memory.write(FRAMES, data)
    context(bench, 0x03, 0, 0)
    bench.put(FRAMES, len(data) | 1 << 20 | (EXTENDED | END | REPORT) << 24, 3 << 8)
    bench.go()
    bench.pass_time()
    assert verify(bench.sent[0])[3] == b"hello, world!"
    assert bench.done(0)
    assert bench.done(1)


def test_a_long_packet_becomes_segments() -> None:
    bench = Bench().start()
    payload = random.Random(1).randbytes(4000)
    data = tcp_packet(payload, with_length=False)
    bench.memory.write(FRAMES, data)
    context(bench, 0x03 | SUMS, len(payload), 1460)
    for start, end in ((0, HEADERS), (HEADERS, 3000), (3000, len(data))):
        last = END | REPORT if end == len(data) else 0
        command = EXTENDED | SUMS | last
        bench.put(FRAMES + start, end - start | 1 << 20 | command << 24, 3 << 8)
    bench.go()
    bench = bench.again()
    bench.pass_time()

    parts = [verify(item) for item in bench.sent]
    assert b"".join(part[3] for part in parts) == payload
    assert [len(part[3]) for part in parts] == [1460, 1460, 1080]
    assert [part[0] for part in parts] == [0xFFFF, 0, 1]
    assert [part[1] for part in parts] == [0xFFFF_FF00, 0x4B4, 0xA68]
    assert [part[2] for part in parts] == [0x10, 0x10, 0x19]


def test_the_driver_sees_the_link_go_and_come_back() -> None:
    bench = Bench().start()
    pull = bench.card.takes()["link"]
    pull(PULLED)
    assert bench.level
    assert bench.read(e1000.ICR) == e1000.LINK_CHANGED
    assert not bench.read(e1000.STATUS) & e1000.STATUS_LINK
    bench.send(frame(1))
    bench.cable.arrive(frame(1))
    bench.pass_time()
    assert bench.sent == bench.collect() == []
    pull(PLUGGED)
    pull(REPLUGGED)
    bench = bench.again()
    bench.pass_time(LINK_GAP - 1)
    assert not bench.read(e1000.STATUS) & e1000.STATUS_LINK
    bench.pass_time(1)
    assert bench.read(e1000.STATUS) & e1000.STATUS_LINK
    assert bench.level


def test_frames_are_looped_back() -> None:
    bench = Bench().start(e1000.LOOPBACK)
    bench.send(frame(5))
    bench.pass_time()
    assert bench.sent == []
    assert bench.collect() == [on_wire(frame(5))]


def test_what_no_packet_can_be_is_dropped_and_given_back() -> None:
    bench = Bench().start()
    bench.put(MEMORY - 4, 100 | (END | REPORT) << 24)
    bench.put(FRAMES, MAX_FRAME + 1 | (END | REPORT) << 24)
    bench.put(FRAMES, 0 | (END | REPORT) << 24)
    context(bench, 0x03 | SUMS, 0xFFFFF, 1)
    bench.put(FRAMES, 0x1FFFF | 1 << 20 | (EXTENDED | SUMS | END | REPORT) << 24, 3 << 8)
    bench.go()
    bench.pass_time()
    assert bench.sent == []
    assert all(bench.done(number) for number in range(5))
    bench.send(frame(1))
    bench.pass_time()
    assert bench.sent == [frame(1)]


def test_the_longest_ring_of_parts_without_an_end_takes_no_long_time() -> None:
    bench = Bench().start()
    bench.write(e1000.TRANSMIT_RING + e1000.BASE_LOW, 0)
    bench.write(e1000.TRANSMIT_RING + e1000.LENGTH, 0xFFFFFFFF)
    start = time.process_time()
    for tail in range(1, 0xFFF0, 0x100):
        bench.write(e1000.TRANSMIT_RING + e1000.TAIL, tail)
        bench.pass_time(1000)
    assert time.process_time() - start < 2


@given(st.integers(0, 1 << 32))
@settings(max_examples=30)
def test_whatever_the_driver_says_the_card_works_after_a_reset(seed: int) -> None:
    chance = random.Random(seed)
    bench = Bench().start(chance.getrandbits(27))
    registers = [
        *(e1000.TRANSMIT_RING + at for at in (0, 4, 8, 0x10, 0x18, 0x18, 0x18)),
        *(e1000.RECEIVE_RING + at for at in (0, 4, 8, 0x10, 0x18, 0x18)),
        *(e1000.CTRL, e1000.RCTL, e1000.TCTL, e1000.MDIC, e1000.EECD, e1000.EERD, e1000.ICS),
    ]
    for _ in range(40):
        for ring in (TRANSMIT, RECEIVE):
            address = chance.choice([FRAMES, MEMORY - 8, 0, ring, chance.getrandbits(64)])
            command = chance.choice([chance.getrandbits(32), 100 | chance.getrandbits(8) << 24])
            entry = struct.pack("<QII", address, command, chance.getrandbits(32))
            bench.memory.write(ring + 16 * chance.randrange(COUNT), entry)
        value = chance.choice([chance.randrange(COUNT), chance.getrandbits(32)])
        offset = chance.choice(registers)
        if chance.random() < 0.3:
            offset = chance.randrange(0, e1000.REGISTERS_LENGTH, 4)
        bench.write(offset, value)
        bench.read(chance.randrange(0, 0x6000, 4))
        bench.cable.arrive(frame(1, chance.choice([14, 60, 1514]), chance.choice([MAC, GROUP])))
        bench.pass_time(chance.choice([1000, 1_000_000]))

    bench.sent.clear()
    bench.write(e1000.MDIC, phy.WRITE | phy.RESET | 1 << 21)
    bench.memory.write(0x1000, bytes(0x4000))
    bench.filled = bench.taken = bench.put_at = 0
    bench.start()
    bench.send(frame(9))
    bench.cable.arrive(frame(8))
    bench.pass_time()
    assert bench.sent == [frame(9)]
    assert bench.collect() == [on_wire(frame(8))]
