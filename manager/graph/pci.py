# SPDX-License-Identifier: BSD-2-Clause
"""What PCI functions get from the board: places for their BARs, and interrupts for their pins.

Everything is decided by the address of a function, never by the order of tables in the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from manager.config.schema import MachineTable
from manager.devices import registry
from manager.devices.claims import UNPLACED, MemoryBar, PciAddress, PortRange
from manager.devices.node import LPC_BUS, PCI_BUS, DeviceNode, Place
from manager.graph.board import BAR_FLOOR, MEMORY_END, MEMORY_FLOOR, pirq_of


def parse_address(name: str) -> PciAddress:
    """The address behind a slot's name in the model, such as "4" or "4.1"."""
    slot, _, function = name.partition(".")
    return PciAddress(int(slot), int(function or 0))


def functions(model: MachineTable) -> list[DeviceNode]:
    """What the devices in the slots claim, by address; nothing is wired yet."""
    names = sorted(model.slots, key=lambda name: _order(parse_address(name)))
    kinds = {name: registry.find(model.slots[name].device) for name in names}
    bridge = next((f"slots.{name}" for name in names if kinds[name].BUS == PCI_BUS), None)
    nodes = []
    for name, kind in kinds.items():
        parent = bridge if kind.BUS != PCI_BUS else None
        place = Place(f"slots.{name}", parent, parse_address(name))
        nodes.append(kind.claim(model.slots[name], place))
    return nodes


def wired(nodes: Sequence[DeviceNode], others: Iterable[DeviceNode]) -> list[DeviceNode]:
    """The functions with places for their BARs, off the fixed ports of all, and with interrupts."""
    taken = [ports for node in (*nodes, *others) for ports in node.ports]
    router = next((node for node in nodes if node.BUS == LPC_BUS), None)
    slots = [node.address.slot for node in nodes if node.address is not None]
    free = BAR_FLOOR
    memory = MEMORY_FLOOR
    found = []
    for node in nodes:
        assert node.address is not None
        bars = []
        for bar in node.bars:
            base = bar.base
            if base == UNPLACED:
                base = _place(free, bar.length, taken)
                free = base + bar.length
            bars.append(replace(bar, base=base))
        memory_bars, memory = _placed(node.memory_bars, memory)
        several = slots.count(node.address.slot) > 1
        placed = replace(node, bars=tuple(bars), memory_bars=memory_bars, multifunction=several)
        found.append(_routed(placed, node.address, router))
    return found


def _placed(bars: Iterable[MemoryBar], free: int) -> tuple[tuple[MemoryBar, ...], int]:
    """Memory BARs with places from `free` up, and what is free then.

    All go below 4 GiB, where every guest looks. One for which there is no room stays without a
    place, as firmware would leave it.
    """
    found = []
    for bar in bars:
        base = -(-free // bar.length) * bar.length
        if bar.base == UNPLACED and base + bar.length <= MEMORY_END:
            found.append(replace(bar, base=base))
            free = base + bar.length
        else:
            found.append(bar)
    return tuple(found), free


def _routed(node: DeviceNode, address: PciAddress, router: DeviceNode | None) -> DeviceNode:
    """A function with its pin wired to a PIRQ, unless it has an interrupt of its own."""
    if not node.pin or node.irq is not None or router is None:
        return node
    pirq = pirq_of(address.slot, node.pin)
    return replace(node, pirq=pirq, irq=router.pirq_routing[pirq])


def _order(address: PciAddress) -> tuple[int, int]:
    return address.slot, address.function


def _place(free: int, length: int, taken: Sequence[PortRange]) -> int:
    """The lowest free base from `free` up, which is a multiple of `length`."""
    base = -(-free // length) * length
    while any(base < other.end and other.base < base + length for other in taken):
        base += length
    return base
