# SPDX-License-Identifier: BSD-2-Clause
"""What a device can claim of a machine: ports, addresses, a place on the PCI bus."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from manager.devices.host import Backend
from manager.lazy import dataclass


@dataclass(frozen=True, slots=True)
class Range:
    """`length` numbers from `base` on."""

    base: int
    length: int

    @property
    def end(self) -> int:
        """One past the last."""
        return self.base + self.length


@dataclass(frozen=True, slots=True)
class PortRange(Range):
    """A range of I/O ports."""


@dataclass(frozen=True, slots=True)
class MemoryRange(Range):
    """A range of physical addresses, in bytes."""


@dataclass(frozen=True, slots=True)
class PciAddress:
    """Where a function sits on PCI bus 0."""

    slot: int
    function: int

    def __str__(self) -> str:
        return f"{self.slot}.{self.function}"


def unit(name: str, address: PciAddress | None) -> str:
    """A node of an OpenFirmware path: a function by its slot and, if it is not 0, its number."""
    assert address is not None
    function = f",{address.function:x}" if address.function else ""
    return f"{name}@{address.slot:x}{function}"


@dataclass(frozen=True, slots=True)
class PciIdentity:
    """What the function's configuration header says it is."""

    vendor: int
    device: int
    class_code: int
    """24 bits: base class, subclass, programming interface."""
    subsystem_vendor: int = 0
    subsystem_device: int = 0
    revision: int = 0


UNPLACED = 0
"""The base of a BAR that the graph is to find a place for."""
INTA, INTB, INTC, INTD = 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class IoBar:
    """An I/O base address register and where it points before the guest moves it."""

    index: int
    base: int
    length: int
    """A power of two, 4 to 256."""


EXPANSION_ROM = 6
"""The index of a MemoryBar that is the expansion ROM base address register."""


@dataclass(frozen=True, slots=True)
class MemoryBar:
    """A memory base address register and where it points before the guest moves it.

    A 64-bit one takes the register after it as well.
    """

    index: int
    """0-5, or EXPANSION_ROM."""
    base: int
    length: int
    """Bytes: a power of two, 16 or more, and 2 KiB or more of an expansion ROM."""
    bits: Literal[32, 64] = 32
    prefetchable: bool = False
    ram: bool = False
    """Whether host memory is behind it, which the guest reaches without the device, such as a frame
    buffer. Whole pages then."""


PORTS = "ports"
"""The key of a device's table below which its ports with names are."""


def end_id(device: str, name: str) -> str:
    """The id of a device's port.

    >>> end_id("slots.8", "agent")
    'slots.8.ports.agent'
    """
    return f"{device}.{PORTS}.{name}" if name else device


VARIABLES_DISK = "firmware-variables"
"""The disk with what is in the firmware's flash chip: so that is in snapshots, and outlives a
power-off."""
FLASH_LIMIT = 1 << 20
"""Bytes of that disk, and at most of the chip."""


SHARES = "shares."
"""Begins the names of the disks that shares are on: [shares.src] is on "shares.src"."""


@dataclass(frozen=True, slots=True)
class DiskUse:
    """A disk that a device is for."""

    key: str
    """The key of the device's table that names it."""
    name: str
    """The disk's, in [disks], or that of a share, with SHARES before it."""


@dataclass(frozen=True, slots=True)
class Claims:
    """All that one device claims. Kinds of devices add facts of their own (node.py)."""

    id: str
    parent: str | None = None
    address: PciAddress | None = None
    """Where on PCI bus 0 it sits."""
    ports: tuple[PortRange, ...] = field(default=(), kw_only=True)
    """Fixed ports; a PCI device's movable ones are in `bars`."""
    irq: int | None = field(default=None, kw_only=True)
    """Its ISA interrupt, or the one its INTx pin is routed to at power-on."""
    pin: int = field(default=0, kw_only=True)
    """PCI interrupt pin: 1-4 for INTA-INTD, 0 for none."""
    pirq: int | None = field(default=None, kw_only=True)
    """Which PIRQ (0-7 for A-H) of the LPC bridge the pin is wired to; the graph finds it."""
    pci: PciIdentity | None = field(default=None, kw_only=True)
    bars: tuple[IoBar, ...] = field(default=(), kw_only=True)
    """The graph finds places for those whose base is UNPLACED."""
    memory: tuple[MemoryRange, ...] = field(default=(), kw_only=True)
    """Registers at fixed places in memory space."""
    memory_bars: tuple[MemoryBar, ...] = field(default=(), kw_only=True)
    """Movable memory of a PCI device."""
    backend: Backend | None = field(default=None, kw_only=True)
    """The host's side of its serial port; never part of what the guest sees."""
    disks: tuple[DiskUse, ...] = field(default=(), kw_only=True)
    """The disks that it is for."""
    multifunction: bool = field(default=False, kw_only=True)
    """Whether its slot has more than one function; the graph finds it."""

    @property
    def nested_ports(self) -> tuple[PortRange, ...]:
        """Ports within a range that another device has; bytes of them are this device's."""
        return ()
