# SPDX-License-Identifier: BSD-2-Clause
"""An ATA disk: PIO and bus-master DMA, CHS, 28- and 48-bit addresses.

Source: ATA/ATAPI-6 (T13/1410D), section 8.
"""

from __future__ import annotations

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
    BusMaster,
    Drive,
    transfer_time,
)
from manager.devices.ide.identify import geometry, identify_disk
from manager.devices.ide.state import MAX_BUFFER, MOST_MULTIPLE, DriveState

LIMIT_28 = 1 << 28

_READS = {
    ata.READ_SECTORS,
    ata.READ_SECTORS_NO_RETRY,
    ata.READ_SECTORS_EXT,
    ata.READ_MULTIPLE,
    ata.READ_MULTIPLE_EXT,
}
_WRITES = {
    ata.WRITE_SECTORS,
    ata.WRITE_SECTORS_NO_RETRY,
    ata.WRITE_SECTORS_EXT,
    ata.WRITE_MULTIPLE,
    ata.WRITE_MULTIPLE_EXT,
}
_MULTIPLE = {
    ata.READ_MULTIPLE,
    ata.READ_MULTIPLE_EXT,
    ata.WRITE_MULTIPLE,
    ata.WRITE_MULTIPLE_EXT,
}
_DMA_READS = {ata.READ_DMA, ata.READ_DMA_NO_RETRY, ata.READ_DMA_EXT}
_DMA_WRITES = {ata.WRITE_DMA, ata.WRITE_DMA_NO_RETRY, ata.WRITE_DMA_EXT}
_VERIFIES = {ata.READ_VERIFY, ata.READ_VERIFY_NO_RETRY, ata.READ_VERIFY_EXT}
_EXT = {
    ata.READ_SECTORS_EXT,
    ata.READ_DMA_EXT,
    ata.READ_MULTIPLE_EXT,
    ata.WRITE_SECTORS_EXT,
    ata.WRITE_DMA_EXT,
    ata.WRITE_MULTIPLE_EXT,
    ata.READ_VERIFY_EXT,
    ata.READ_NATIVE_MAX_EXT,
}
"""Commands with 48-bit addresses."""
_NOTHING_TO_DO = {
    ata.STANDBY_IMMEDIATE,
    ata.IDLE_IMMEDIATE,
    ata.STANDBY,
    ata.IDLE,
    ata.SLEEP,
}
_FEATURES = {0x02, 0x03, 0x05, 0x55, 0x82, 0x85, 0xAA, 0xCC, 0x66, 0x67}
"""Subcommands of SET FEATURES that change nothing a guest could see: caches, modes, power."""
ACTIVE = 0xFF


