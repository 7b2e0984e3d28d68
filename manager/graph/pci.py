# SPDX-License-Identifier: BSD-2-Clause
"""What PCI functions get from the board: places for their BARs, and interrupts for their pins.

Everything is decided by the address of a function, never by the order of tables in the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from manager.config.load import LoadedModel
from manager.devices import registry
from manager.devices.claims import UNPLACED, IoBar, MemoryBar, PciAddress, Range
from manager.devices.node import LPC_BUS, PCI_BUS, DeviceNode, Place
from manager.graph.board import BAR_FLOOR, MEMORY_END, MEMORY_FLOOR, PORTS_END, pirq_of
from manager.graph.claimed import claimed


def parse_address(name: str) -> PciAddress:
    """The address behind a slot's name in the model, such as "4" or "4.1"."""
    slot, _, function = name.partition(".")
    return PciAddress(int(slot), int(function or 0))


def functions(loaded: LoadedModel) -> list[DeviceNode]:
    """What the devices in the slots claim, by address; nothing is wired yet."""
    model = loaded.model
    names = sorted(model.slots, key=lambda name: _order(parse_address(name)))
    kinds = {name: registry.find(model.slots[name].device) for name in names}
    bridge = next((f"slots.{name}" for name in names if kinds[name].BUS == PCI_BUS), None)
    nodes = []
    for name, kind in kinds.items():
        parent = bridge if kind.BUS != PCI_BUS else None
        place = Place(f"slots.{name}", parent, parse_address(name))
        nodes.append(claimed(loaded, model.slots[name].device, model.slots[name], place))
    return nodes


def wired(nodes: Sequence[DeviceNode], others: Iterable[DeviceNode]) -> list[DeviceNode]:
    """The functions with places for their BARs, off the fixed ports of all, and with interrupts."""
    taken = [ports for node in (*nodes, *others) for ports in node.ports]
    fixed = [place for node in (*nodes, *others) for place in node.memory]
    router = next((node for node in nodes if node.BUS == LPC_BUS), None)
    slots = [node.address.slot for node in nodes if node.address is not None]
    io = _Places(BAR_FLOOR, PORTS_END, taken)
    memory = _Places(MEMORY_FLOOR, MEMORY_END, fixed)  # below 4 GiB, where every guest looks
    found = []
    for node in nodes:
        assert node.address is not None
        placed = replace(
            node,
            bars=tuple(replace(bar, base=io.place(bar)) for bar in node.bars),
            memory_bars=tuple(replace(bar, base=memory.place(bar)) for bar in node.memory_bars),
            multifunction=slots.count(node.address.slot) > 1,
        )
        found.append(_routed(placed, node.address, router))
    return found


class _Places:
    """Places for BARs, from `free` up to `end` and off what is taken."""

    def __init__(self, free: int, end: int, taken: Sequence[Range]) -> None:
        self._free = free
        self._end = end
        self._taken = taken

    def place(self, bar: IoBar | MemoryBar) -> int:
        """The base of a BAR: its own, or else the lowest free one, a multiple of its length.

        One for which there is no room stays without a place, as firmware would leave it.
        """
        if bar.base != UNPLACED:
            return bar.base
        base = -(-self._free // bar.length) * bar.length
        while any(base < other.end and other.base < base + bar.length for other in self._taken):
            base += bar.length
        if base + bar.length > self._end:
            return UNPLACED
        self._free = base + bar.length
        return base


def _routed(node: DeviceNode, address: PciAddress, router: DeviceNode | None) -> DeviceNode:
    """A function with its pin wired to a PIRQ, unless it has an interrupt of its own."""
    if not node.pin or node.irq is not None or router is None:
        return node
    pirq = pirq_of(address.slot, node.pin)
    return replace(node, pirq=pirq, irq=router.pirq_routing[pirq])


def _order(address: PciAddress) -> tuple[int, int]:
    return address.slot, address.function
