# SPDX-License-Identifier: BSD-2-Clause
"""A PCI function: configuration space, BARs, INTx pin, messages, bus mastering.

Source: PCI Local Bus Specification 3.0, chapter 6. Type 0 headers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Protocol

from manager.bus.dma import Dma, nowhere
from manager.bus.lines import Line, Unconnected
from manager.bus.mmio import MemoryBus
from manager.bus.pci.bars import Bar, Behind, make_bars
from manager.bus.pci.capabilities import Capability, CapabilityList
from manager.bus.pci.header import PciHeader, pack
from manager.bus.pci.msi import Msi
from manager.bus.pci.msix import Msix
from manager.bus.pci.registers import (
    BAR0,
    BARS_END,
    CACHE_LINE_SIZE,
    COMMAND,
    COMMAND_BITS,
    COMMAND_BUS_MASTER,
    COMMAND_INTX_DISABLE,
    DEVICE_SPECIFIC,
    EXPANSION_ROM,
    INTERRUPT_LINE,
    LATENCY_TIMER,
    ROM_BAR,
    ROM_BAR_END,
    with_byte,
)
from manager.bus.pci.state import PciConfigState
from manager.bus.ports import PortBus
from manager.lazy import dataclass


class ConfigRegisters(Protocol):
    """A function's own configuration registers, by byte offset 0x40-0xFF."""

    def read_config(self, offset: int) -> int:
        """Read one byte."""

    def write_config(self, offset: int, value: int) -> None:
        """Write one byte."""


class Messages(Protocol):
    """Where messages of functions go."""

    def send(self, address: int, data: int) -> None:
        """A function has written 32 bits of data to an address."""


class Lost:
    """No way for messages."""

    def send(self, address: int, data: int) -> None:
        """Lose it."""


class Arbiter(Protocol):
    """Who settles claims of BARs: a function for itself, or the bus for all of them."""

    def claim_free(self) -> None:
        """Claim what BARs and command registers ask for, where nothing else has it."""

    def reclaim(self) -> None:
        """Claim only what is on record, if it is free by now."""


@dataclass(frozen=True, slots=True)
class PciSlot:
    """What a function is plugged into. By default nothing is connected to anything."""

    ports: PortBus = field(default_factory=PortBus)
    memory: MemoryBus = field(default_factory=MemoryBus)
    line: Line = field(default_factory=Unconnected)
    """What the interrupt pin is wired to."""
    messages: Messages = field(default_factory=Lost)
    dma: Dma = field(default_factory=nowhere)
    """The function's own way to RAM: it is on while the guest lets the function be bus master."""


