# SPDX-License-Identifier: BSD-2-Clause
"""A PCI card with everything that a function can have, for guests and firmware to try out.

BAR 0       registers, 4 KiB, 32 bits
BAR 1       the same registers as 32 I/O ports
BAR 2, 3    MSI-X table and pending bits, 4 KiB, 64 bits, prefetchable
BAR 4       memory, 64 KiB, prefetchable
ROM         2 KiB: says "R" on the debug port 402h when firmware runs it

Registers, 32 bits each:
00h  "CARD"                          10h  length
04h  scratch                         14h  1: RAM to the buffer, 2: the buffer to RAM
08h  address in RAM, low half        18h  bytes transferred
0Ch  and high half                   1Ch  interrupt with this vector; 80h and up: pin low again
800h and up: the buffer
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from manager.bus.pci import (
    BarMemory,
    Msi,
    MsiState,
    Msix,
    MsixState,
    PciConfigState,
    PciHeader,
    PciSlot,
    vendor_specific,
)
from manager.bus.record import Record, nested, octets, uint
from manager.devices.card import PciCard
from manager.devices.claims import (
    EXPANSION_ROM,
    INTA,
    UNPLACED,
    IoBar,
    MemoryBar,
    PciAddress,
    PciIdentity,
    PortRange,
)
from manager.devices.device import Device
from manager.devices.node import LPC_BUS, DeviceNode
from manager.devices.services import Services
from manager.graph import pci
from manager.graph.board import pirq_for_firmware
from manager.graph.nodes import FirmwareBoot, Graph

IDENTITY = PciIdentity(0x1AF4, 0x10F1, 0xFF0000, 0x1AF4, 0x0001, 0x02)
REGISTERS, PORTS, TABLE, MEMORY = 0, 1, 2, 4
VECTORS = 4
ID = int.from_bytes(b"CARD", "little")
SCRATCH, ADDRESS_LOW, ADDRESS_HIGH, LENGTH, COMMAND, DONE, INTERRUPT = range(4, 32, 4)
BUFFER, BUFFER_END = 0x800, 0x1000
FROM_RAM, TO_RAM = 1, 2
PIN_LOW = 0x80
PAGE = 0x1000
VIDEO = 0x10000

BARS = (IoBar(PORTS, UNPLACED, 32),)
MEMORY_BARS = (
    MemoryBar(REGISTERS, UNPLACED, PAGE),
    MemoryBar(TABLE, UNPLACED, PAGE, bits=64, prefetchable=True),
    MemoryBar(MEMORY, UNPLACED, VIDEO, prefetchable=True, ram=True),
    MemoryBar(EXPANSION_ROM, UNPLACED, 0x800),
)


def rom() -> bytes:
    """An option ROM: header, PCI data structure, code that says R on port 402h and returns."""
    code = bytes.fromhex("50 52 ba 02 04 b0 52 ee 5a 58 cb")  # push ax, dx; out; pop; retf
    head = b"\x55\xaa\x04" + code
    data = b"PCIR" + IDENTITY.vendor.to_bytes(2, "little") + IDENTITY.device.to_bytes(2, "little")
    data += (
        bytes(2) + (24).to_bytes(2, "little") + b"\0" + IDENTITY.class_code.to_bytes(3, "little")
    )
    data += (4).to_bytes(2, "little") + bytes(2) + b"\0\x80" + bytes(2)
    image = bytearray((head.ljust(0x18, b"\0") + (0x1C).to_bytes(2, "little")).ljust(0x1C, b"\0"))
    image = bytearray((bytes(image) + data).ljust(0x800, b"\0"))
    image[-1] = -sum(image) & 0xFF
    return bytes(image)


@dataclass(slots=True)
class CardState(Record):
    """All of the card but its memory."""

    TYPE: ClassVar[str] = "test-card"

    config: PciConfigState = nested(PciConfigState, "configuration header")
    msi: MsiState = nested(MsiState, "messages")
    msix: MsixState = nested(MsixState, "messages of a table")
    words: bytearray = octets(32, 32, "registers", bytes(32))
    buffer: bytearray = octets(0x800, 0x800, "the buffer", bytes(0x800))
    pin: int = uint(1, "whether the card wants its pin high")


class Rom:
    """Read-only memory behind a BAR."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read_mmio(self, offset: int, size: int) -> int:
        return int.from_bytes(self._content[offset : offset + size], "little")

    def write_mmio(self, offset: int, size: int, value: int) -> None:
        pass


