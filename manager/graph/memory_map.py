# SPDX-License-Identifier: BSD-2-Clause
"""Who answers at which physical address: RAM, ROM, registers and memory of devices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from manager.config.units import GIB, KIB
from manager.devices.claims import UNPLACED
from manager.graph.nodes import FirmwareBoot, Graph

VGA_WINDOW = 640 * KIB
"""Where video memory would be; nothing answers there."""
ABOVE_VGA = 768 * KIB
LOW_LIMIT = 3 * GIB
"""RAM beyond it goes above 4 GiB; the space between is for devices."""
FOUR_GIB = 4 * GIB


@dataclass(frozen=True, slots=True)
class Region:
    """A stretch of physical addresses."""

    base: int
    length: int
    kind: str
    """RAM, ROM, registers, or memory of a device."""
    owner: str = ""
    """The id of the device whose registers or memory these are, or the ROM's file."""

    @property
    def end(self) -> int:
        """One past the last address."""
        return self.base + self.length


def ram(size: int) -> Iterator[Region]:
    """Where `size` bytes of RAM lie, ascending. The VGA window's 128 KiB are lost, as on a PC."""
    low = min(size, LOW_LIMIT)
    yield Region(0, min(low, VGA_WINDOW), "RAM")
    if low > ABOVE_VGA:
        yield Region(ABOVE_VGA, low - ABOVE_VGA, "RAM")
    if size > LOW_LIMIT:
        yield Region(FOUR_GIB, size - LOW_LIMIT, "RAM")


def is_ram(size: int, address: int) -> bool:
    """Whether a machine with `size` bytes of RAM has some at `address`."""
    return any(region.base <= address < region.end for region in ram(size))


def memory_map(graph: Graph) -> list[Region]:
    """All regions, ascending. The ROM is left out while its file is not there."""
    regions = list(ram(graph.memory_size))
    for node in graph.devices:
        regions += [Region(r.base, r.length, "registers", node.id) for r in node.memory]
        for bar in node.memory_bars:
            if bar.base != UNPLACED:
                kind = "memory" if bar.ram else "registers"
                regions.append(Region(bar.base, bar.length, kind, node.id))
    if isinstance(graph.boot, FirmwareBoot) and graph.boot.firmware.is_file():
        length = graph.boot.firmware.stat().st_size
        regions.append(Region(FOUR_GIB - length, length, "ROM", str(graph.boot.firmware)))
    return sorted(regions, key=lambda region: region.base)
