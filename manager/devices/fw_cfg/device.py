# SPDX-License-Identifier: BSD-2-Clause
"""The firmware configuration device: how firmware asks its machine what it should know.

Items have 16-bit keys and are read as byte streams, byte by byte from the data port or, by DMA, in
one go. Keys from 20h up are files; item 19h lists their names. Facts are those of QEMU's
"Firmware Configuration (fw_cfg) Device" specification, which SeaBIOS and OVMF follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from manager.bus.dma import Dma
from manager.bus.record import Record, uint
from manager.devices.device import Device
from manager.lazy import dataclass

PORTS_LENGTH = 12
SELECTOR = 0  # 510h, 16 bits
DATA = 1  # 511h, 8 bits
DMA_HIGH = 4  # 514h, 32 bits, big-endian
DMA_LOW = 8  # 518h, 32 bits, big-endian; writing it starts the transfer
DMA_SIGNATURE = (0x51454D55, 0x20434647)
"""What the two halves of the DMA register read as, "QEMU CFG", before byte order."""

SIGNATURE, ID = 0x0000, 0x0001
ID_TRADITIONAL = 0x1
ID_DMA = 0x2
NO_ITEM = 0xFFFF

# A DMA descriptor: control, length, address, all big-endian.
DESCRIPTOR_LENGTH = 16
CONTROL_ERROR = 0x01
CONTROL_READ = 0x02
CONTROL_SKIP = 0x04
CONTROL_SELECT = 0x08  # the upper half of the control word is the key
CONTROL_WRITE = 0x10

Items = Mapping[int, bytes | memoryview]
"""Contents by key."""


@dataclass(slots=True)
class FwCfgState(Record):
    """The registers. What the items hold is not state: it comes from the machine file."""

    TYPE: ClassVar[str] = "fw-cfg"

    key: int = uint(16, "the item that is being read", NO_ITEM)
    offset: int = uint(32, "how far it has been read", unit="byte")
    dma_address: int = uint(64, "DMA register: physical address of the descriptor")


class FwCfg(Device[FwCfgState]):
    """Ports 510h-51Bh, for `PortBus.claim_wide`.

    `contents` gives the items; it is called once, when the guest first asks for one.
    """

    STATE = FwCfgState

    def __init__(self, contents: Callable[[], Items], dma: Dma) -> None:
        self._contents = contents
        self._loaded: Items | None = None
        self._dma = dma
        self.state = self.power_on()

    def _item(self) -> bytes | memoryview:
        """The item that is selected; empty when there is none of that key."""
        match self.state.key:
            case 0x0000:
                return b"QEMU"
            case 0x0001:
                return (ID_TRADITIONAL | ID_DMA).to_bytes(4, "little")
        if self._loaded is None:
            self._loaded = self._contents()
        return self._loaded.get(self.state.key, b"")

    def _select(self, key: int) -> None:
        self.state.key = key
        self.state.offset = 0

    def _advance(self, length: int) -> None:
        self.state.offset = min(self.state.offset + length, 0xFFFFFFFF)

    # -- ports ----------------------------------------------------------------------------

    def read_wide(self, offset: int, size: int) -> int:
        """IN. Only the data port and the DMA register can be read."""
        if offset == DATA and size == 1:
            item, at = self._item(), self.state.offset
            self._advance(1)
            return item[at] if at < len(item) else 0
        if size == 4 and offset in (DMA_HIGH, DMA_LOW):
            return _swap(DMA_SIGNATURE[offset == DMA_LOW])
        return 0

    def write_wide(self, offset: int, size: int, value: int) -> None:
        """OUT. Items cannot be written through the data port."""
        state = self.state
        if offset == SELECTOR and size == 2:
            self._select(value)
        elif offset == DMA_HIGH and size == 4:
            state.dma_address = _swap(value) << 32 | state.dma_address & 0xFFFFFFFF
        elif offset == DMA_LOW and size == 4:
            descriptor = state.dma_address & ~0xFFFFFFFF | _swap(value)
            state.dma_address = 0
            self._transfer(descriptor)

    # -- DMA ------------------------------------------------------------------------------

    def _transfer(self, descriptor: int) -> None:
        """Do what the descriptor says, and tell in its control word how it went."""
        words = self._dma.read(descriptor, DESCRIPTOR_LENGTH)
        if len(words) < DESCRIPTOR_LENGTH:
            return  # nowhere to tell
        control = int.from_bytes(words[0:4], "big")
        length = int.from_bytes(words[4:8], "big")
        address = int.from_bytes(words[8:16], "big")
        if control & CONTROL_SELECT:
            self._select(control >> 16)
        failed = False
        if control & CONTROL_READ:
            failed = not self._read(address, length)
        elif control & CONTROL_WRITE:
            failed = True  # no item can be written
        elif control & CONTROL_SKIP:
            self._advance(length)
        result = CONTROL_ERROR if failed else 0
        self._dma.write(descriptor, result.to_bytes(4, "big"))

    def _read(self, address: int, length: int) -> bool:
        """Copy the next `length` bytes to memory, zeros where the item has ended."""
        item, at = self._item(), self.state.offset
        content = memoryview(item)[at : at + length]
        self._advance(length)
        zeros = length - len(content)
        if self._dma.write(address, content) < len(content):
            return False
        return self._dma.clear(address + len(content), zeros) == zeros


def _swap(value: int) -> int:
    """A 32-bit value in the other byte order."""
    return int.from_bytes(value.to_bytes(4, "little"), "big")
