# SPDX-License-Identifier: BSD-2-Clause
"""How the graph's interrupts reach the two interrupt controllers; ACPI and MP tables agree on it.

The I/O APIC has the ISA interrupts on the pins of their numbers, except that the timer is on
pin 2, and PIRQ A to H on pins 16-23. Global system interrupts (GSIs) are its pin numbers.
"""

from __future__ import annotations

from manager.devices.node import LPC_BUS, DeviceNode
from manager.graph.nodes import Graph
from manager.lazy import dataclass

TIMER_IRQ, TIMER_GSI = 0, 2
CASCADE_IRQ = 2
FIRST_PIRQ_GSI = 16
ISA_IRQS = 16
LINT0, LINT1 = 0, 1
"""The local APIC's own pins: the PIC's INTR, and NMI."""


@dataclass(frozen=True, slots=True)
class PciRoute:
    """Where one interrupt pin of a PCI slot leads."""

    slot: int
    pin: int
    """1-4 for INTA-INTD."""
    pirq: int | None
    """The PIRQ that it is wired to (0-7 for A-H), or None: `gsi` is an ISA interrupt for good."""
    gsi: int


def only(graph: Graph, type: str) -> DeviceNode:
    """The one device of a type that every board has. Raises LookupError if there is none."""
    node = find(graph, type)
    if node is None:
        raise LookupError(f"the graph has no {type}")
    return node


def find(graph: Graph, type: str) -> DeviceNode | None:
    """The first device of a type."""
    return next((node for node in graph.devices if node.type == type), None)


def ioapic_id(graph: Graph) -> int:
    """The I/O APIC's id: the first that no CPU has."""
    return graph.cpu_count


def pci_routes(graph: Graph) -> list[PciRoute]:
    """One route for each slot's pin that leads anywhere, by slot and pin."""
    routes: dict[tuple[int, int], PciRoute] = {}
    for node in graph.devices:
        if node.address is None or not node.pin:
            continue
        gsi = FIRST_PIRQ_GSI + node.pirq if node.pirq is not None else node.irq
        if gsi is not None:
            # Functions of a slot share its four pins.
            at = (node.address.slot, node.pin)
            routes.setdefault(at, PciRoute(*at, node.pirq, gsi))
    return [routes[at] for at in sorted(routes)]


def routed_irqs(graph: Graph) -> list[int]:
    """The ISA interrupts that PIRQs are routed to at power-on, ascending."""
    bridge = graph.bridge(LPC_BUS)
    return sorted(set(bridge.pirq_routing)) if bridge is not None else []


def level_irqs(graph: Graph) -> list[int]:
    """The ISA interrupts that are level-triggered, unlike what ISA means: PCI's and the SCI."""
    fixed = {route.gsi for route in pci_routes(graph) if route.pirq is None}
    return sorted({sci(graph), *routed_irqs(graph), *fixed})


def sci(graph: Graph) -> int:
    """ACPI's own interrupt."""
    irq = only(graph, "acpi-pm").irq
    assert irq is not None
    return irq


def isa_gsi(irq: int) -> int:
    """The GSI of an ISA interrupt."""
    return TIMER_GSI if irq == TIMER_IRQ else irq
