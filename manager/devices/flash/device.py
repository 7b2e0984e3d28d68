# SPDX-License-Identifier: BSD-2-Clause
"""A flash chip of one byte's width with Intel's command set, as QEMU's boards have it.

Sources: Common Flash Memory Interface, release 2.0 (JEDEC JESD68.01); Intel 28FxxxJ3 datasheet,
the basic command set. Reads give the content until a command asks for something else.
"""

from __future__ import annotations

from collections.abc import Callable

from manager.bus.blocks import Blocks
from manager.bus.mmio import MemoryBus
from manager.bus.record import Record, integer, nested, uint
from manager.devices.claims import FLASH_LIMIT
from manager.devices.device import Device
from manager.devices.flash.content import BLOCK, ChangingState, Content
from manager.lazy import dataclass

READ_ARRAY = 0xFF
READ_IDENTITY, READ_STATUS, QUERY = 0x90, 0x70, 0x98
CLEAR_STATUS = 0x50
PROGRAM, PROGRAM_TOO = 0x40, 0x10
ERASE, CONFIRM = 0x20, 0xD0
LOCK = 0x60
BUFFERED = 0xE8
READY = 0x80
PROGRAM_FAILED, ERASE_FAILED = 0x10, 0x20
"""Bits of the status register; both together are a sequence of commands that is none."""
IDENTITY = (0x89, 0x18)
"""Manufacturer and device."""
BUFFER_SHIFT = 5
FIRST, COUNT, DATA, LAST = range(4)
"""Which write of a command comes next: the command, its count or only argument, data, the end."""
HEADER_LENGTH, HEADER_SIGNATURE, SIGNATURE = 0x20, 0x28, b"_FVH"
"""In the header of a firmware volume (UEFI Platform Initialization, volume 3): its length, 64 bits,
and what it is told by."""


@dataclass(slots=True)
class FlashState(Record):
    """The registers of a flash chip, and what of its content is not on the disk yet."""

    TYPE = "flash"

    length: int = integer(0, FLASH_LIMIT, "size of the chip", unit="bytes")
    command: int = uint(8, "the command that says what reads give", READ_ARRAY)
    next: int = integer(FIRST, LAST, "0 a command, 1 its argument, 2 data, 3 the confirmation")
    left: int = integer(0, 256, "data that is still to come", unit="bytes")
    status: int = uint(8, "status register")
    changing: ChangingState = nested(ChangingState, "the block that is being changed")

    def contradiction(self) -> str:
        """A chip is whole blocks, and the one that is being changed is one of them."""
        if self.length % BLOCK:
            return f"a chip of {self.length} bytes is not a whole number of blocks"
        if self.changing.content and self.changing.number >= self.length // BLOCK:
            return f"the chip has no block {self.changing.number}"
        return ""


class Flash(Device[FlashState]):
    """A chip on `blocks`; `place` gives where it ends, and the addresses that it is among."""

    STATE = FlashState

    def __init__(self, blocks: Blocks, place: Callable[[], tuple[int, MemoryBus]]) -> None:
        self._content = Content(blocks)
        self._place = place
        self._base: int | None = None
        self.load(FlashState())

    def fit(self, template: bytes) -> bool:
        """At power-on: a chip as large as `template`, with what was last in it if that fits.

        `template` is whole blocks, at most FLASH_LIMIT. False when the host cannot keep it.
        """
        self._content.length = len(template)
        self._content.forget()
        kept = True
        if _volume(self._content.all()) != len(template):
            kept = self._content.replace(template)
        self.load(FlashState(length=len(template)))
        return kept

    def power_on(self) -> FlashState:
        """What is in the chip stays there."""
        self._content.keep()
        return FlashState(length=self.state.length)

    def settle(self) -> None:
        """Answer below the firmware's code."""
        self._content.state = self.state.changing
        self._content.length = self.state.length
        self._content.forget()
        end, addresses = self._place()
        if self._base is not None:
            addresses.release(self._base)
            self._base = None
        if self.state.length and addresses.is_free(end - self.state.length, self.state.length):
            self._base = end - self.state.length
            addresses.claim(self._base, self.state.length, self)

    # -- what the guest does --------------------------------------------------------------

    def read_mmio(self, offset: int, size: int) -> int:
        """The content, or what the last command asked for."""
        command = self.state.command
        if command == READ_ARRAY:
            return int.from_bytes(self._content.all()[offset : offset + size], "little")
        if command == READ_IDENTITY:
            return IDENTITY[offset & 0xFF] if offset & 0xFF < len(IDENTITY) else 0
        if command == QUERY:
            return self._query().get(offset & 0xFF, 0)
        return self.state.status

    def write_mmio(self, offset: int, size: int, value: int) -> None:
        """A command, or what belongs to one."""
        state = self.state
        if state.next == FIRST:
            self._command(value & 0xFF)
        elif state.next == DATA:
            self._program(offset, value.to_bytes(size, "little")[: state.left])
            state.left -= min(size, state.left)
            state.next = DATA if state.left else LAST
        elif state.command == PROGRAM:
            state.next = FIRST
            self._program(offset, value.to_bytes(size, "little"))
        elif state.command == ERASE:
            self._erase(offset, value & 0xFF)
        elif state.command == BUFFERED and state.next == COUNT:
            state.left, state.next = (value & 0xFF) + 1, DATA
        else:  # the end of a buffered write, or of what changes locks, of which there are none
            state.next = FIRST
            state.status |= READY
            if state.command == BUFFERED and value & 0xFF != CONFIRM:
                state.status |= PROGRAM_FAILED | ERASE_FAILED

    def _command(self, value: int) -> None:
        state = self.state
        if value in (READ_IDENTITY, READ_STATUS, QUERY):
            state.command = value
        elif value in (PROGRAM, PROGRAM_TOO):
            state.command, state.next = PROGRAM, COUNT
        elif value in (ERASE, LOCK):
            state.command, state.next = value, COUNT
        elif value == BUFFERED:
            state.command, state.next = value, COUNT
            state.status |= READY
        else:
            if value == CLEAR_STATUS:
                state.status = 0
            state.command = READ_ARRAY
            self._content.keep()

    def _program(self, offset: int, data: bytes) -> None:
        kept = self._content.program(offset, data)
        self.state.status |= READY | (0 if kept else PROGRAM_FAILED)

    def _erase(self, offset: int, confirmation: int) -> None:
        state = self.state
        state.next = FIRST
        if confirmation != CONFIRM:
            state.status |= READY | PROGRAM_FAILED | ERASE_FAILED
            return
        kept = self._content.erase(offset)
        state.status |= READY | (0 if kept else ERASE_FAILED)

    def _query(self) -> dict[int, int]:
        """What the Common Flash Interface tells of the chip, by address."""
        blocks = self.state.length // BLOCK - 1
        table = dict(enumerate(b"QRY\x01\0\x31\0", 0x10))  # command set 1, its table at 31h
        table[0x27] = self.state.length.bit_length() - 1
        table |= {0x2A: BUFFER_SHIFT, 0x2C: 1, 0x2D: blocks & 0xFF, 0x2E: blocks >> 8}
        table |= {0x2F: (BLOCK >> 8) & 0xFF, 0x30: BLOCK >> 16}
        return table | dict(enumerate(b"PRI10", 0x31))


def _volume(content: bytes | bytearray) -> int:
    """The length of the firmware volume that begins there; 0 when none does."""
    if content[HEADER_SIGNATURE : HEADER_SIGNATURE + len(SIGNATURE)] != SIGNATURE:
        return 0
    return int.from_bytes(content[HEADER_LENGTH : HEADER_LENGTH + 8], "little")
