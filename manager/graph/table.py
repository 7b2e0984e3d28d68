# SPDX-License-Identifier: BSD-2-Clause
"""How numbers of the hardware are written in tables."""

from __future__ import annotations

from manager.devices.claims import UNPLACED, MemoryRange, PortRange
from manager.devices.node import DeviceNode, SerialEnd

NOTHING = "-"
PIN_NAMES = "ABCD"


def show_ports(ports: PortRange) -> str:
    """A range of ports for reading.

    >>> show_ports(PortRange(0x3F8, 8))
    '0x3f8-0x3ff'
    """
    return f"{ports.base:#x}" if ports.length == 1 else f"{ports.base:#x}-{ports.end - 1:#x}"


def all_ports(node: DeviceNode) -> list[PortRange]:
    """The ports that a device has at power-on, fixed and movable."""
    placed = (bar for bar in node.bars if bar.base != UNPLACED)
    return [*node.ports, *(PortRange(bar.base, bar.length) for bar in placed)]


def all_memory(node: DeviceNode) -> list[MemoryRange]:
    """The addresses at which a device's memory BARs are at power-on."""
    placed = (bar for bar in node.memory_bars if bar.base != UNPLACED)
    return [MemoryRange(bar.base, bar.length) for bar in placed]


def show_memory(memory: MemoryRange) -> str:
    """A range of addresses for reading.

    >>> show_memory(MemoryRange(0xE0000000, 0x1000))
    '0xe0000000-0xe0000fff'
    """
    return f"{memory.base:#x}-{memory.end - 1:#x}"


def interrupt(node: DeviceNode) -> str:
    """The way of a device's interrupt, such as "INTA -> PIRQ B -> IRQ 11"."""
    steps = [f"INT{PIN_NAMES[node.pin - 1]}"] if node.pin else []
    if node.pirq is not None:
        steps.append(f"PIRQ {PIN_NAMES[node.pirq]}")
    if node.irq is not None:
        steps.append(f"IRQ {node.irq}")
    return " -> ".join(steps) or NOTHING


def backend(end: SerialEnd) -> str:
    """The backend of a port for reading, such as "tcp listen 127.0.0.1:4555"."""
    options = (f"{key} {item}" for key, item in end.backend.options.items())
    return " ".join([end.backend.type, *options])
