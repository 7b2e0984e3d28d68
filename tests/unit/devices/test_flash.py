# SPDX-License-Identifier: BSD-2-Clause
"""The flash chip of UEFI firmware: Intel's commands, and content that is on a disk."""

from __future__ import annotations

from manager.bus.memory import FOUR_GIB
from manager.bus.mmio import MemoryBus
from manager.bus.record import clone
from manager.devices.flash.content import BLOCK
from manager.devices.flash.device import (
    BUFFERED,
    CLEAR_STATUS,
    CONFIRM,
    ERASE,
    ERASE_FAILED,
    LOCK,
    PROGRAM,
    PROGRAM_FAILED,
    QUERY,
    READ_ARRAY,
    READ_IDENTITY,
    READ_STATUS,
    READY,
    Flash,
)
from manager.storage.base import Zeros
from manager.storage.blocks import DiskBlocks
from manager.storage.disk import Disk
from manager.storage.write_log import WriteLog

LENGTH = 4 * BLOCK
BASE = FOUR_GIB - LENGTH


def volume(fill: int) -> bytes:
    """A firmware volume that says how long it is."""
    content = bytearray([fill]) * LENGTH
    content[0x20:0x28] = LENGTH.to_bytes(8, "little")
    content[0x28:0x2C] = b"_FVH"
    return bytes(content)


class Chip:
    """A chip with a volume of F0h below 4 GiB."""

    def __init__(self) -> None:
        self.disk = Disk(Zeros(1 << 20), WriteLog.nameless())
        self.boot(0xF0)

    def boot(self, fill: int) -> None:
        """As if the process were another: only the disk is the same."""
        self.bus = MemoryBus()
        blocks = DiskBlocks(self.disk, "flash", lambda fault: None)
        self.device = Flash(blocks, lambda: (FOUR_GIB, self.bus))
        assert self.device.fit(volume(fill))

    def read(self, offset: int, size: int = 1) -> int:
        return self.bus.read(BASE + offset, size)

    def write(self, offset: int, *values: int) -> None:
        for value in values:
            self.bus.write(BASE + offset, 1, value)


def test_it_is_told_from_ram_and_rom_as_ovmf_does() -> None:
    chip = Chip()
    before = chip.read(BLOCK)

    chip.write(BLOCK, CLEAR_STATUS)
    assert chip.read(BLOCK) == before
    chip.write(BLOCK, READ_STATUS)
    assert chip.read(BLOCK) == 0
    chip.write(BLOCK, READ_ARRAY)
    assert chip.read(BLOCK, 4) == before * 0x01010101


def test_programming_clears_bits_and_erasing_sets_those_of_a_block() -> None:
    chip = Chip()

    chip.write(BLOCK, PROGRAM, 0x3C)
    assert chip.read(BLOCK) == READY
    chip.write(BLOCK, READ_ARRAY)
    assert chip.read(BLOCK) == 0xF0 & 0x3C
    chip.write(BLOCK + 7, ERASE, CONFIRM, READ_ARRAY)
    assert chip.read(BLOCK) == chip.read(2 * BLOCK - 1) == 0xFF
    assert chip.read(BLOCK - 1) == chip.read(2 * BLOCK) == 0xF0


def test_a_buffered_write_ends_with_its_confirmation() -> None:
    chip = Chip()

    chip.write(BLOCK, BUFFERED, 2)
    for offset, value in enumerate((0x10, 0x20, 0x30)):
        chip.write(BLOCK + offset, value)
    chip.write(BLOCK, CONFIRM)
    assert chip.read(BLOCK) == READY
    chip.write(BLOCK, READ_ARRAY)
    assert chip.read(BLOCK, 4) == 0xF0302010


def test_what_is_no_command_fails_and_changes_nothing() -> None:
    chip = Chip()

    chip.write(BLOCK, ERASE, 0x00)
    assert chip.read(BLOCK) == READY | PROGRAM_FAILED | ERASE_FAILED
    chip.write(BLOCK, CLEAR_STATUS)
    chip.write(BLOCK, LOCK, CONFIRM, READ_ARRAY)
    assert chip.read(BLOCK) == 0xF0


def test_it_says_what_it_is() -> None:
    chip = Chip()

    chip.write(0, READ_IDENTITY)
    assert (chip.read(0), chip.read(1)) == (0x89, 0x18)
    chip.write(0, QUERY)
    assert bytes(chip.read(0x10 + n) for n in range(3)) == b"QRY"
    assert chip.read(0x2D) == LENGTH // BLOCK - 1


def test_content_outlives_the_process_and_another_template() -> None:
    chip = Chip()
    chip.write(BLOCK, PROGRAM, 0x00, READ_ARRAY)

    chip.boot(0x0F)

    assert chip.read(BLOCK) == 0
    assert chip.read(BLOCK + 1) == 0xF0


def test_a_byte_that_was_being_programmed_is_in_the_record() -> None:
    chip = Chip()
    chip.write(BLOCK, PROGRAM, 0x10)
    chip.write(BLOCK + 1, PROGRAM)
    saved = clone(chip.device.save())
    chip.write(BLOCK + 1, 0x20)
    chip.write(BLOCK, READ_STATUS)

    chip.device.load(saved)
    chip.write(BLOCK + 1, 0x30, READ_ARRAY)

    assert chip.read(BLOCK, 2) == 0x3010


def test_a_reset_reads_the_content_again_and_keeps_it() -> None:
    chip = Chip()
    chip.write(BLOCK, PROGRAM, 0x10)

    chip.device.reset()

    assert chip.read(BLOCK, 2) == 0xF010
