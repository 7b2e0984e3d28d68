# SPDX-License-Identifier: BSD-2-Clause
"""The memory on an NE2000's board: the PROM with its address, and 16 KiB for frames."""

from __future__ import annotations

from manager.bus.record import Record, octets
from manager.lazy import dataclass

RAM, RAM_LENGTH = 0x4000, 0x4000
"""Where the packet memory is in the controller's own address space of 64 KiB, and its bytes."""
RAM_END = RAM + RAM_LENGTH
PAGE = 256
SIGNATURE = b"WW"
"""Bytes 14 and 15 of the PROM on a card of 16 bits."""
PROM_WORDS = 16


@dataclass(slots=True)
class BoardState(Record):
    """What is in the packet memory."""

    TYPE = "ne2k-memory"

    ram: bytearray = octets(RAM_LENGTH, RAM_LENGTH, "packet memory", bytes(RAM_LENGTH))


class BoardMemory:
    """Reads and writes anywhere; where there is no memory, ones are read.

    The PROM has each of its 16 bytes twice, so that it reads the same by bytes and by words.
    """

    def __init__(self, address: bytes) -> None:
        self.state = BoardState()
        prom = address.ljust(PROM_WORDS - len(SIGNATURE), b"\0") + SIGNATURE
        self._prom = bytes(byte for byte in prom for _ in range(2))

    def read(self, address: int, length: int) -> bytes:
        """`length` bytes; an address past 64 KiB is one at its beginning."""
        start = address - RAM
        if start >= 0 and start + length <= RAM_LENGTH:
            return bytes(self.state.ram[start : start + length])
        return bytes(self._byte(address + n & 0xFFFF) for n in range(length))

    def _byte(self, address: int) -> int:
        if RAM <= address < RAM_END:
            return self.state.ram[address - RAM]
        return self._prom[address] if address < len(self._prom) else 0xFF

    def write(self, address: int, data: bytes) -> None:
        """Store what falls into the packet memory."""
        start = max(address, RAM)
        end = min(address + len(data), RAM_END)
        if start < end:
            part = data[start - address : end - address]
            self.state.ram[start - RAM : end - RAM] = part
