# SPDX-License-Identifier: BSD-2-Clause
"""The DSDT: the graph's devices as an ACPI namespace.

Sources: ACPI 6.4, chapters 5 to 7; PCI Firmware Specification 3.3, chapter 4; PIIX3 datasheet for
the PIRQ routing registers.
"""

from __future__ import annotations

from collections.abc import Iterator

from manager.boot.acpi import aml, interrupts, resources
from manager.boot.acpi.interrupts import PciRoute
from manager.boot.acpi.tables import table
from manager.bus.memory import FOUR_GIB
from manager.devices.claims import PortRange
from manager.devices.node import LPC_BUS, PCI_BUS, DeviceNode
from manager.graph.board import MEMORY_END, MEMORY_FLOOR
from manager.graph.memory_map import ram
from manager.graph.nodes import FirmwareBoot, Graph
from manager.lazy import dataclass

REVISION = 2
"""Integers have 64 bits."""
S5_TYPE = 5
"""What PM1_CNT takes for soft off."""
PRESENT = 0x0F
"""_STA: present, enabled, shown, working."""
LINK_ON, LINK_OFF = 0x0B, 0x09
"""_STA of a link device, which is not shown."""

LAST_PORT = 0xFFFF
TWO_GIB = 2 << 30
LAST_ADDRESS = (1 << 40) - 1

PIRQ_REGISTERS = (0x60, 0x61, 0x62, 0x63, 0x68, 0x69, 0x6A, 0x6B)
"""In the LPC bridge's configuration space."""
PIRQ_DISABLED, PIRQ_IRQ = 0x80, 0x0F
PIRQS = "ABCDEFGH"
LPC = "\\_SB.PCI0.LPCB"


@dataclass(frozen=True, slots=True)
class Legacy:
    """A part of the AT with a plug-and-play id of its own, and its first ports."""

    name: str
    hid: str
    bases: tuple[int, ...]
    irq: int


LEGACY = {
    "pic": Legacy("PIC", "PNP0000", (0x20, 0xA0), interrupts.CASCADE_IRQ),
    "pit": Legacy("TIMR", "PNP0100", (0x40,), interrupts.TIMER_IRQ),
    "rtc": Legacy("RTC", "PNP0B00", (0x70,), 8),
    "ps2-mouse": Legacy("MOUS", "PNP0F13", (), 12),
}
"""By type. The rest of the board, whose ports only have to be left alone, is one PNP0C02."""

KEYBOARD = Legacy("KBD", "PNP0303", (0x60, 0x64), 1)
"""What the keyboard controller is when a keyboard is plugged in."""

IN_MADT = ("lapic", "ioapic")
"""Types whose registers are in the MADT, which reserves them."""


def dsdt(graph: Graph) -> bytes:
    """The differentiated system description table."""
    bridge, host_bridge = graph.bridge(LPC_BUS), graph.bridge(PCI_BUS)
    isa = b"".join(_isa_devices(graph))
    terms = [_cpu(number) for number in range(graph.cpu_count)]
    if host_bridge is not None:
        inside = _lpc(bridge, isa) if bridge is not None else b""
        terms.append(_pci(graph, host_bridge.ports[0], inside))
    if bridge is None:
        terms.append(isa)
    else:
        terms += _links(bridge, interrupts.routed_irqs(graph))
    sleep = aml.package((S5_TYPE, 0, 0, 0))
    picm = aml.name("PICM", 0)  # how interrupts are delivered: 0 by the 8259s, 1 by the APICs
    pic = aml.method("_PIC", 1, aml.store(aml.arg(0), "PICM"))
    body = picm + pic + aml.name("_S5", sleep) + aml.scope("_SB", *terms)
    return table(b"DSDT", REVISION, body)


def _hid(id: str) -> bytes:
    return aml.name("_HID", aml.eisa_id(id))


def _crs(*descriptors: bytes) -> bytes:
    return aml.name("_CRS", resources.template(*descriptors))


def _cpu(number: int) -> bytes:
    name = f"CPU{number:X}" if number < 0x10 else f"CP{number:02X}"
    return aml.device(name, aml.name("_HID", aml.string("ACPI0007")), aml.name("_UID", number))


# -- PCI ------------------------------------------------------------------------------------


def _pci(graph: Graph, configuration: PortRange, inside: bytes) -> bytes:
    windows = _crs(
        resources.word_bus_number(0, 0),
        resources.io(configuration.base, configuration.length),
        resources.word_io(0, configuration.base - 1),
        resources.word_io(configuration.end, LAST_PORT),
        *_memory_windows(graph),
    )
    identity = _hid("PNP0A03") + aml.name("_UID", 0) + aml.name("_BBN", 0)
    return aml.device("PCI0", identity, windows, _routing(interrupts.pci_routes(graph)), inside)


def _memory_windows(graph: Graph) -> Iterator[bytes]:
    """Where memory BARs may be: above RAM and below the I/O APIC, and above RAM beyond 4 GiB.

    Firmware puts them into the first from 2 GiB up, and into the second only 64-bit ones.
    """
    ends = [region.end for region in ram(graph.memory_size)]
    below = max(end for end in ends if end < FOUR_GIB)
    firmware = isinstance(graph.boot, FirmwareBoot)
    first = max(TWO_GIB, below) if firmware else MEMORY_FLOOR
    yield resources.dword_memory(first, MEMORY_END - 1)
    if any(bar.bits == 64 for node in graph.devices for bar in node.memory_bars):
        yield resources.qword_memory(max(FOUR_GIB, *ends), LAST_ADDRESS)


