# SPDX-License-Identifier: BSD-2-Clause
"""What is at which physical address: RAM, ROM, registers and memory of devices."""

from __future__ import annotations

from collections.abc import Iterator

from manager.bus.memory import FOUR_GIB, layout
from manager.devices.claims import UNPLACED
from manager.graph.nodes import FirmwareBoot, Graph
from manager.lazy import dataclass


@dataclass(frozen=True, slots=True)
class Region:
    """A stretch of physical addresses."""

    base: int
    length: int
    kind: str
    """RAM, ROM, flash, registers, or memory of a device."""
    owner: str = ""
    """The id of the device whose registers or memory these are, or the ROM's file."""

    @property
    def end(self) -> int:
        """One past the last address."""
        return self.base + self.length


def ram(size: int) -> Iterator[Region]:
    """Where `size` bytes of RAM lie, ascending."""
    return (Region(base, length, "RAM") for base, length in layout(size))


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
        variables = graph.boot.variables
        if variables is not None and variables.is_file():
            size = variables.stat().st_size
            regions.append(Region(FOUR_GIB - length - size, size, "flash", "board.flash"))
    return sorted(regions, key=lambda region: region.base)
