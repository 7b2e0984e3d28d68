# SPDX-License-Identifier: BSD-2-Clause
"""Base address registers of a live function: what they decode, and what they hold of a bus.

Everything that a guest writes is legal. A BAR that points at what another has, or at what no CPU
can address, does not decode until that changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from mmap import mmap
from typing import Protocol

from manager.bus.mmio import MemoryBus, MmioDevice
from manager.bus.pci.header import IoRange, MemoryRange, PciHeader
from manager.bus.pci.registers import (
    BAR_64,
    BAR_IO,
    BAR_PREFETCHABLE,
    COMMAND_IO,
    COMMAND_MEMORY,
    EXPANSION_ROM,
    ROM_ENABLE,
    ROM_GRANULE,
)
from manager.bus.pci.state import PciConfigState
from manager.bus.ports import BytePorts, PortBus, WidePorts
from manager.lazy import dataclass

LOW = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class BarMemory:
    """What is behind a BAR whose memory the CPU reaches by itself."""

    home: int
    memory: mmap
    """The memory: the device may read and write it at any time between accesses of the guest.

    Code that a guest runs in it is not meant to be written to by the device.
    """
    addresses: MemoryBus

    def touched(self) -> bytes:
        """Which pages the guest has stored to since the last call: one byte each, 1 or 0."""
        return self.addresses.touched(self.home)

    def overlay(self, offset: int, length: int, base: int | None) -> None:
        """Show a part of it, whole pages, at a fixed address as well; with None nowhere else."""
        self.addresses.overlay(self.home, offset, length, base)


Behind = BytePorts | WidePorts | MmioDevice | BarMemory
"""What answers at a BAR: ports for an I/O BAR, registers or memory for a memory BAR."""


class _Window(Protocol):
    """One BAR's range on its bus."""

    def is_free(self, base: int) -> bool:
        """Whether the range could be at `base`."""

    def open(self, base: int) -> None:
        """Take the range at `base`."""

    def close(self, base: int) -> None:
        """Give it back."""


class _Ports:
    __slots__ = ("_bus", "_device", "_length")

    def __init__(self, bus: PortBus, length: int, device: BytePorts | WidePorts) -> None:
        self._bus = bus
        self._length = length
        self._device = device

    def is_free(self, base: int) -> bool:
        return self._bus.is_free(base, self._length)

    def open(self, base: int) -> None:
        if isinstance(self._device, WidePorts):
            self._bus.claim_wide(base, self._length, self._device)
        else:
            self._bus.claim(base, self._length, self._device)

    def close(self, base: int) -> None:
        self._bus.release(base, self._length)


class _Registers:
    __slots__ = ("_bus", "_device", "_length")

    def __init__(self, bus: MemoryBus, length: int, device: MmioDevice) -> None:
        self._bus = bus
        self._length = length
        self._device = device

    def is_free(self, base: int) -> bool:
        return self._bus.is_free(base, self._length)

    def open(self, base: int) -> None:
        self._bus.claim(base, self._length, self._device)

    def close(self, base: int) -> None:
        self._bus.release(base)


class _Memory:
    __slots__ = ("_bus", "_home", "_length")

    def __init__(self, bus: MemoryBus, length: int, memory: BarMemory) -> None:
        self._bus = bus
        self._length = length
        self._home = memory.home

    def is_free(self, base: int) -> bool:
        return self._bus.is_free(base, self._length)

    def open(self, base: int) -> None:
        self._bus.show(base, self._length, self._home)

    def close(self, base: int) -> None:
        self._bus.hide(base, self._home)


