# SPDX-License-Identifier: BSD-2-Clause
"""IDE channels driven as guests drive them: by polling, by interrupt and by bus master."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manager.bus.clock import Clock, ManualTime
from manager.bus.dma import Dma
from manager.bus.lines import Wire
from manager.bus.memory import Memory
from manager.bus.record import clone
from manager.devices.ide import registers as ata
from manager.devices.ide.bus_master import ChannelMaster
from manager.devices.ide.cdrom import CdRom
from manager.devices.ide.channel import Channel
from manager.devices.ide.disk import AtaDisk
from manager.devices.ide.drive import Drive
from manager.devices.ide.state import DriveState
from manager.storage.base import SECTOR, Zeros
from manager.storage.blocks import DiskBlocks
from manager.storage.disk import Disk
from manager.storage.write_log import WriteLog

SECTORS = 1 << 22
MEMORY = 1 << 20
TABLE, BUFFER = 0x1000, 0x2000


class Bench:
    """A channel with an ATA disk as master and, if wanted, a CD-ROM drive as slave."""

    def __init__(self, *, cdrom: bool = False) -> None:
        self.time = ManualTime(1000)
        self.clock = Clock(self.time)
        self.memory = Memory.blank(MEMORY)
        self.interrupts = 0
        self.line = Wire(self._level)
        self.master = ChannelMaster(
            Dma(self.memory, lambda start, end: None), lambda: self.channel.master_started()
        )
        changed: Callable[[], None] = lambda: self.channel.interrupt_changed()  # noqa: E731
        self.disk = Disk(Zeros(SECTORS * SECTOR), WriteLog.nameless())
        self.disc = Disk(Zeros(1000 * 2048), WriteLog.nameless())
        blocks = DiskBlocks(self.disk, "root", lambda text: None)
        drives: list[Drive | None] = [
            AtaDisk(DriveState(), blocks, self.clock, self.master, changed)
        ]
        disc = DiskBlocks(self.disc, "cd", lambda text: None)
        drives.append(
            CdRom(DriveState(), disc, self.clock, self.master, changed) if cdrom else None
        )
        self.channel = Channel(drives, self.line, self.master)
        self.channel.reset()

    def _level(self, level: bool) -> None:
        self.interrupts += level

    def out(self, register: int, *values: int) -> None:
        for value in values:
            self.channel.write_wide(register, 1, value)

    def inb(self, register: int) -> int:
        return self.channel.read_wide(register, 1)

    def address(self, sector: int, count: int, *, slave: bool = False, wide: bool = False) -> None:
        self.out(ata.DEVICE, 0xE0 | slave << 4 | (0 if wide else sector >> 24))
        if wide:
            self.out(ata.COUNT, count >> 8 & 0xFF)
            self.out(ata.LBA_LOW, sector >> 24 & 0xFF)
            self.out(ata.LBA_MID, sector >> 32 & 0xFF)
            self.out(ata.LBA_HIGH, sector >> 40 & 0xFF)
        self.out(ata.COUNT, count & 0xFF)
        self.out(ata.LBA_LOW, sector & 0xFF)
        self.out(ata.LBA_MID, sector >> 8 & 0xFF)
        self.out(ata.LBA_HIGH, sector >> 16 & 0xFF)

    def wait(self) -> int:
        """Poll until the drive is not busy; the status then."""
        for _ in range(10_000):
            status = self.channel.alternate_status
            if not status & ata.BSY:
                return self.inb(ata.STATUS)
            self.time.advance(self.clock, 1000)
        raise AssertionError("the drive stays busy")

    def take(self, size: int, width: int = 2) -> bytes:
        return b"".join(
            self.channel.read_wide(ata.DATA, width).to_bytes(width, "little")
            for _ in range(size // width)
        )

    def give(self, data: bytes, width: int = 2) -> None:
        for at in range(0, len(data), width):
            value = int.from_bytes(data[at : at + width], "little")
            self.channel.write_wide(ata.DATA, width, value)

    def read_pio(self, command: int, count: int, block: int = 1) -> bytes:
        self.out(ata.COMMAND, command)
        data = b""
        while len(data) < count * SECTOR:
            assert self.wait() & (ata.DRQ | ata.ERR) == ata.DRQ
            data += self.take(min(block * SECTOR, count * SECTOR - len(data)))
        return data

    def packet(self, *parts: int) -> int:
        self.out(ata.DEVICE, 0xB0)
        self.out(ata.LBA_MID, 0x00)
        self.out(ata.LBA_HIGH, 0x08)
        self.out(ata.COMMAND, ata.PACKET)
        assert self.wait() & ata.DRQ
        self.give(bytes(parts).ljust(12, b"\0"))
        return self.wait()


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("width", [2, 4])
def test_sectors_written_are_read_again(bench: Bench, wide: bool, width: int) -> None:
    data = os.urandom(3 * SECTOR)
    bench.address(0x123456, 3, wide=wide)
    bench.out(ata.COMMAND, ata.WRITE_SECTORS_EXT if wide else ata.WRITE_SECTORS)
    for n in range(3):
        assert bench.wait() & ata.DRQ
        bench.give(data[n * SECTOR : (n + 1) * SECTOR], width)
    assert bench.wait() & (ata.DRQ | ata.ERR) == 0

    assert bench.disk.read(0x123456 * SECTOR, 3 * SECTOR) == data
    bench.address(0x123456, 3, wide=wide)
    command = ata.READ_SECTORS_EXT if wide else ata.READ_SECTORS
    assert bench.read_pio(command, 3) == data


def test_a_count_of_zero_is_256_sectors(bench: Bench) -> None:
    bench.disk.write(255 * SECTOR, b"z" * SECTOR)
    bench.address(0, 0)

    assert bench.read_pio(ata.READ_SECTORS, 256)[255 * SECTOR :] == b"z" * SECTOR


def test_multiple_sectors_pass_between_two_interrupts(bench: Bench) -> None:
    data = os.urandom(20 * SECTOR)
    bench.disk.write(0, data)
    bench.address(0, 8)
    bench.out(ata.COMMAND, ata.SET_MULTIPLE)
    bench.wait()
    bench.interrupts = 0
    bench.address(0, 20)

    assert bench.read_pio(ata.READ_MULTIPLE, 20, block=8) == data
    assert bench.interrupts == 3


def test_the_guest_hears_of_each_sector_and_takes_it_back_by_reading_status(bench: Bench) -> None:
    bench.address(0, 2)
    bench.out(ata.COMMAND, ata.READ_SECTORS)
    assert bench.interrupts == 0
    bench.time.advance(bench.clock, 100_000)

    assert bench.interrupts == 1
    assert bench.line.level
    assert bench.channel.alternate_status & ata.DRQ
    assert bench.line.level
    bench.inb(ata.STATUS)
    assert not bench.line.level


def test_no_interrupts_while_nien_is_set(bench: Bench) -> None:
    bench.channel.control_port.write_port(0, ata.CONTROL_NIEN)
    bench.address(0, 1)
    bench.read_pio(ata.READ_SECTORS, 1)

    assert bench.interrupts == 0


def test_cylinders_heads_and_sectors(bench: Bench) -> None:
    bench.disk.write(((3 * 16 + 5) * 63 + 9 - 1) * SECTOR, b"c" * SECTOR)
    bench.out(ata.DEVICE, 0xA0 | 5)
    bench.out(ata.COUNT, 1)
    bench.out(ata.LBA_LOW, 9)
    bench.out(ata.LBA_MID, 3)
    bench.out(ata.LBA_HIGH, 0)

    assert bench.read_pio(ata.READ_SECTORS, 1) == b"c" * SECTOR


@pytest.mark.parametrize("command", [ata.READ_SECTORS, ata.WRITE_SECTORS, ata.READ_DMA])
def test_sectors_beyond_the_end_are_not_found(bench: Bench, command: int) -> None:
    bench.address(SECTORS - 1, 2)
    bench.out(ata.COMMAND, command)

    assert bench.wait() & ata.ERR
    assert bench.inb(ata.ERROR) == ata.IDNF


def test_an_absent_slave_reads_as_zeros(bench: Bench) -> None:
    bench.out(ata.DEVICE, 0xF0)
    bench.out(ata.COUNT, 0x55)
    bench.out(ata.COMMAND, ata.IDENTIFY)

    assert [bench.inb(register) for register in range(1, 8)] == [0] * 7
    assert bench.channel.alternate_status == 0


def test_identification_says_how_large_the_disk_is(bench: Bench) -> None:
    bench.address(0, 0)
    words = struct.unpack("<256H", bench.read_pio(ata.IDENTIFY, 1))

    assert words[60] | words[61] << 16 == SECTORS
    assert words[100] | words[101] << 16 == SECTORS
    assert words[49] & 0x300 == 0x300


def table_of(bench: Bench, *regions: tuple[int, int]) -> None:
    for number, (address, length) in enumerate(regions):
        last = number == len(regions) - 1
        entry = struct.pack("<II", address, length & 0xFFFF | last << 31)
        bench.memory.write(TABLE + 8 * number, entry)
    for n in range(4):
        bench.master.write_port(4 + n, TABLE >> 8 * n & 0xFF)


@pytest.mark.parametrize("start_first", [False, True])
def test_bus_master_reads(bench: Bench, start_first: bool) -> None:
    data = os.urandom(4 * SECTOR)
    bench.disk.write(7 * SECTOR, data)
    table_of(bench, (BUFFER, 1000), (BUFFER + 0x4000, 4 * SECTOR - 1000))
    bench.address(7, 4)
    if start_first:
        bench.master.write_port(0, 0x09)
    bench.out(ata.COMMAND, ata.READ_DMA)
    if not start_first:
        bench.master.write_port(0, 0x09)

    assert bench.wait() & (ata.ERR | ata.DRQ) == 0
    assert bench.memory.read(BUFFER, 1000) == data[:1000]
    assert bench.memory.read(BUFFER + 0x4000, 4 * SECTOR - 1000) == data[1000:]
    assert bench.master.read_port(2) & 0x07 == 0x04


def test_bus_master_writes(bench: Bench) -> None:
    data = os.urandom(2 * SECTOR)
    bench.memory.write(BUFFER, data)
    table_of(bench, (BUFFER, 2 * SECTOR))
    bench.address(1 << 21, 2, wide=True)
    bench.out(ata.COMMAND, ata.WRITE_DMA_EXT)
    bench.master.write_port(0, 0x01)

    assert bench.wait() & ata.ERR == 0
    assert bench.disk.read((1 << 21) * SECTOR, 2 * SECTOR) == data


@pytest.mark.parametrize("regions", [[(BUFFER, 100)], [(MEMORY - 512, 1024)]])
def test_a_list_that_does_not_fit_is_an_error(bench: Bench, regions: list[tuple[int, int]]) -> None:
    table_of(bench, *regions)
    bench.address(0, 2)
    bench.out(ata.COMMAND, ata.READ_DMA)
    bench.master.write_port(0, 0x09)

    assert bench.wait() & ata.ERR
    assert bench.master.read_port(2) & 0x02


def test_a_software_reset_shows_what_the_drives_are() -> None:
    bench = Bench(cdrom=True)
    bench.channel.control_port.write_port(0, ata.CONTROL_SRST)
    assert bench.channel.alternate_status & ata.BSY
    bench.channel.control_port.write_port(0, 0)
    seen = []
    for slave in (0, 0x10):
        bench.out(ata.DEVICE, 0xA0 | slave)
        seen.append((bench.inb(ata.LBA_MID), bench.inb(ata.LBA_HIGH)))

    assert seen == [(0, 0), (0x14, 0xEB)]


def test_a_disc_is_read_by_packets() -> None:
    bench = Bench(cdrom=True)
    data = os.urandom(2 * 2048)
    bench.disc.write(16 * 2048, data)
    assert bench.packet(0x00) & ata.ERR  # it was reset
    assert bench.packet(0x00) & ata.ERR == 0

    status = bench.packet(0x28, 0, 0, 0, 0, 16, 0, 0, 2)
    found = b""
    while status & ata.DRQ:
        length = bench.inb(ata.LBA_MID) | bench.inb(ata.LBA_HIGH) << 8
        found += bench.take(length)
        status = bench.wait()

    assert found == data
    assert bench.inb(ata.COUNT) & 3 == 3


def test_a_disc_says_its_capacity() -> None:
    bench = Bench(cdrom=True)
    bench.packet(0x00)

    assert bench.packet(0x25) & ata.DRQ
    assert struct.unpack(">II", bench.take(8)) == (999, 2048)


def snapshot(bench: Bench) -> list[object]:
    states = [bench.channel.state, bench.master.state]
    states += [drive.state for drive in bench.channel.drives]
    return [clone(state) for state in states]


def load(bench: Bench, states: list[object]) -> None:
    bench.channel.state, bench.master.state = states[:2]  # type: ignore[assignment]
    for drive, state in zip(bench.channel.drives, states[2:], strict=True):
        drive.state = state  # type: ignore[assignment]
    bench.channel.settle()


def test_a_transfer_may_be_cut_anywhere_by_a_suspend() -> None:
    """Each access on a bench of its own, which gets only the records and the disk's content."""
    data = os.urandom(3 * SECTOR)
    bench = Bench()
    bench.disk.write(0, data)
    bench.address(0, 3)
    bench.out(ata.COMMAND, ata.READ_SECTORS)
    found = b""
    for _ in range(10_000):
        again = Bench()
        again.disk.write(0, data)
        again.time.value = bench.time.value
        load(again, snapshot(bench))
        bench = again
        if bench.channel.alternate_status & ata.DRQ:
            found += bench.take(32)
        else:
            bench.time.advance(bench.clock, 500)
        if len(found) == len(data):
            break

    assert found == data


ACCESSES = st.tuples(
    st.integers(0, 16), st.integers(0, 255), st.sampled_from([1, 2, 4]), st.booleans()
)


@given(st.lists(ACCESSES, max_size=60))
@settings(max_examples=300)
def test_no_access_raises(accesses: list[tuple[int, int, int, bool]]) -> None:
    bench = Bench(cdrom=True)
    for place, value, size, write in accesses:
        if place < 8 and write:
            bench.channel.write_wide(place, size, value * 0x01010101 & (1 << 8 * size) - 1)
        elif place < 8:
            bench.channel.read_wide(place, size)
        elif place < 16:
            bench.master.write_port(place - 8, value)
        else:
            bench.channel.control_port.write_port(0, value)
        if size == 4:
            bench.time.advance(bench.clock, 50_000)
    for drive in bench.channel.drives:
        for item in fields(drive.state):
            assert getattr(drive.state, item.name) is not None
