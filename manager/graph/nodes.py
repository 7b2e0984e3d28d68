# SPDX-License-Identifier: BSD-2-Clause
"""The graph's nodes. Built from a validated machine file, read by everything that comes after.

A device's `id` is its path in the machine file ("slots.4", "slots.4.1", "lpc.com1"); parts that
every PC has are "board.pic", "board.pit" and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


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


@dataclass(frozen=True, slots=True)
class IoBar:
    """An I/O base address register and where it points before anybody moves it."""

    index: int
    base: int
    length: int


EXPANSION_ROM = 6
"""The index of a MemoryBar that is the expansion ROM base address register."""


@dataclass(frozen=True, slots=True)
class MemoryBar:
    """A memory base address register and where it points before anybody moves it.

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


@dataclass(frozen=True, slots=True)
class Backend:
    """The host's side of a serial port. Wiring: never part of what the guest sees.

    `type` is stdio, null, pty, file, tcp, unix or pipe; `options` are that type's own keys.
    """

    type: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeviceNode:
    """One device: what it is, where it sits, what it owns."""

    id: str
    type: str
    """hostbridge, lpc, isa-uart, pci-uart, debug-exit, pic, pit, rtc, ..."""
    parent: str | None = None
    """The id of the device whose bus it sits on; None for the board itself."""
    ports: tuple[PortRange, ...] = ()
    """Fixed ports; a PCI device's movable ones are in `bars`."""
    irq: int | None = None
    """Its ISA interrupt, or the one its INTx pin is routed to at power-on."""
    pin: int = 0
    """PCI interrupt pin: 1-4 for INTA-INTD, 0 for none."""
    pirq: int | None = None
    """Which PIRQ (0-7 for A-H) of the LPC bridge the pin is wired to."""
    address: PciAddress | None = None
    pci: PciIdentity | None = None
    bars: tuple[IoBar, ...] = ()
    properties: Mapping[str, int | str | bool] = field(default_factory=dict)
    """Anything else that the guest can see."""
    backend: Backend | None = None
    memory: tuple[MemoryRange, ...] = ()
    """Fixed registers in memory space."""
    memory_bars: tuple[MemoryBar, ...] = ()
    """Movable memory of a PCI device."""

    @property
    def port_name(self) -> str:
        """What users call it when it is a serial port: com1..com4, or the id of a PCI uart."""
        return self.id.removeprefix("lpc.")


@dataclass(frozen=True, slots=True)
class KernelBoot:
    """A kernel file: Linux bzImage or vmlinux, or a multiboot ELF, told apart by content."""

    kernel: Path
    initrd: Path | None = None
    cmdline: str = ""
    modules: tuple[str, ...] = ()
    protocol: str | None = None
    """linux16, linux32, linux64, pvh, multiboot or multiboot2, where the file leaves a choice."""


@dataclass(frozen=True, slots=True)
class ImageBoot:
    """A flat binary, loaded at `load` and entered at `entry` in 16-, 32- or 64-bit mode."""

    image: Path
    load: int
    entry: int
    bits: Literal[16, 32, 64]


@dataclass(frozen=True, slots=True)
class FirmwareBoot:
    """A ROM that ends at 4 GiB and starts at the reset vector.

    The rest is for the firmware to boot, which asks the fw_cfg device for it.
    """

    firmware: Path
    kernel: Path | None = None
    initrd: Path | None = None
    cmdline: str = ""


Boot = FirmwareBoot | KernelBoot | ImageBoot
"""Stored ones are told apart by the first of these whose first field they have."""


@dataclass(frozen=True, slots=True)
class Ready:
    """When `up` counts as ready."""

    port: str
    """com1..com4 or a device id."""
    wait_for: str
    fail_on: str | None = None
    timeout_ns: int = 120_000_000_000
    cache: bool = False
    """Whether `up` keeps the machine as it is then, and takes it next time."""


@dataclass(frozen=True, slots=True)
class Debug:
    """Help for whoever debugs a guest."""

    strict_io: bool = False
    """Whether the guest's access to a port that no device has is an error. The guest can tell."""
    trace: tuple[str, ...] = ()
    """What to trace: ports, irq, pci, msr."""
    trace_file: Path | None = None
    """Where the trace goes; None for the machine's state directory."""
    on_triple_fault: Literal["stop", "reset"] = "stop"
    """Whether a triple fault ends the machine. The guest can tell."""
    on_reset: Literal["reset", "stop"] = "reset"
    """Whether a reset starts the machine again."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What is recorded of a run."""

    enabled: bool = True
    """Whether input is recorded, for `replay` and `rewind`."""
    rewind_ns: int = 0
    """How far back checkpoints go, in virtual ns; 0 for none."""


@dataclass(frozen=True, slots=True)
class Gdb:
    """Where gdb may connect to."""

    listen: str
    """HOST:PORT, or the path of a UNIX socket, which has a slash."""
    wait: bool = False
    """Nothing is executed until a debugger says so."""

    @property
    def is_path(self) -> bool:
        """Whether it listens on a UNIX socket."""
        return "/" in self.listen


@dataclass(frozen=True, slots=True)
class Graph:
    """A whole machine."""

    name: str
    source: Path
    """The machine file it came from."""
    cpu_model: str
    memory_size: int
    """Bytes of RAM."""
    clock_mode: Literal["paced", "virtual"]
    epoch: int
    """What the RTC shows at virtual time 0: seconds since 1970-01-01T00:00:00Z."""
    boot: Boot
    devices: tuple[DeviceNode, ...]
    """In a fixed order: board, PCI functions by address, LPC devices."""
    ready: Ready | None = None
    debug: Debug = Debug()
    record: Recording = Recording()
    gdb: Gdb | None = None

    def device(self, id: str) -> DeviceNode | None:
        """The device of that id."""
        return next((node for node in self.devices if node.id == id), None)

    def serial_ports(self) -> tuple[DeviceNode, ...]:
        """The devices that have a backend, in graph order."""
        return tuple(node for node in self.devices if node.backend is not None)
