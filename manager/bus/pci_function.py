# SPDX-License-Identifier: BSD-2-Clause
"""A PCI function: configuration header, movable I/O ranges, INTx pin.

Source: PCI Local Bus Specification 3.0, chapter 6. Type 0 headers with I/O BARs only; no
capability list. Everything a guest writes is legal: a BAR that points at ports which somebody else
owns just does not decode until they are free.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from manager.bus.lines import Line
from manager.bus.ports import PORTS, BytePorts, PortBus
from manager.bus.record import Record, ints, uint

BARS = 6

COMMAND_IO = 0x0001  # the function answers at its I/O BARs
COMMAND_MEMORY = 0x0002
COMMAND_BUS_MASTER = 0x0004
COMMAND_PARITY = 0x0040
COMMAND_SERR = 0x0100
COMMAND_INTX_DISABLE = 0x0400
COMMAND_BITS = (
    COMMAND_IO
    | COMMAND_MEMORY
    | COMMAND_BUS_MASTER
    | COMMAND_PARITY
    | COMMAND_SERR
    | COMMAND_INTX_DISABLE
)

STATUS_INTX = 0x0008  # the function wants its pin asserted, disabled or not
STATUS_DEVSEL_MEDIUM = 0x0200

BAR_IO = 0x00000001
HEADER_MULTIFUNCTION = 0x80

COMMAND = 0x04
CACHE_LINE_SIZE = 0x0C
LATENCY_TIMER = 0x0D
BAR0 = 0x10
BARS_END = BAR0 + 4 * BARS
INTERRUPT_LINE = 0x3C
DEVICE_SPECIFIC = 0x40
CONFIG_SIZE = 0x100

HEADER = struct.Struct("<4H I 4B 6I I 2H 3I 4B")
"""The 64 bytes up to DEVICE_SPECIFIC."""


class Identity(Protocol):
    """What a function says it is; `class_code` is base class, subclass, programming interface."""

    @property
    def vendor(self) -> int: ...  # noqa: D102
    @property
    def device(self) -> int: ...  # noqa: D102
    @property
    def class_code(self) -> int: ...  # noqa: D102
    @property
    def subsystem_vendor(self) -> int: ...  # noqa: D102
    @property
    def subsystem_device(self) -> int: ...  # noqa: D102
    @property
    def revision(self) -> int: ...  # noqa: D102


class IoRange(Protocol):
    """An I/O BAR: its index (0-5), its length (a power of two, 4-256), its base at power-on."""

    @property
    def index(self) -> int: ...  # noqa: D102
    @property
    def base(self) -> int: ...  # noqa: D102
    @property
    def length(self) -> int: ...  # noqa: D102


class ConfigRegisters(Protocol):
    """A function's own configuration registers, by byte offset 0x40-0xFF."""

    def read_config(self, offset: int) -> int:
        """Read one byte."""

    def write_config(self, offset: int, value: int) -> None:
        """Write one byte."""


class Claimant(Protocol):
    """Who settles claims on ports: a function for itself, or the bus for all of them."""

    def claim_free(self) -> None:
        """Claim what BARs and command registers ask for, where nobody else has it."""

    def reclaim(self) -> None:
        """Claim only what is on record, if it is free by now."""


@dataclass(frozen=True, slots=True)
class PciHeader:
    """The fixed part of a header, and what firmware has programmed before the guest starts."""

    identity: Identity
    bars: tuple[IoRange, ...] = ()
    interrupt_pin: int = 0
    """1-4 for INTA-INTD, 0 for none."""
    interrupt_line: int = 0
    """The ISA interrupt that the pin is routed to: a note for the guest, without effect."""
    command: int = 0


@dataclass(slots=True)
class PciConfigState(Record):
    """What a guest can change in a configuration header."""

    TYPE = "pci-config"

    command: int = uint(16, "command register")
    cache_line_size: int = uint(8, "cache line size register")
    latency_timer: int = uint(8, "latency timer register")
    bars: list[int] = ints(BARS, 32, "base address registers")
    interrupt_line: int = uint(8, "interrupt line register")
    decoding: int = uint(BARS, "bit n: the ports at BAR n are this function's")


@dataclass(slots=True)
class _Bar:
    """A BAR of a live function."""

    range: IoRange
    device: BytePorts
    claimed: int | None = field(default=None)
    """The base of the ports it owns on the port bus at present."""

    @property
    def mask(self) -> int:
        return 0xFFFFFFFF & ~(self.range.length - 1)