class Card(PciCard[CardState]):
    """The card. `memory` is what is behind BAR 4."""

    STATE = CardState

    def __init__(self, header: PciHeader, slot: PciSlot, memory: BarMemory) -> None:
        self.memory = memory
        table = Msix(VECTORS, bar=TABLE)
        super().__init__(
            header,
            slot,
            {
                REGISTERS: self, PORTS: self, TABLE: table, MEMORY: memory,
                EXPANSION_ROM: Rom(rom()),
            },
            capabilities=[vendor_specific(b"card")],
            msi=Msi(VECTORS),
            msix=table,
        )  # fmt: skip
        self.load(self.power_on())

    def settle(self) -> None:
        super().settle()
        self.function.set(bool(self.state.pin))

    # -- registers --------------------------------------------------------------------------

    def read_wide(self, offset: int, size: int) -> int:
        return self.read_mmio(offset, size)

    def write_wide(self, offset: int, size: int, value: int) -> None:
        self.write_mmio(offset, size, value)

    def read_mmio(self, offset: int, size: int) -> int:
        state = self.state
        if offset >= BUFFER:
            found = state.buffer[offset - BUFFER : offset - BUFFER + size]
        else:
            found = (ID.to_bytes(4, "little") + state.words[4:])[offset : offset + size]
        return int.from_bytes(found, "little")

    def write_mmio(self, offset: int, size: int, value: int) -> None:
        state = self.state
        if BUFFER <= offset <= BUFFER_END - size:
            at = offset - BUFFER
            state.buffer[at : at + size] = value.to_bytes(size, "little")
        elif offset <= 32 - size:
            state.words[offset : offset + size] = value.to_bytes(size, "little")
            if offset == COMMAND:
                self._transfer(value)
            elif offset == INTERRUPT:
                self._interrupt(value)

    def _word(self, offset: int) -> int:
        return int.from_bytes(self.state.words[offset : offset + 4], "little")

    def _transfer(self, command: int) -> None:
        address = self._word(ADDRESS_HIGH) << 32 | self._word(ADDRESS_LOW)
        length = min(self._word(LENGTH), len(self.state.buffer))
        done = 0
        if command == FROM_RAM:
            data = self.dma.read(address, length)
            self.state.buffer[: len(data)] = data
            done = len(data)
        elif command == TO_RAM:
            done = self.dma.write(address, self.state.buffer[:length])
        self.state.words[DONE : DONE + 4] = done.to_bytes(4, "little")

    def _interrupt(self, vector: int) -> None:
        if vector < PIN_LOW and self.function.signal(vector):
            return
        self.state.pin = int(vector < PIN_LOW)
        self.function.set(bool(self.state.pin))


@dataclass(frozen=True, slots=True)
class CardNode(DeviceNode):
    """The card in a slot."""

    TYPE: ClassVar[str] = "test-card"
    SECTION: ClassVar[str] = "slots"

    def build(self, board: Services) -> Device[Any]:
        card = Card(board.header(), board.slot(), board.bar_memory(MEMORY))
        board.attach(card.function)
        return card


def plugged(graph: Graph, slots: Sequence[int] = (5,)) -> Graph:
    """The machine with a card in each of these slots."""
    parent = next(node.id for node in graph.devices if node.type == "hostbridge")
    cards = [
        CardNode(
            f"slots.{slot}", parent, PciAddress(slot, 0), pin=INTA, pci=IDENTITY,
            bars=BARS, memory_bars=MEMORY_BARS,
        )
        for slot in slots
    ]  # fmt: skip
    placed = {bar.base for node in graph.devices for bar in node.bars}
    taken = [DeviceNode("", ports=(PortRange(base, 8),)) for base in placed]
    router = next(node for node in graph.devices if node.BUS == LPC_BUS)
    wired = list(pci.wired([router, *cards], [*graph.devices, *taken]))[1:]
    if isinstance(graph.boot, FirmwareBoot):
        pirqs = [pirq_for_firmware(slot, INTA) for slot in slots]
        wired = [replace(node, pirq=pirq) for node, pirq in zip(wired, pirqs, strict=True)]
    return replace(graph, devices=(*graph.devices, *wired))
