# SPDX-License-Identifier: BSD-2-Clause
"""What a device cannot claim, whatever the others do: numbers that a PC does not have."""

from __future__ import annotations

from collections.abc import Iterator

from manager.devices.claims import EXPANSION_ROM, UNPLACED, IoBar, MemoryBar
from manager.devices.node import DeviceNode

PORTS = 1 << 16
ISA_IRQS = {*range(16)} - {2}
"""IRQ 2 is between the two interrupt controllers."""
ADDRESSES = 1 << 40
"""What a CPU with 40 physical address bits can name."""
BARS = 6


def impossible(node: DeviceNode) -> Iterator[str]:
    """What is wrong with a device's claims, each in one line."""
    for ports in (*node.ports, *node.nested_ports):
        if not (0 <= ports.base < ports.end <= PORTS):
            yield f"ports {ports.base:#x} to {ports.end - 1:#x} are not all I/O ports"
    for place in node.memory:
        if not 0 <= place.base < place.end <= ADDRESSES or place.base % 4 or place.length % 4:
            yield f"{place.base:#x} to {place.end - 1:#x} is no range of 32-bit registers"
    if node.irq is not None and node.irq not in ISA_IRQS:
        yield f"there is no ISA interrupt {node.irq} for devices"
    if node.address is not None:
        yield from _function(node)
    elif node.pci is not None or node.pin or node.bars or node.memory_bars:
        yield "what is PCI is for a device in a slot"


def _function(node: DeviceNode) -> Iterator[str]:
    if node.pci is None:
        yield "a device in a slot claims a PCI identity: pci = PciIdentity(...)"
    else:
        widths = {"class_code": 24, "revision": 8}
        for name in node.pci.__slots__:
            if not 0 <= getattr(node.pci, name) < 1 << widths.get(name, 16):
                yield f"{name} {getattr(node.pci, name):#x} does not fit into the PCI identity"
    if not 0 <= node.pin <= 4:
        yield f"there is no interrupt pin {node.pin}: 1 to 4 are INTA to INTD"
    taken: set[int] = set()
    every: list[IoBar | MemoryBar] = [*node.bars, *node.memory_bars]
    for bar in every:
        wide = isinstance(bar, MemoryBar) and bar.bits == 64
        indices = {bar.index, bar.index + 1} if wide else {bar.index}
        if indices & taken or not _exists(bar.index, wide, isinstance(bar, MemoryBar)):
            yield f"there is no BAR {bar.index} left for it"
        taken |= indices
    for io in node.bars:
        if not _is_power(io.length, 4, 256):
            yield f"an I/O BAR has 4 to 256 ports, a power of two, not {io.length}"
        elif (io.base != UNPLACED and io.base % io.length) or io.base + io.length > PORTS:
            yield f"an I/O BAR of {io.length} ports cannot be at {io.base:#x}"
    for memory in node.memory_bars:
        least = 2048 if memory.index == EXPANSION_ROM else 4096 if memory.ram else 16
        if not _is_power(memory.length, least, 1 << 31):
            yield f"memory BAR {memory.index} has {least} bytes or more, a power of two"
        elif memory.base != UNPLACED and memory.base % memory.length:
            yield f"memory BAR {memory.index} cannot be at {memory.base:#x}, its length is larger"


def _exists(index: int, wide: bool, memory: bool) -> bool:
    last = BARS - 2 if wide else BARS - 1
    return 0 <= index <= last or (index == EXPANSION_ROM and memory and not wide)


def _is_power(length: int, least: int, most: int) -> bool:
    return least <= length <= most and not length & (length - 1)