class PciFunction:
    """A function's header: identity, command, BARs, INTx. A device has one and nests its record.

    `devices` names the ports behind each BAR of the header by index. `line` is what the interrupt
    pin is wired to. `registers` has the device's own registers; without them they read as 0.
    Also a Line itself: the device drives it as its interrupt, `line` gets what INTx disable lets
    through.
    """

    def __init__(
        self,
        header: PciHeader,
        *,
        ports: PortBus | None = None,
        devices: Mapping[int, BytePorts] | None = None,
        line: Line | None = None,
        registers: ConfigRegisters | None = None,
    ) -> None:
        self.header = header
        self.arbiter: Claimant = self
        self.multifunction = False
        self._ports = ports or PortBus()  # without BARs there is nothing to claim
        self._line = line
        self._registers = registers
        self._interrupt = False
        behind = devices or {}
        self._bars = {bar.index: _Bar(bar, behind[bar.index]) for bar in header.bars}
        self.state = self.power_on()

    def power_on(self) -> PciConfigState:
        """The record as firmware leaves it: BARs in place, and decoding if `command` says so."""
        state = PciConfigState(
            command=self.header.command & COMMAND_BITS,
            interrupt_line=self.header.interrupt_line,
        )
        for index, bar in self._bars.items():
            state.bars[index] = bar.range.base & bar.mask | BAR_IO
            if state.command & COMMAND_IO:
                state.decoding |= 1 << index
        return state

    def read(self, offset: int, size: int) -> int:
        """Read 1, 2 or 4 bytes of configuration space, little-endian."""
        header = self._header_bytes()
        value = 0
        for i in range(size):
            at = offset + i & 0xFF
            if at < DEVICE_SPECIFIC:
                value |= header[at] << 8 * i
            elif self._registers is not None:
                value |= self._registers.read_config(at) << 8 * i
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        """Write 1, 2 or 4 bytes of configuration space, little-endian."""
        for i in range(size):
            at = offset + i & 0xFF
            byte = value >> 8 * i & 0xFF
            if at < DEVICE_SPECIFIC:
                self._write_header(at, byte)
            elif self._registers is not None:
                self._registers.write_config(at, byte)
        # A BAR moves once, when all bytes of the access are in.
        self._drive()
        self._release_stale()
        self.arbiter.claim_free()

    def set(self, level: bool) -> None:
        """The device's wish for its interrupt pin."""
        self._interrupt = level
        self._drive()

    def settle(self) -> None:
        """Make the line and the claims on ports agree with the state, after it was replaced."""
        self._drive()
        self._release_stale()
        self.arbiter.reclaim()

    def reclaim(self) -> None:
        """See Claimant: for this function only."""
        for index, bar in self._bars.items():
            if self.state.decoding >> index & 1:
                self._claim(index, bar)

    def claim_free(self) -> None:
        """See Claimant: for this function only."""
        for index, bar in self._bars.items():
            self._claim(index, bar)
            if bar.claimed is None:
                self.state.decoding &= ~(1 << index)
            else:
                self.state.decoding |= 1 << index

    def _header_bytes(self) -> bytes:
        state, header, identity = self.state, self.header, self.header.identity
        status = STATUS_DEVSEL_MEDIUM | (STATUS_INTX if self._interrupt else 0)
        return HEADER.pack(
            *(identity.vendor, identity.device, state.command, status),
            identity.class_code << 8 | identity.revision,
            *(state.cache_line_size, state.latency_timer),
            *(HEADER_MULTIFUNCTION if self.multifunction else 0, 0),
            *state.bars,
            0,
            *(identity.subsystem_vendor, identity.subsystem_device),
            *(0, 0, 0),
            *(state.interrupt_line, header.interrupt_pin, 0, 0),
        )

    def _write_header(self, offset: int, byte: int) -> None:
        state = self.state
        if COMMAND <= offset < COMMAND + 2:
            shift = 8 * (offset - COMMAND)
            state.command = _with_byte(state.command, shift, byte) & COMMAND_BITS
        elif offset == CACHE_LINE_SIZE:
            state.cache_line_size = byte
        elif offset == LATENCY_TIMER:
            state.latency_timer = byte
        elif BAR0 <= offset < BARS_END:
            index, place = divmod(offset - BAR0, 4)
            if (bar := self._bars.get(index)) is not None:
                moved = _with_byte(state.bars[index], 8 * place, byte)
                state.bars[index] = moved & bar.mask | BAR_IO
        elif offset == INTERRUPT_LINE:
            state.interrupt_line = byte

    def _drive(self) -> None:
        if self._line is not None:
            self._line.set(self._interrupt and not self.state.command & COMMAND_INTX_DISABLE)

    def _wanted(self, index: int, bar: _Bar) -> int | None:
        """Where the BAR should decode; None for nowhere. Base 0 is a BAR not yet assigned."""
        base = self.state.bars[index] & bar.mask
        if not self.state.command & COMMAND_IO or not 0 < base <= PORTS - bar.range.length:
            return None
        return base

    def _claim(self, index: int, bar: _Bar) -> None:
        base = self._wanted(index, bar)
        if bar.claimed is None and base is not None and self._ports.is_free(base, bar.range.length):
            self._ports.claim(base, bar.range.length, bar.device)
            bar.claimed = base

    def _release_stale(self) -> None:
        """Give up ports that are no longer wanted."""
        for index, bar in self._bars.items():
            if bar.claimed is None:
                continue
            keeps = self.state.decoding >> index & 1 and self._wanted(index, bar) == bar.claimed
            if not keeps:
                self._ports.release(bar.claimed, bar.range.length)
                bar.claimed = None


def _with_byte(value: int, shift: int, byte: int) -> int:
    return value & ~(0xFF << shift) | byte << shift
