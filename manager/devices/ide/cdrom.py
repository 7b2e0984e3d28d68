# SPDX-License-Identifier: BSD-2-Clause
"""An ATAPI CD-ROM drive with a disc that cannot be taken out.

Sources: ATA/ATAPI-6 (T13/1410D), section 9.8, the packet protocol; SFF-8020i and MMC-3 for the
commands in packets.
"""

from __future__ import annotations

from collections.abc import Callable

from manager.bus.blocks import SECTOR, Blocks
from manager.bus.clock import Clock
from manager.devices.ide import packets
from manager.devices.ide import registers as ata
from manager.devices.ide.drive import (
    ACCESS_TIME,
    BLOCK_TIME,
    BUSY,
    DATA_IN,
    DATA_OUT,
    BusMaster,
    Drive,
    transfer_time,
)
from manager.devices.ide.identify import identify_cdrom
from manager.devices.ide.packets import DISC_SECTOR, Answers, u16, u32
from manager.devices.ide.state import MOST_SECTORS, DriveState

PACKET_BYTES = 12
_PER = DISC_SECTOR // SECTOR


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
        self._answers = Answers(blocks.sectors // _PER)

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
        if state.attention and operation not in (
            packets.INQUIRY,
            packets.REQUEST_SENSE,
            packets.GET_EVENT_STATUS,
        ):
            state.attention = False
            self._refuse(packets.UNIT_ATTENTION, packets.WAS_RESET)
        elif operation in (packets.READ_10, packets.READ_12):
            count = u16(packet, 7) if operation == packets.READ_10 else u32(packet, 6)
            self._read(u32(packet, 2), count)
        elif operation in (
            packets.TEST_UNIT_READY,
            packets.START_STOP_UNIT,
            packets.PREVENT_REMOVAL,
            packets.SEEK_10,
        ):
            self._well()
        elif self._answers.knows(operation):
            answer = self._answers.to(self.state, packet)
            if answer is None:
                self._refuse(packets.ILLEGAL_REQUEST, packets.INVALID_FIELD)
            else:
                self._answer(answer)
        else:
            self._refuse(packets.ILLEGAL_REQUEST, packets.INVALID_COMMAND)

    def _read(self, first: int, count: int) -> None:
        state = self.state
        if first + count > self._sectors or count * _PER > MOST_SECTORS:
            self._refuse(packets.ILLEGAL_REQUEST, packets.OUT_OF_RANGE)
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
            self._refuse(packets.MEDIUM_ERROR, packets.UNREADABLE)
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
            self._refuse(packets.MEDIUM_ERROR, packets.UNREADABLE)
        elif stored:
            self._well()
        else:
            self._refuse(packets.ILLEGAL_REQUEST, packets.INVALID_FIELD)

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
        state.sense, state.code = packets.NO_SENSE, 0
        self.done()
        state.count = ata.REASON_IN | ata.REASON_COMMAND

    def _refuse(self, sense: int, code: int) -> None:
        state = self.state
        state.sense, state.code = sense, code
        self.fail(sense << 4 | ata.ABRT)
        state.count = ata.REASON_IN | ata.REASON_COMMAND
