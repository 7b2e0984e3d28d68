# SPDX-License-Identifier: BSD-2-Clause
"""The parts that every PC has, and how the pins of its slots are wired."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from manager.devices import registry
from manager.devices.node import DeviceNode, Place

BOARD = {
    "board.pic": "pic",
    "board.pit": "pit",
    "board.rtc": "rtc",
    "board.keyboard": "keyboard",
    "board.port92": "port92",
    "board.reset": "reset-control",
    "board.lapic": "lapic",
    "board.ioapic": "ioapic",
    "board.acpi-pm": "acpi-pm",
}
"""The kinds of the parts that every PC has, by id."""
FIRMWARE_BOARD = {
    "board.fw-cfg": "fw-cfg",
    "board.debug": "debug-port",
    "board.pm": "piix4-pm",
}
"""Those that a board has more when it starts with firmware, which asks for them."""
FLASH_BOARD = {
    "board.flash": "flash",
}
"""And when that keeps its variables in a chip of their own."""
SCREEN_BOARD = {
    "board.ps2-keyboard": "ps2-keyboard",
    "board.ps2-mouse": "ps2-mouse",
}
"""What is plugged into the keyboard controller of a machine that has a screen, unless its file puts
it there itself."""
TACIT = {
    "board.crtc": "crtc",
    "board.fw-cfg": "fw-cfg",
}
"""Parts that boards have since version 0.2. They are in no graph and no identity, so that machines
of 0.1 are the same as they were, and their snapshots go on; and they leave their ports to any
device of the graph that claims them."""

PIRQ_NAMES = "ABCD"
BAR_FLOOR, PORTS_END = 0xC000, 0x10000
"""I/O BARs are placed from here up, above all ports of the ISA age."""
MEMORY_FLOOR, MEMORY_END = 0xE000_0000, 0xFEC0_0000
"""Memory BARs are placed from here up, and end below the I/O APIC."""


def parts(kinds: dict[str, str]) -> Iterator[DeviceNode]:
    """The nodes of parts of the board."""
    for id, kind in kinds.items():
        yield registry.find(kind).claim(None, Place(id))


def with_screen_parts(devices: Sequence[DeviceNode]) -> tuple[DeviceNode, ...]:
    """The devices of a machine, `devices`; if there is a screen, with what a user has before it."""
    there = {node.type for node in devices}
    if "vga" not in there:
        return tuple(devices)
    kinds = {id: kind for id, kind in SCREEN_BOARD.items() if kind not in there}
    return (*devices, *parts(kinds))


def tacit_parts(devices: Sequence[DeviceNode]) -> Iterator[DeviceNode]:
    """What a board has beside the devices of its graph."""
    spans = [(ports.base, ports.length) for node in devices for ports in node.ports]
    spans += [(bar.base, bar.length) for node in devices for bar in node.bars]
    taken = {port for base, length in spans for port in range(base, base + length)}
    for part in parts(TACIT):
        if all(taken.isdisjoint(range(ports.base, ports.end)) for ports in part.ports):
            yield part


def other_cpus(count: int) -> Iterator[DeviceNode]:
    """The local APICs of all CPUs but the first."""
    for number in range(1, count):
        yield registry.find("lapic").claim(None, Place(f"board.lapic.{number}"))


def pirq_of(slot: int, pin: int) -> int:
    """The PIRQ (0-3 for A-D) that a pin (1-4) of a slot is wired to."""
    return (slot + pin - 1) % len(PIRQ_NAMES)


def pirq_for_firmware(slot: int, pin: int) -> int:
    """The same on the board that SeaBIOS and OVMF know: INTA of slot 1 is PIRQ A."""
    return (slot + pin - 2) % len(PIRQ_NAMES)
