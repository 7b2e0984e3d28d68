# SPDX-License-Identifier: BSD-2-Clause
"""An ATAPI CD-ROM drive with a disc that cannot be taken out.

Sources: ATA/ATAPI-6 (T13/1410D), section 9.8, the packet protocol; SFF-8020i and MMC-3 for the
commands in packets.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from manager.bus.blocks import SECTOR, Blocks
from manager.bus.clock import Clock
from manager.devices.ide import registers as ata
from manager.devices.ide.drive import (
    ACCESS_TIME,
    BLOCK_TIME,
    BUSY,
    DATA_IN,
    DATA_OUT,
    MOST_SECTORS,
    BusMaster,
    Drive,
    DriveState,
    transfer_time,
)
from manager.devices.ide.identify import identify_cdrom

DISC_SECTOR = 2048
PACKET_BYTES = 12
_PER = DISC_SECTOR // SECTOR

TEST_UNIT_READY = 0x00
REQUEST_SENSE = 0x03
INQUIRY = 0x12
MODE_SENSE_6 = 0x1A
START_STOP_UNIT = 0x1B
PREVENT_REMOVAL = 0x1E
READ_CAPACITY = 0x25
READ_10 = 0x28
SEEK_10 = 0x2B
READ_TOC = 0x43
GET_CONFIGURATION = 0x46
GET_EVENT_STATUS = 0x4A
READ_DISC_INFORMATION = 0x51
MODE_SENSE_10 = 0x5A
READ_12 = 0xA8
MECHANISM_STATUS = 0xBD

NO_SENSE, MEDIUM_ERROR, ILLEGAL_REQUEST, UNIT_ATTENTION = 0, 3, 5, 6
INVALID_COMMAND = 0x2000
OUT_OF_RANGE = 0x2100
INVALID_FIELD = 0x2400
WAS_RESET = 0x2900
UNREADABLE = 0x1100

LEAD_OUT = 0xAA
_DMA = 0x01  # features register: the bus master is to move the data
_LIMIT = 0xFFFE  # bytes of a block when the guest sets no limit, an even number


class CdRom(Drive):
    """A CD-ROM drive; the disc holds `blocks`."""

    SIGNATURE = (0x14, 0xEB)

    def __init__(
        self,
        state: DriveState,
        blocks: Blocks,
        clock: Clock,
        master: BusMaster,
        changed: Callable[[], None],
    ) -> None:
        super().__init__(state, clock, master, changed)
        self._blocks = blocks
        self._answers: dict[int, Callable[[bytes], bytes | None]] = {
            REQUEST_SENSE: self._request_sense,
            INQUIRY: self._inquiry,
            MODE_SENSE_6: lambda packet: self._mode_sense(packet, 4, packet[4]),
            MODE_SENSE_10: lambda packet: self._mode_sense(packet, 8, _u16(packet, 7)),
            READ_CAPACITY: lambda _: struct.pack(">II", max(self._sectors - 1, 0), DISC_SECTOR),
            READ_TOC: self._read_toc,
            GET_CONFIGURATION: self._get_configuration,
            GET_EVENT_STATUS: self._get_event_status,
            READ_DISC_INFORMATION: self._disc_information,
            MECHANISM_STATUS: lambda packet: bytes(8)[: _u16(packet, 8)],
        }

    @property
    def _sectors(self) -> int:
        return self._blocks.sectors // _PER

    def reset(self) -> None:
        """As after power-on."""
        super().reset()
        self.state.attention = True
        self.state.status = 0  # not ready until it is first asked, so that drivers tell it apart

    def execute(self, command: int) -> None:
        """Begin the command."""
        state = self.state
        if command == ata.PACKET:
            self.want(PACKET_BYTES, ask=False)
            state.count = ata.REASON_COMMAND
        elif command == ata.IDENTIFY_PACKET:
            self.wait(ACCESS_TIME)
        elif command in (ata.IDENTIFY, ata.READ_SECTORS):
            # Told apart from a disk by refusing, with the signature in place.
            state.count = state.lba_low = 1
            state.lba_mid, state.lba_high = self.SIGNATURE
            self.fail()
        elif command == ata.DEVICE_RESET:
            self.reset()
        elif command in (ata.SET_FEATURES, ata.IDLE_IMMEDIATE, ata.STANDBY_IMMEDIATE):
            self.done()
        else:
            self.fail()

    def step(self) -> None:
        """What comes next depends on the command."""
        state = self.state
        if state.command == ata.IDENTIFY_PACKET:
            if state.phase == BUSY:
                self.offer(identify_cdrom(self._blocks.serial))
            else:
                self._stop()
                state.status = ata.DRDY | ata.DSC
        elif state.phase == DATA_OUT:
            state.packet[:] = state.buffer
            self.wait(ACCESS_TIME)
            state.block = 0  # not looked at yet
        elif state.phase == DATA_IN:
            self._next_block(len(state.buffer))
        elif state.block == 0:
            self._look_at_packet()
        elif state.phase == BUSY:
            self._give_block()
        else:
            self._finish_dma()

    def dma_time(self) -> int:
        """By how much there is."""
        return ACCESS_TIME + transfer_time(self.state.left * SECTOR)

    # -- packets --------------------------------------------------------------------------

    def _look_at_packet(self) -> None:
        state = self.state
        packet = bytes(state.packet).ljust(PACKET_BYTES, b"\0")
        operation = packet[0]
        if state.attention and operation not in (INQUIRY, REQUEST_SENSE, GET_EVENT_STATUS):
            state.attention = False
            self._refuse(UNIT_ATTENTION, WAS_RESET)
        elif operation in (READ_10, READ_12):
            count = _u16(packet, 7) if operation == READ_10 else _u32(packet, 6)
            self._read(_u32(packet, 2), count)
        elif operation in (TEST_UNIT_READY, START_STOP_UNIT, PREVENT_REMOVAL, SEEK_10):
            self._well()
        elif operation in self._answers:
            answer = self._answers[operation](packet)
            if answer is None:
                self._refuse(ILLEGAL_REQUEST, INVALID_FIELD)
            else:
                self._answer(answer)
        else:
            self._refuse(ILLEGAL_REQUEST, INVALID_COMMAND)

    def _read(self, first: int, count: int) -> None:
        state = self.state
        if first + count > self._sectors or count * _PER > MOST_SECTORS:
            self._refuse(ILLEGAL_REQUEST, OUT_OF_RANGE)
            return
        if count == 0:
            self._well()
            return
        state.sector, state.left = first * _PER, count * _PER
        if state.features & _DMA:
            state.block = 1
            self.await_master()
            return
        # So many whole sectors as the guest takes at once; a smaller limit is taken as one.
        limit = state.lba_mid & 0xFF | (state.lba_high & 0xFF) << 8
        state.block = max(1, (limit or _LIMIT) // DISC_SECTOR) * _PER
        self.wait(ACCESS_TIME + transfer_time(self._piece() * SECTOR))

    def _piece(self) -> int:
        return min(self.state.left, self.state.block)

    def _give_block(self) -> None:
        state = self.state
        data = self._blocks.read(state.sector, self._piece())
        if data is None:
            self._refuse(MEDIUM_ERROR, UNREADABLE)
        else:
            self._offer(data)

    def _offer(self, data: bytes) -> None:
        state = self.state
        state.count = ata.REASON_IN
        state.lba_mid, state.lba_high = len(data) & 0xFF, len(data) >> 8
        self.offer(data)

    def _next_block(self, passed: int) -> None:
        state = self.state
        count = min(state.left, passed // SECTOR)
        state.sector += count
        state.left -= count
        if state.left:
            self.wait(BLOCK_TIME + transfer_time(self._piece() * SECTOR))
        else:
            self._well()

    def _finish_dma(self) -> None:
        state = self.state
        count = state.left
        data = self._blocks.read(state.sector, count) if count else bytes(state.buffer)
        stored = data is not None and self._master.store(data)
        self._master.finish(failed=not stored)
        if data is None:
            self._refuse(MEDIUM_ERROR, UNREADABLE)
        elif stored:
            self._well()
        else:
            self._refuse(ILLEGAL_REQUEST, INVALID_FIELD)

    def _answer(self, data: bytes) -> None:
        """Data that is no sector's."""
        state = self.state
        state.left = 0
        if not data:
            self._well()
        elif state.features & _DMA:
            state.buffer[:] = data
            state.block = 1
            self.await_master()
        else:
            limit = state.lba_mid & 0xFF | (state.lba_high & 0xFF) << 8
            state.block = 1
            self._offer(data[: limit or len(data)])

    def _well(self) -> None:
        state = self.state
        state.sense, state.code = NO_SENSE, 0
        self.done()
        state.count = ata.REASON_IN | ata.REASON_COMMAND

    def _refuse(self, sense: int, code: int) -> None:
        state = self.state
        state.sense, state.code = sense, code
        self.fail(sense << 4 | ata.ABRT)
        state.count = ata.REASON_IN | ata.REASON_COMMAND

    # -- answers --------------------------------------------------------------------------

    def _request_sense(self, packet: bytes) -> bytes:
        state = self.state
        if state.attention:
            state.attention = False
            state.sense, state.code = UNIT_ATTENTION, WAS_RESET
        answer = struct.pack(">BxBIB4xH4x", 0x70, state.sense, 0, 10, state.code)
        return answer[: packet[4]]

    def _inquiry(self, packet: bytes) -> bytes:
        answer = struct.pack(
            "4B4x8s16s4s", 0x05, 0x80, 0x00, 0x21, b"vmmgr   ", b"CD-ROM".ljust(16), b"1.0 "
        )
        answer = answer[:4] + bytes([len(answer) - 5]) + answer[5:]
        return answer[: _u16(packet, 3)]

    def _mode_sense(self, packet: bytes, header: int, length: int) -> bytes | None:
        page = packet[2] & 0x3F
        pages = {
            0x01: bytes([0x01, 6, 0, 5, 0, 0, 0, 0]),  # error recovery: five retries
            0x2A: bytes([0x2A, 18, 0, 0, 0x71, 0x60, 0x29, 0, 0x02, 0xC2, 0, 2, 0, 0, 0x02, 0xC2])
            + bytes(4),  # capabilities: 4x speed
        }
        if page == 0x3F:
            body = b"".join(pages.values())
        elif page in pages:
            body = pages[page]
        else:
            return None
        total = header + len(body)
        if header == 4:
            return (bytes([total - 1, 0x01, 0, 0]) + body)[:length]
        return (struct.pack(">HB5x", total - 2, 0x01) + body)[:length]

    def _read_toc(self, packet: bytes) -> bytes | None:
        in_minutes, first = bool(packet[1] & 2), packet[6]
        form = packet[2] & 0x0F or packet[9] >> 6
        if form == 1:  # sessions: there is one
            answer = struct.pack(">HBB", 10, 1, 1) + _track(1, 0, in_minutes)
        elif form == 0 and (first <= 1 or first == LEAD_OUT):
            tracks = _track(1, 0, in_minutes) if first <= 1 else b""
            tracks += _track(LEAD_OUT, self._sectors, in_minutes)
            answer = struct.pack(">HBB", len(tracks) + 2, 1, 1) + tracks
        else:
            return None
        return answer[: _u16(packet, 7)]

    def _get_configuration(self, packet: bytes) -> bytes:
        # The current profile is CD-ROM; the feature list has the profile list alone.
        features = struct.pack(">HBBHBx", 0x0000, 0x03, 4, 0x0008, 0x01)
        answer = struct.pack(">IxxH", len(features) + 4, 0x0008) + features
        return answer[: _u16(packet, 7)]

    def _get_event_status(self, packet: bytes) -> bytes | None:
        if not packet[1] & 1:  # only polling
            return None
        answer = struct.pack(">HBBBB2x", 6, 4, 0x10, 0, 0x02)  # media: no change, present
        return answer[: _u16(packet, 7)]

    def _disc_information(self, packet: bytes) -> bytes:
        answer = struct.pack(">HBBBBBB26x", 32, 0x0E, 1, 1, 1, 1, 0x20)
        return answer[: _u16(packet, 7)]


def _track(number: int, sector: int, in_minutes: bool) -> bytes:
    place = sector
    if in_minutes:
        minute, rest = divmod(sector + 150, 75 * 60)
        place = minute << 16 | rest // 75 << 8 | rest % 75
    return struct.pack(">xBBxI", 0x14, number, place)


def _u16(packet: bytes, at: int) -> int:
    return packet[at] << 8 | packet[at + 1]


def _u32(packet: bytes, at: int) -> int:
    return _u16(packet, at) << 16 | _u16(packet, at + 2)