def _routing(routes: list[PciRoute]) -> bytes:
    """_PRT: by way of the link devices for the 8259s, by GSI for the I/O APIC."""
    if not routes:
        return b""
    by_pic, by_apic = [], []
    for route in routes:
        every_function = route.slot << 16 | 0xFFFF
        where = (every_function, route.pin - 1)
        fixed = aml.package((*where, 0, route.gsi))
        by_apic.append(fixed)
        if route.pirq is not None:
            by_pic.append(aml.package((*where, f"\\_SB.LNK{PIRQS[route.pirq]}", 0)))
        else:
            by_pic.append(fixed)
    return (
        aml.name("PICT", aml.package(by_pic))
        + aml.name("APIT", aml.package(by_apic))
        + aml.method(
            "_PRT", 0, aml.if_("PICM", aml.return_("APIT")), aml.else_(aml.return_("PICT"))
        )
    )


def _lpc(bridge: DeviceNode, isa: bytes) -> bytes:
    assert bridge.address is not None
    first, last = PIRQ_REGISTERS[0], PIRQ_REGISTERS[-1]
    units: list[tuple[str | None, int]] = []
    after = first
    for letter, register in zip(PIRQS, PIRQ_REGISTERS, strict=True):
        if register > after:
            units.append((None, 8 * (register - after)))
        units.append((f"PIR{letter}", 8))
        after = register + 1
    return aml.device(
        "LPCB",
        aml.name("_ADR", bridge.address.slot << 16 | bridge.address.function),
        aml.operation_region("PRQR", aml.PCI_CONFIG, first, last + 1 - first),
        aml.field("PRQR", units),
        isa,
    )


def _links(bridge: DeviceNode, irqs: list[int]) -> Iterator[bytes]:
    """One link device for each PIRQ in use, which can be routed to any of `irqs`.

    The work is in three methods that they share: LSTA and LCRS make _STA and _CRS of a routing
    register's value, and LIRQ finds the interrupt in what _SRS is given.
    """
    off = aml.and_(aml.arg(0), PIRQ_DISABLED)
    yield aml.method(
        "LSTA", 1, aml.if_(off, aml.return_(LINK_OFF)), aml.else_(aml.return_(LINK_ON))
    )
    yield aml.method(
        "LCRS",
        1,
        aml.store(resources.template(resources.interrupts((0,))), aml.local(0)),
        aml.create_dword_field(aml.local(0), resources.INTERRUPT_NUMBER, "IRQN"),
        aml.if_(aml.equal(off, 0), aml.and_(aml.arg(0), PIRQ_IRQ, "IRQN")),
        aml.return_(aml.local(0)),
        serialized=True,
    )
    yield aml.method(
        "LIRQ",
        1,
        aml.create_dword_field(aml.arg(0), resources.INTERRUPT_NUMBER, "IRQN"),
        aml.return_("IRQN"),
        serialized=True,
    )
    for number, letter in enumerate(PIRQS[: len(bridge.pirq_routing)]):
        register = f"{LPC}.PIR{letter}"
        yield aml.device(
            f"LNK{letter}",
            _hid("PNP0C0F"),
            aml.name("_UID", number + 1),
            aml.method("_STA", 0, aml.return_(aml.call("LSTA", register))),
            aml.name("_PRS", resources.template(resources.interrupts(irqs))),
            aml.method("_CRS", 0, aml.return_(aml.call("LCRS", register))),
            aml.method("_SRS", 1, aml.store(aml.call("LIRQ", aml.arg(0)), register)),
            aml.method("_DIS", 0, aml.or_(register, PIRQ_DISABLED, register)),
        )


# -- ISA ------------------------------------------------------------------------------------


def _isa_devices(graph: Graph) -> Iterator[bytes]:
    reserved: list[bytes] = []
    known = LEGACY
    if interrupts.find(graph, "ps2-keyboard") is not None:
        known = LEGACY | {"keyboard": KEYBOARD}
    for node in graph.devices:
        if node.com_port is not None and node.address is None:
            yield _com_port(graph, node)
        elif (legacy := known.get(node.type)) is not None:
            own = [ports for ports in node.ports if ports.base in legacy.bases]
            used = _crs(*map(_io, own), resources.irq(legacy.irq))
            yield aml.device(legacy.name, _hid(legacy.hid), used)
            reserved += [_io(ports) for ports in node.ports if ports not in own]
        elif node.address is None and node.type not in IN_MADT:
            reserved += map(_io, node.ports)
            reserved += [resources.memory32_fixed(at.base, at.length) for at in node.memory]
    yield aml.device("SYSR", _hid("PNP0C02"), aml.name("_UID", 1), _crs(*reserved))


def _com_port(graph: Graph, node: DeviceNode) -> bytes:
    assert node.com_port is not None
    number = int(node.com_port.removeprefix("com"))
    assert node.irq is not None
    sharing = [other for other in graph.devices if other.irq == node.irq]
    return aml.device(
        f"COM{number}",
        _hid("PNP0501"),
        aml.name("_UID", number),
        aml.name("_STA", PRESENT),
        _crs(*map(_io, node.ports), resources.irq(node.irq, shared=len(sharing) > 1)),
    )


def _io(ports: PortRange) -> bytes:
    return resources.io(ports.base, ports.length)