class Bar:
    """One BAR. `opened` is where it has its range at present, or None."""

    __slots__ = ("_enable", "_window", "bit", "flags", "index", "mask", "opened", "start", "wide")

    def __init__(self, index: int, mask: int, flags: int, start: int, window: _Window) -> None:
        self.index = index
        self.bit = 1 << index
        self.mask = mask
        """The bits of its base that exist."""
        self.flags = flags
        """What its low register says besides: its type."""
        self.wide = bool(flags & BAR_64) and not flags & BAR_IO
        self.start = start
        """The base at power-on."""
        self.opened: int | None = None
        self._enable = COMMAND_IO if flags & BAR_IO else COMMAND_MEMORY
        self._window = window

    def base(self, state: PciConfigState) -> int:
        """Where it points."""
        if self.index == EXPANSION_ROM:
            return state.rom & self.mask
        low = state.bars[self.index] & self.mask
        return state.bars[self.index + 1] << 32 | low if self.wide else low

    def power_on(self, state: PciConfigState) -> None:
        """Point at the first base; decode if the command register says so."""
        low = self.start & self.mask & LOW
        if self.index == EXPANSION_ROM:
            state.rom = low
            return
        state.bars[self.index] = low | self.flags
        if self.wide:
            state.bars[self.index + 1] = (self.start & self.mask) >> 32
        if state.command & self._enable:
            state.decoding |= self.bit

    def write(self, state: PciConfigState, high: bool, value: int) -> None:
        """Write the low register, or the high one of a 64-bit BAR."""
        if self.index == EXPANSION_ROM:
            state.rom = value & (self.mask & LOW | ROM_ENABLE)
        elif high:
            state.bars[self.index + 1] = value & self.mask >> 32
        else:
            state.bars[self.index] = value & self.mask & LOW | self.flags

    def wanted(self, state: PciConfigState) -> int | None:
        """Where it should decode; None for nowhere. Base 0 is a BAR not yet assigned."""
        if not state.command & self._enable:
            return None
        if self.index == EXPANSION_ROM and not state.rom & ROM_ENABLE:
            return None
        return self.base(state) or None

    def claim(self, state: PciConfigState) -> None:
        """Take the range that is wanted, if nothing else has any of it."""
        if self.opened is None:
            base = self.wanted(state)
            if base is not None and self._window.is_free(base):
                self._window.open(base)
                self.opened = base

    def release_stale(self, state: PciConfigState) -> None:
        """Give up a range that is no longer wanted."""
        if self.opened is None:
            return
        keeps = state.decoding & self.bit and self.wanted(state) == self.opened
        if not keeps:
            self._window.close(self.opened)
            self.opened = None


def make_bars(
    header: PciHeader, ports: PortBus, memory: MemoryBus, behind: Mapping[int, Behind]
) -> list[Bar]:
    """The BARs of a header, by index. Raises ValueError for a header that cannot be.

    `behind` has what answers at each, by index.
    """
    bars = [_port_bar(item, ports, behind[item.index]) for item in header.bars]
    bars += [_memory_bar(item, memory, behind[item.index]) for item in header.memory_bars]
    taken = [n for bar in bars for n in (bar.index, bar.index + 1)[: 1 + bar.wide]]
    if len(set(taken)) < len(taken) or any(n > EXPANSION_ROM for n in taken):
        raise ValueError(f"BARs {sorted(taken)} of one function overlap or do not exist")
    if any(bar.wide and bar.index + 1 == EXPANSION_ROM for bar in bars):
        raise ValueError("BAR 5 has no register after it for its upper half")
    return sorted(bars, key=lambda bar: bar.index)


def _port_bar(item: IoRange, bus: PortBus, device: Behind) -> Bar:
    if not isinstance(device, WidePorts | BytePorts):
        raise ValueError(f"BAR {item.index} is an I/O BAR and needs ports behind it")
    mask = LOW & -item.length
    return Bar(item.index, mask, BAR_IO, item.base, _Ports(bus, item.length, device))


def _memory_bar(item: MemoryRange, bus: MemoryBus, device: Behind) -> Bar:
    least = ROM_GRANULE if item.index == EXPANSION_ROM else 16
    if item.length < least or item.length & item.length - 1:
        raise ValueError(f"BAR {item.index} cannot have {item.length} bytes")
    flags = BAR_64 if item.bits == 64 else 0
    flags |= BAR_PREFETCHABLE if item.prefetchable else 0
    mask = (1 << item.bits) - 1 & -item.length
    window: _Window
    if isinstance(device, BarMemory):
        window = _Memory(bus, item.length, device)
    elif isinstance(device, MmioDevice):
        window = _Registers(bus, item.length, device)
    else:
        raise ValueError(f"BAR {item.index} is a memory BAR and needs registers or memory")
    return Bar(item.index, mask, flags, item.base, window)
