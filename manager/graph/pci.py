# SPDX-License-Identifier: BSD-2-Clause
"""PCI functions as graph nodes: ids, BARs and interrupt routing.

Everything is decided by the address of a function, never by the order of tables in the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from manager.config.schema import HostBridgeSlot, LpcSlot, Machine, UartSlot
from manager.graph.board import (
    BAR_FLOOR,
    COM_PORTS,
    HOST_BRIDGE,
    INTA,
    LPC_BRIDGE,
    PCI_CONFIG,
    PCI_UART,
    PIRQ_IRQS,
    PIRQ_NAMES,
    UART_PORTS,
    pirq_of,
)
from manager.graph.nodes import Backend, DeviceNode, IoBar, PciAddress, PortRange


def parse_address(name: str) -> PciAddress:
    """The address behind a slot's name in the model, such as "4" or "4.1"."""
    slot, _, function = name.partition(".")
    return PciAddress(int(slot), int(function or 0))


def first_of(model: Machine, kind: type) -> str | None:
    """The id of the lowest slot that holds a `kind`."""
    names = [name for name, slot in model.slots.items() if isinstance(slot, kind)]
    if not names:
        return None
    lowest = min(names, key=lambda name: _order(parse_address(name)))
    return f"slots.{lowest}"


def functions(model: Machine, taken: tuple[PortRange, ...]) -> list[DeviceNode]:
    """The nodes of all PCI functions by address; BARs keep off the `taken` ports."""
    bridge = first_of(model, HostBridgeSlot)
    has_router = first_of(model, LpcSlot) is not None
    placed = sorted((_order(parse_address(name)), name) for name in model.slots)
    slots = [slot for (slot, _), _ in placed]
    free = BAR_FLOOR
    nodes = []
    for (slot, function), name in placed:
        address, entry = PciAddress(slot, function), model.slots[name]
        if isinstance(entry, HostBridgeSlot):
            node = DeviceNode(
                f"slots.{name}", "hostbridge", ports=(PCI_CONFIG,), pci=HOST_BRIDGE, address=address
            )
        elif isinstance(entry, LpcSlot):
            node = DeviceNode(
                f"slots.{name}",
                "lpc",
                bridge,
                pci=LPC_BRIDGE,
                address=address,
                properties={
                    f"pirq_{pirq.lower()}": irq
                    for pirq, irq in zip(PIRQ_NAMES, PIRQ_IRQS, strict=True)
                },
            )
        else:
            node = _uart(entry, f"slots.{name}", bridge, address, has_router)
            if not node.bars:
                bar = IoBar(0, _place(free, UART_PORTS, taken), UART_PORTS)
                free = bar.base + bar.length
                node = replace(node, bars=(bar,))
        if slots.count(slot) > 1:
            node = replace(node, properties={**node.properties, "multifunction": True})
        nodes.append(node)
    return nodes


def _order(address: PciAddress) -> tuple[int, int]:
    return address.slot, address.function


def _uart(
    slot: UartSlot, id: str, bridge: str | None, address: PciAddress, has_router: bool
) -> DeviceNode:
    node = DeviceNode(
        id,
        "pci-uart",
        bridge,
        pin=INTA,
        pci=PCI_UART,
        address=address,
        properties=pace_of(slot.pace),
        backend=backend_of(slot.backend.model_dump(exclude_none=True)),
    )
    if slot.legacy is not None:
        base, irq = COM_PORTS[slot.legacy]
        properties = {**node.properties, "legacy": slot.legacy, "fixed_irq": True}
        return replace(node, bars=(IoBar(0, base, UART_PORTS),), irq=irq, properties=properties)
    if not has_router:
        return node
    pirq = pirq_of(address.slot, INTA)
    return replace(node, pirq=pirq, irq=PIRQ_IRQS[pirq])


def _place(base: int, length: int, fixed: Sequence[PortRange]) -> int:
    """The lowest free base from `base` up, which is a multiple of `length`."""
    while any(base < other.end and other.base < base + length for other in fixed):
        base += length
    return base


def pace_of(pace: str) -> dict[str, str]:
    """A uart's property for its pace: none when it is the host's, as the default has no name."""
    return {} if pace == "host" else {"pace": pace}


def backend_of(plain: dict[str, str]) -> Backend:
    """A backend of the model as a node's backend."""
    return Backend(plain["type"], {key: item for key, item in plain.items() if key != "type"})
