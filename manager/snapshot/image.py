# SPDX-License-Identifier: BSD-2-Clause
"""The content of a snapshot to be written."""

from __future__ import annotations

import mmap
from collections.abc import Mapping, Sequence
from dataclasses import field

from manager.bus.record import Plain, Record
from manager.lazy import dataclass
from manager.storage.disk import Disk
from manager.version import __version__


@dataclass(frozen=True, slots=True)
class RamRegion:
    """A range of guest RAM.

    `base` is guest physical; base and length are multiples of 4 KiB. For speed, back RAM that no
    snapshot does with a private anonymous mapping: reading its untouched pages allocates nothing.
    """

    base: int
    data: memoryview | mmap.mmap | bytearray | bytes


@dataclass(frozen=True, slots=True)
class Image:
    """A whole stopped machine. Nothing in it depends on the host's clock."""

    machine: str
    """Its name, 1-64 characters."""
    virtual_time: int
    """ns since power-on."""
    executed: int
    """Bytes of code executed since power-on."""
    identity_hash: str
    """Hash of `identity`: must match the machine file at restore."""
    full_hash: str
    """Hash of `config`: may differ at restore."""
    identity: Plain
    """What the guest can see of the machine."""
    config: Plain
    """The whole resolved machine file."""
    records: Mapping[str, Record]
    """Device id -> state, the CPU among them."""
    ram: Sequence[RamRegion]
    disks: Mapping[str, Disk] = field(default_factory=dict)
    """Name in the machine file -> disk."""
    images: Mapping[str, str] = field(default_factory=dict)
    """Key of `[boot]` -> digest of the file that the machine was booted from."""
    writer: str = __version__