class PciFunction:
    """A function's configuration space. A device has one and nests its record.

    `behind` has what answers at each BAR of the header, by index. `registers` has the device's own
    registers; without them they read as 0. `msi` and `msix` come first in the capability list.

    Also a Line itself: the device drives it as its interrupt, and the slot's line gets what INTx
    disable and enabled messages let through.
    """

    def __init__(
        self,
        header: PciHeader,
        slot: PciSlot | None = None,
        behind: Mapping[int, Behind] | None = None,
        *,
        registers: ConfigRegisters | None = None,
        capabilities: Sequence[Capability] = (),
        msi: Msi | None = None,
        msix: Msix | None = None,
    ) -> None:
        self.header = header
        self.arbiter: Arbiter = self
        self.multifunction = False
        self.msi = msi
        self.msix = msix
        self._slot = slot or PciSlot()
        self._registers = registers
        self._interrupt = False
        sources = [source for source in (msi, msix) if source is not None]
        for source in sources:
            source.send = self._send
        self.capabilities = CapabilityList([*sources, *capabilities])
        self._bars = make_bars(header, self._slot.ports, self._slot.memory, behind or {})
        self._bar_registers = _bar_registers(self._bars)
        self._state = self.power_on()
        self._allow_dma()

    # -- state ------------------------------------------------------------------------------

    @property
    def state(self) -> PciConfigState:
        """The record. `settle` makes buses and lines agree with one that was put in its place."""
        return self._state

    @state.setter
    def state(self, state: PciConfigState) -> None:
        self._state = state
        self._allow_dma()

    def power_on(self) -> PciConfigState:
        """The record as firmware leaves it: BARs in place, and decoding if `command` says so."""
        state = PciConfigState(
            command=self.header.command & COMMAND_BITS,
            interrupt_line=self.header.interrupt_line,
        )
        for bar in self._bars:
            bar.power_on(state)
        return state

    def settle(self) -> None:
        """Make lines and claims agree with the state, after it was replaced."""
        self._drive()
        self._release_stale()
        self.arbiter.reclaim()

    # -- configuration space ----------------------------------------------------------------

    def read(self, offset: int, size: int) -> int:
        """Read 1, 2 or 4 bytes of configuration space, little-endian."""
        header = pack(
            self.header,
            self._state,
            capabilities=self.capabilities.first,
            multifunction=self.multifunction,
            interrupt=self._interrupt,
        )
        value = 0
        for i in range(size):
            at = offset + i & 0xFF
            byte = header[at] if at < DEVICE_SPECIFIC else self._read_specific(at)
            value |= byte << 8 * i
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        """Write 1, 2 or 4 bytes of configuration space, little-endian."""
        changed: list[Capability] = []
        for i in range(size):
            at = offset + i & 0xFF
            byte = value >> 8 * i & 0xFF
            if at < DEVICE_SPECIFIC:
                self._write_header(at, byte)
            elif at in self.capabilities:
                changed += self.capabilities.write(at, byte)
            elif self._registers is not None:
                self._registers.write_config(at, byte)
        # A BAR moves once, when all bytes of the access are in; so with what follows from others.
        self._allow_dma()
        self._drive()
        self._release_stale()
        self.arbiter.claim_free()
        for capability in changed:
            capability.settle()

    def _allow_dma(self) -> None:
        self._slot.dma.enabled = bool(self._state.command & COMMAND_BUS_MASTER)

    def _write_header(self, offset: int, byte: int) -> None:
        state = self._state
        if COMMAND <= offset < COMMAND + 2:
            shift = 8 * (offset - COMMAND)
            state.command = with_byte(state.command, shift, byte) & COMMAND_BITS
        elif offset == CACHE_LINE_SIZE:
            state.cache_line_size = byte
        elif offset == LATENCY_TIMER:
            state.latency_timer = byte
        elif BAR0 <= offset < BARS_END:
            index, place = divmod(offset - BAR0, 4)
            if (found := self._bar_registers.get(index)) is not None:
                bar, high = found
                bar.write(state, high, with_byte(state.bars[index], 8 * place, byte))
        elif ROM_BAR <= offset < ROM_BAR_END:
            if (found := self._bar_registers.get(EXPANSION_ROM)) is not None:
                found[0].write(state, False, with_byte(state.rom, 8 * (offset - ROM_BAR), byte))
        elif offset == INTERRUPT_LINE:
            state.interrupt_line = byte

    def _read_specific(self, offset: int) -> int:
        if offset in self.capabilities:
            return self.capabilities.read(offset)
        return self._registers.read_config(offset) if self._registers is not None else 0

    # -- interrupts -------------------------------------------------------------------------

    def set(self, level: bool) -> None:
        """The level that the device wants on its interrupt pin."""
        self._interrupt = level
        self._drive()

    def signal(self, vector: int) -> bool:
        """Interrupt by message, with the kind that the guest has enabled.

        False if it has enabled none: then the device has its pin to drive. Vectors count from 0;
        MSI folds them into as many as the guest allows, and those beyond an MSI-X table are lost.
        """
        if self.msix is not None and self.msix.enabled:
            self.msix.signal(vector)
            return True
        if self.msi is not None and self.msi.enabled:
            self.msi.signal(vector)
            return True
        return False

    @property
    def by_message(self) -> bool:
        """Whether the guest has enabled messages, so that the pin stays low."""
        return (self.msix is not None and self.msix.enabled) or (
            self.msi is not None and self.msi.enabled
        )

    def armed(self) -> Iterator[tuple[int, int]]:
        """(address, data) of the messages that it may send as its registers are now."""
        if self._state.command & COMMAND_BUS_MASTER:
            for source in (self.msi, self.msix):
                if source is not None:
                    yield from source.armed()

    def _send(self, address: int, data: int) -> None:
        """A message of this function's; it is lost unless the function may be bus master."""
        if self._state.command & COMMAND_BUS_MASTER:
            self._slot.messages.send(address, data)

    def _drive(self) -> None:
        held = self._state.command & COMMAND_INTX_DISABLE or self.by_message
        self._slot.line.set(self._interrupt and not held)

    # -- claims -----------------------------------------------------------------------------

    def reclaim(self) -> None:
        """See Arbiter: for this function only."""
        for bar in self._bars:
            if self._state.decoding & bar.bit:
                bar.claim(self._state)

    def claim_free(self) -> None:
        """See Arbiter: for this function only."""
        state = self._state
        for bar in self._bars:
            bar.claim(state)
            if bar.opened is None:
                state.decoding &= ~bar.bit
            else:
                state.decoding |= bar.bit

    def _release_stale(self) -> None:
        for bar in self._bars:
            bar.release_stale(self._state)


def _bar_registers(bars: Sequence[Bar]) -> dict[int, tuple[Bar, bool]]:
    """Which BAR each register is part of, and whether it is the upper half of one."""
    found = {bar.index: (bar, False) for bar in bars}
    return found | {bar.index + 1: (bar, True) for bar in bars if bar.wide}
