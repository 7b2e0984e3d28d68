# SPDX-License-Identifier: BSD-2-Clause
"""The fixed part of a configuration header, and what firmware has programmed before the guest."""

from __future__ import annotations

import struct
from typing import Protocol

from manager.bus.pci.registers import (
    HEADER_MULTIFUNCTION,
    STATUS_CAPABILITIES,
    STATUS_DEVSEL_MEDIUM,
    STATUS_INTX,
)
from manager.bus.pci.state import PciConfigState
from manager.lazy import dataclass

REGISTERS = struct.Struct("<4H I 4B 6I I 2H I 4B I 4B")
"""The 64 bytes before the device's own registers."""


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


class MemoryRange(IoRange, Protocol):
    """A memory BAR: its length is a power of two, 16 or more; `bits` is 32 or 64.

    A 64-bit one takes the index after its own as well. Index EXPANSION_ROM is the expansion ROM.
    """

    @property
    def bits(self) -> int: ...  # noqa: D102
    @property
    def prefetchable(self) -> bool: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class PciHeader:
    """What a function is, and what firmware left in its registers."""

    identity: Identity
    bars: tuple[IoRange, ...] = ()
    interrupt_pin: int = 0
    """1-4 for INTA-INTD, 0 for none."""
    interrupt_line: int = 0
    """The ISA interrupt that the pin is routed to: a note for the guest, without effect."""
    command: int = 0
    memory_bars: tuple[MemoryRange, ...] = ()


def pack(
    header: PciHeader,
    state: PciConfigState,
    *,
    capabilities: int = 0,
    multifunction: bool = False,
    interrupt: bool = False,
) -> bytes:
    """The header as a guest reads it.

    `capabilities` is where the first one is, or 0; `interrupt` is the level that the device wants
    on its pin.
    """
    identity = header.identity
    status = STATUS_DEVSEL_MEDIUM | (STATUS_INTX if interrupt else 0)
    status |= STATUS_CAPABILITIES if capabilities else 0
    return REGISTERS.pack(
        *(identity.vendor, identity.device, state.command, status),
        identity.class_code << 8 | identity.revision,
        *(state.cache_line_size, state.latency_timer),
        *(HEADER_MULTIFUNCTION if multifunction else 0, 0),
        *state.bars,
        0,
        *(identity.subsystem_vendor, identity.subsystem_device),
        state.rom,
        *(capabilities, 0, 0, 0, 0),
        *(state.interrupt_line, header.interrupt_pin, 0, 0),
    )