class AtaDisk(Drive):
    """A disk with the content of `blocks`."""

    SIGNATURE = (0, 0)

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

    def reset(self) -> None:
        """As after power-on."""
        super().reset()
        _, self.state.heads, self.state.track = geometry(self._blocks.sectors)

    def execute(self, command: int) -> None:
        """Begin the command."""
        state = self.state
        if command in _READS or command in _WRITES:
            self._begin_pio(command)
        elif command in _DMA_READS or command in _DMA_WRITES:
            if self._address(command):
                self.await_master()
        elif command in _VERIFIES:
            if self._address(command):
                self.wait(ACCESS_TIME + transfer_time(state.left * SECTOR))
        elif command in (ata.FLUSH_CACHE, ata.FLUSH_CACHE_EXT, ata.IDENTIFY):
            self.wait(ACCESS_TIME)
        elif command == ata.SET_MULTIPLE:
            self._set_multiple(state.count & 0xFF)
        elif command == ata.SET_FEATURES:
            self.done() if state.features & 0xFF in _FEATURES else self.fail()
        elif command == ata.INITIALIZE_PARAMETERS:
            self._count_by(state.count & 0xFF, (state.device & ata.HEAD) + 1)
        elif command == ata.CHECK_POWER_MODE:
            state.count = ACTIVE
            self.done()
        elif command in (ata.READ_NATIVE_MAX, ata.READ_NATIVE_MAX_EXT):
            self._native_max(command)
        elif command in _NOTHING_TO_DO or command & 0xF0 in (ata.RECALIBRATE, ata.SEEK):
            self.done()
        else:
            self.fail()

    def step(self) -> None:
        """What comes next depends on the command."""
        state = self.state
        command = state.command
        if command in _READS:
            self._step_read()
        elif command in _WRITES:
            self._step_write()
        elif command in _DMA_READS:
            data = self._blocks.read(state.sector, state.left)
            self._end_dma(None if data is None else self._master.store(data))
        elif command in _DMA_WRITES:
            found = self._master.load(state.left * SECTOR)
            if found is None:
                self._end_dma(False)
            else:
                self._end_dma(True if self._blocks.write(state.sector, found) else None)
        elif command == ata.IDENTIFY and state.phase == BUSY:
            self.offer(identify_disk(self._blocks, state))
        elif command in (ata.FLUSH_CACHE, ata.FLUSH_CACHE_EXT):
            self.done() if self._blocks.flush() else self.fail()
        elif command in _VERIFIES:
            self.done()
        else:  # the identification has been read
            self._stop()
            state.status = ata.DRDY | ata.DSC

    def dma_time(self) -> int:
        """By how much there is."""
        return ACCESS_TIME + transfer_time(self.state.left * SECTOR)

    # -- PIO ------------------------------------------------------------------------------

    def _begin_pio(self, command: int) -> None:
        state = self.state
        if command in _MULTIPLE and not state.multiple:
            self.fail()
            return
        if not self._address(command):
            return
        state.block = state.multiple if command in _MULTIPLE else 1
        if command in _READS:
            self.wait(ACCESS_TIME + transfer_time(self._piece()))
        else:
            self.want(self._piece(), ask=False)

    def _piece(self) -> int:
        """Bytes of the next block."""
        return min(self.state.left, self.state.block) * SECTOR

    def _step_read(self) -> None:
        state = self.state
        if state.phase == DATA_IN:
            self._advance()
            if state.left:
                self.wait(BLOCK_TIME + transfer_time(self._piece()))
            else:
                self._stop()
                state.status = ata.DRDY | ata.DSC
            return
        data = self._blocks.read(state.sector, self._piece() // SECTOR)
        if data is None:
            self.fail(ata.UNC)
        else:
            self.offer(data)

    def _step_write(self) -> None:
        state = self.state
        if state.phase == DATA_OUT:
            self.wait(BLOCK_TIME + transfer_time(len(state.buffer)))
            return
        if not self._blocks.write(state.sector, bytes(state.buffer)):
            self.fail(ata.UNC)
            return
        self._advance()
        if state.left:
            self.want(self._piece(), ask=True)
        else:
            self.done()

    def _advance(self) -> None:
        state = self.state
        count = min(state.left, state.block)
        state.sector += count
        state.left -= count

    def _end_dma(self, well: bool | None) -> None:
        """True: transferred; False: the guest's list of regions was wrong; None: the host's I/O."""
        self._master.finish(failed=not well)
        if well:
            self.done()
        else:
            self.fail(ata.ABRT if well is False else ata.UNC)

    # -- addresses ------------------------------------------------------------------------

    def _address(self, command: int) -> bool:
        """Take sector and count from the registers; False when the drive has no such sectors."""
        state = self.state
        low, mid, high = (value & 0xFF for value in (state.lba_low, state.lba_mid, state.lba_high))
        if command in _EXT:
            sector = low | mid << 8 | high << 16
            sector |= (state.lba_low >> 8) << 24
            sector |= (state.lba_mid >> 8) << 32 | (state.lba_high >> 8) << 40
            count = state.count or 0x10000
        elif state.device & ata.DEVICE_LBA:
            sector = low | mid << 8 | high << 16 | (state.device & ata.HEAD) << 24
            count = state.count & 0xFF or 0x100
        else:
            cylinder, head = mid | high << 8, state.device & ata.HEAD
            count = state.count & 0xFF or 0x100
            if low == 0 or low > state.track or head >= state.heads:
                self.fail(ata.IDNF)
                return False
            sector = (cylinder * state.heads + head) * state.track + low - 1
        if sector + count > self._blocks.sectors:
            self.fail(ata.IDNF)
            return False
        if self._blocks.read_only and (command in _WRITES or command in _DMA_WRITES):
            self.fail()
            return False
        state.sector, state.left = sector, count
        return True

    def _count_by(self, track: int, heads: int) -> None:
        if not track:
            self.fail()
            return
        self.state.track, self.state.heads = track, heads
        self.done()

    def _set_multiple(self, count: int) -> None:
        fits = count <= MOST_MULTIPLE and count * SECTOR <= MAX_BUFFER and not count & count - 1
        if not fits:
            self.fail()
            return
        self.state.multiple = count
        self.done()

    def _native_max(self, command: int) -> None:
        state = self.state
        last = self._blocks.sectors - 1
        if command == ata.READ_NATIVE_MAX:
            last = min(last, LIMIT_28 - 1)
            state.device = state.device & ~ata.HEAD | last >> 24
        else:
            state.lba_low = (last >> 24 & 0xFF) << 8
            state.lba_mid = (last >> 32 & 0xFF) << 8
            state.lba_high = (last >> 40 & 0xFF) << 8
        state.lba_low = state.lba_low & 0xFF00 | last & 0xFF
        state.lba_mid = state.lba_mid & 0xFF00 | last >> 8 & 0xFF
        state.lba_high = state.lba_high & 0xFF00 | last >> 16 & 0xFF
        self.done()
