# SPDX-License-Identifier: BSD-2-Clause
"""A whole machine as a graph. Built from a machine file, read by all later steps.

Its devices are nodes of their kinds (manager.devices.node). A device's `id` is its path in the
machine file ("slots.4", "slots.4.1", "lpc.com1"); parts that every PC has are "board.pic",
"board.pit" and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from manager.devices.claims import SHARES
from manager.devices.node import DeviceNode, SerialEnd
from manager.lazy import dataclass

NEWER: Mapping[str, bool] = MappingProxyType({"vmmgr.newer": True})
"""Marks a field that is newer than the plain form, which leaves it out at its default."""


@dataclass(frozen=True, slots=True)
class KernelBoot:
    """A kernel file: Linux bzImage or vmlinux, or a multiboot ELF, recognised by content."""

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
    variables: Path | None = field(default=None, metadata=NEWER)
    """What its variables begin with, where `firmware` is its code alone."""
    order: tuple[str, ...] = field(default=(), metadata=NEWER)
    """What to boot from: ids of devices, and drives of an IDE controller."""


Boot = FirmwareBoot | KernelBoot | ImageBoot
"""A stored one is the first of these whose first field it has."""


SHARE = "share"
"""The format of a share's disk: manager.storage.share."""


@dataclass(frozen=True, slots=True)
class DiskSource:
    """What a disk begins with, on the host: an image, a folder, or, with a size alone, nothing."""

    name: str
    image: Path | None = None
    folder: Path | None = None
    format: str | None = None
    """Of the file system that is made of the folder: ext4, fat or iso; or SHARE."""
    size: int | None = None
    """Bytes."""
    mode: Literal["overlay", "read-only", "direct"] = "overlay"
    on_full: Literal["pause", "error"] = "pause"
    """What happens when the host has no room."""

    @property
    def is_share(self) -> bool:
        """Whether it has the files of [shares], for a device that serves files."""
        return self.format == SHARE

    @property
    def title(self) -> str:
        """What messages call it."""
        kind = "share" if self.is_share else "disk"
        return f'{kind} "{self.name.removeprefix(SHARES) if self.is_share else self.name}"'


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
    """Help for debugging a guest."""

    strict_io: bool = False
    """Whether the guest's access to a port without a device is an error. The guest can see it."""
    trace: tuple[str, ...] = ()
    """What to trace: ports, irq, pci, msr."""
    trace_file: Path | None = None
    """Where the trace goes; None for the machine's state directory."""
    on_triple_fault: Literal["stop", "reset"] = "stop"
    """Whether a triple fault ends the machine. The guest can see it."""
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
class Sandbox:
    """What the process that runs the machine gives up of the host."""

    enabled: bool = True
    read: tuple[Path, ...] = ()
    """What it may read besides what the machine needs."""
    write: tuple[Path, ...] = ()
    """Where it may also read, write, make and remove."""


@dataclass(frozen=True, slots=True)
class Gdb:
    """Where gdb may connect to."""

    listen: str
    """HOST:PORT, or the path of a UNIX socket, which has a slash."""
    wait: bool = False
    """Nothing is executed until a debugger lets it run."""

    @property
    def is_path(self) -> bool:
        """Whether it listens on a UNIX socket."""
        return "/" in self.listen


@dataclass(frozen=True, slots=True)
class Seeded:
    """Where turns of CPUs end and when interrupts are taken is drawn, by this seed."""

    seed: int
    jitter_ns: int
    """How long an interrupt waits at most."""
    tear: bool
    """Whether an instruction that reads and writes memory without LOCK may be torn in two."""


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
    disks: tuple[DiskSource, ...] = ()
    """By name."""
    cpu_count: int = 1
    cpu_quantum: int = 50_000
    """How long a turn of a CPU lasts while others wait, ns."""
    cpu_seed: Seeded | None = None
    """A schedule by seed; None for the fair one."""
    sandbox: Sandbox = Sandbox()

    def device(self, id: str) -> DeviceNode | None:
        """The device of that id."""
        return next((node for node in self.devices if node.id == id), None)

    def bridge(self, bus: str) -> DeviceNode | None:
        """The device that is the bridge to a bus: the first, if there are several."""
        return next((node for node in self.devices if bus == node.BUS), None)

    def serial_ports(self) -> tuple[SerialEnd, ...]:
        """The serial ports of all devices, in graph order."""
        return tuple(end for node in self.devices for end in node.serial_ends)
