# SPDX-License-Identifier: BSD-2-Clause
"""The EEPROM of an 82540EM: 64 words, a Microwire bus of four lines, and a register to read it.

Source: 317453, sections 5.6 (content), 13.4.3 (EECD), 13.4.4 (EERD); 93C46 for the serial protocol:
a start bit, two bits of a command, six of an address, then 16 of data, all most significant first.
It cannot be written.
"""

from __future__ import annotations

import struct

from manager.devices.e1000.state import EepromState

WORDS = 64
CHECKSUM_AT, CHECKSUM = 0x3F, 0xBABA
"""The last word makes the sum of all of them this."""
COMPATIBILITY, CONTROL_1, SUBSYSTEM, DEVICE, VENDOR, CONTROL_2 = 0x03, 0x0A, 0x0B, 0x0D, 0x0E, 0x0F
SIGNATURE_AND_IDS = 0x4003
"""Of control word 1: it is valid, and has the ids."""
CLOCK, SELECT, DATA_IN, DATA_OUT, REQUEST, GRANT, PRESENT = 1, 2, 4, 8, 0x40, 0x80, 0x100
WRITABLE = CLOCK | SELECT | DATA_IN | 0x30 | REQUEST
READ_COMMAND, COMMAND_BITS, ADDRESS_BITS, DATA_BITS = 0b110, 3, 6, 16
START, DONE, ADDRESS_SHIFT, DATA_SHIFT = 1, 0x10, 8, 16


def content(address: bytes, vendor: int, device: int, subsystem: int) -> tuple[int, ...]:
    """The words of a card with that Ethernet address.

    >>> hex(sum(content(bytes(6), 0x8086, 0x100E, 0x1E)) & 0xFFFF)
    '0xbaba'
    """
    words = [0] * WORDS
    words[:3] = struct.unpack("<3H", address)
    words[CONTROL_1] = SIGNATURE_AND_IDS
    words[SUBSYSTEM : SUBSYSTEM + 2] = subsystem, vendor
    words[DEVICE], words[VENDOR] = device, vendor
    words[CHECKSUM_AT] = CHECKSUM - sum(words) & 0xFFFF
    return tuple(words)


class Eeprom:
    """The controller nests `state`."""

    def __init__(self, words: tuple[int, ...]) -> None:
        self.state = EepromState()
        self._words = words

    def read_lines(self) -> int:
        """EECD."""
        state = self.state
        granted = GRANT if state.lines & REQUEST else 0
        return state.lines | PRESENT | granted | (DATA_OUT if state.out else 0)

    def write_lines(self, value: int) -> None:
        """EECD: a rising clock moves a bit while the chip is selected."""
        state = self.state
        rises = value & CLOCK and not state.lines & CLOCK
        state.lines = value & WRITABLE
        if not value & SELECT:
            state.bits = state.shifted = state.out = 0
            state.reads = False
        elif rises:
            self._clock(1 if value & DATA_IN else 0)

    def _clock(self, bit: int) -> None:
        state = self.state
        if state.reads:
            state.out = state.shifted >> DATA_BITS - 1 & 1
            state.shifted = state.shifted << 1 & 0xFFFF
            state.bits += 1
            state.reads = state.bits < DATA_BITS
            return
        if state.shifted == 0 and not bit:
            return  # there was no start bit yet
        state.shifted = (state.shifted << 1 | bit) & 0xFFFF
        if state.shifted >> COMMAND_BITS + ADDRESS_BITS - 1:
            command, address = divmod(state.shifted, WORDS)
            state.reads = command == READ_COMMAND
            state.shifted = self._words[address] if state.reads else 0
            state.bits = state.out = 0

    def write_read(self, value: int) -> None:
        """EERD: a word is there at once."""
        if value & START:
            address = value >> ADDRESS_SHIFT & 0xFF
            word = self._words[address % WORDS]
            self.state.read = word << DATA_SHIFT | address << ADDRESS_SHIFT | DONE
