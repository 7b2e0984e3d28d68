# SPDX-License-Identifier: BSD-2-Clause
"""I/O commands of the NVM command set.

Source: NVM Express 1.3, section 6.
"""

from __future__ import annotations

import struct

from manager.bus.blocks import SECTOR, Blocks
from manager.bus.dma import Dma
from manager.devices.nvme import registers as nvme
from manager.devices.nvme.identify import MAX_TRANSFER_SHIFT
from manager.devices.nvme.queues import Command, data_of

ACCESS_TIME = 15_000
"""ns that any command takes."""
BYTES_PER_NS = 1
_MOST_BYTES = nvme.PAGE << MAX_TRANSFER_SHIFT
_RANGE = struct.Struct("<IIQ")


class Io:
    """Carries out commands on the one namespace, number 1."""

    def __init__(self, dma: Dma, blocks: Blocks) -> None:
        self._dma = dma
        self._blocks = blocks

    def time(self, command: Command) -> int:
        """How long it takes, in ns."""
        if command.opcode not in (nvme.READ, nvme.WRITE):
            return ACCESS_TIME
        return ACCESS_TIME + min(_length(command), _MOST_BYTES) // BYTES_PER_NS

    def carry_out(self, command: Command) -> int:
        """The status that it ends with."""
        opcode = command.opcode
        if opcode == nvme.FLUSH:
            return nvme.SUCCESS if self._blocks.flush() else nvme.WRITE_FAULT
        if opcode not in (nvme.READ, nvme.WRITE, nvme.WRITE_ZEROES, nvme.DATASET_MANAGEMENT):
            return nvme.INVALID_OPCODE | nvme.DO_NOT_RETRY
        if command.namespace != 1:
            return nvme.INVALID_NAMESPACE | nvme.DO_NOT_RETRY
        if opcode != nvme.READ and self._blocks.read_only:
            return nvme.READ_ONLY_NAMESPACE | nvme.DO_NOT_RETRY
        if opcode == nvme.DATASET_MANAGEMENT:
            return self._deallocate(command)
        sector, count = command.words[0] | command.words[1] << 32, (command.words[2] & 0xFFFF) + 1
        if sector + count > self._blocks.sectors:
            return nvme.LBA_OUT_OF_RANGE | nvme.DO_NOT_RETRY
        if opcode == nvme.WRITE_ZEROES:
            return nvme.SUCCESS if self._blocks.zero(sector, count) else nvme.WRITE_FAULT
        return self._transfer(command, sector, count)

    def _transfer(self, command: Command, sector: int, count: int) -> int:
        length = count * SECTOR
        if length > _MOST_BYTES:
            return nvme.INVALID_FIELD | nvme.DO_NOT_RETRY
        segments = data_of(self._dma, command, length)
        if segments is None:
            return nvme.INVALID_PRP_OFFSET | nvme.DO_NOT_RETRY
        if command.opcode == nvme.READ:
            data = self._blocks.read(sector, count)
            if data is None:
                return nvme.READ_ERROR
            well = self._dma.scatter(segments, data) == length
            return nvme.SUCCESS if well else nvme.DATA_TRANSFER_ERROR
        data = self._dma.gather(segments)
        if len(data) != length:
            return nvme.DATA_TRANSFER_ERROR
        return nvme.SUCCESS if self._blocks.write(sector, data) else nvme.WRITE_FAULT

    def _deallocate(self, command: Command) -> int:
        if not command.words[1] & nvme.DEALLOCATE:
            return nvme.SUCCESS
        count = (command.words[0] & 0xFF) + 1
        segments = data_of(self._dma, command, count * _RANGE.size)
        raw = self._dma.gather(segments) if segments is not None else b""
        if len(raw) != count * _RANGE.size:
            return nvme.DATA_TRANSFER_ERROR
        ranges = [(sector, length) for _, length, sector in _RANGE.iter_unpack(raw)]
        if any(sector + length > self._blocks.sectors for sector, length in ranges):
            return nvme.LBA_OUT_OF_RANGE | nvme.DO_NOT_RETRY
        kept = all(length == 0 or self._blocks.zero(sector, length) for sector, length in ranges)
        return nvme.SUCCESS if kept else nvme.WRITE_FAULT


def _length(command: Command) -> int:
    return ((command.words[2] & 0xFFFF) + 1) * SECTOR
