# SPDX-License-Identifier: BSD-2-Clause
"""The state records of a PCI function."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from manager.bus.pci.registers import BARS
from manager.bus.record import Plain, Record, ints, octets, uint
from manager.lazy import dataclass

MOST_VECTORS = 2048
"""MSI-X vectors of a function."""
ENTRY = 16
"""Bytes of an MSI-X table entry."""


@dataclass(slots=True)
class PciConfigState(Record):
    """What a guest can change in a configuration header."""

    TYPE: ClassVar[str] = "pci-config"
    VERSION: ClassVar[int] = 2

    command: int = uint(16, "command register")
    cache_line_size: int = uint(8, "cache line size register")
    latency_timer: int = uint(8, "latency timer register")
    bars: list[int] = ints(BARS, 32, "base address registers")
    rom: int = uint(32, "expansion ROM base address register")
    interrupt_line: int = uint(8, "interrupt line register")
    decoding: int = uint(
        BARS + 1, "bit n: the addresses at BAR n are this function's; bit 6: those of the ROM"
    )


def _since_version_1(plain: dict[str, Plain]) -> dict[str, Plain]:
    """Version 1 had no expansion ROM."""
    return {**plain, "rom": 0}


PciConfigState.UPGRADES = {1: _since_version_1}


def upgrade_nested(version: int) -> Callable[[dict[str, Plain]], dict[str, Plain]]:
    """An upgrader for records whose field `config` is a PciConfigState of that version."""

    def upgrade(plain: dict[str, Plain]) -> dict[str, Plain]:
        config = plain.get("config")
        if isinstance(config, dict):
            plain["config"] = PciConfigState.UPGRADES[version](dict(config))
        return plain

    return upgrade


@dataclass(slots=True)
class MsiState(Record):
    """MSI registers. A message is `data` written to `address`."""

    TYPE: ClassVar[str] = "msi"

    control: int = uint(16, "message control: bit 0 enable, bits 4-6 log2 of the vectors in use")
    address: int = uint(64, "message address")
    data: int = uint(16, "message data; the vector takes its low bits")
    mask: int = uint(32, "bit n: vector n is held back")
    pending: int = uint(32, "bit n: vector n waits until it is not held back any more")


@dataclass(slots=True)
class MsixState(Record):
    """MSI-X registers, table and pending bits."""

    TYPE: ClassVar[str] = "msix"

    control: int = uint(16, "message control: bit 14 function mask, bit 15 enable")
    table: bytearray = octets(
        0, MOST_VECTORS * ENTRY, "for each vector address (64 bits), data, control (bit 0 mask)"
    )
    pending: bytearray = octets(0, MOST_VECTORS // 8, "pending bits, vector 0 is bit 0 of byte 0")
