# SPDX-License-Identifier: BSD-2-Clause
"""What a board has more when it starts with firmware: what PC firmware asks for and relies on.

SeaBIOS and OVMF know the 440FX board that QEMU made known: they look at the host bridge's
subsystem id, use the fw_cfg device, find ACPI's ports through function 1.3, and route PCI
interrupts by how that board is wired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from manager.graph.board import PIRQ_NAMES, PM_PORTS
from manager.graph.nodes import DeviceNode, PciAddress, PciIdentity, PortRange

FW_CFG = PortRange(0x510, 12)
DEBUG_PORT = PortRange(0x402, 1)
POWER_MANAGEMENT = PciAddress(1, 3)
PIIX4_PM = PciIdentity(0x8086, 0x7113, 0x068000, 0x1AF4, 0x1100)
ROUTED_BY_FIRMWARE = (10, 10, 11, 11)
"""The interrupts that SeaBIOS gives PIRQ A to D; they are not routed before."""
FIRST_SLOT, FIRST_PIN = 1, 1
"""INTA of slot 1 is PIRQ A, the next slot's is PIRQ B, and so on."""
SUBSYSTEM_VENDOR, SUBSYSTEM_DEVICE = 0x1AF4, 0x1100


def with_firmware_parts(devices: Sequence[DeviceNode]) -> tuple[DeviceNode, ...]:
    """The devices of a machine that starts with firmware, `devices` among them."""
    found = [_known_to_firmware(node) for node in devices]
    parts = [
        DeviceNode("board.fw-cfg", "fw-cfg", ports=(FW_CFG,)),
        DeviceNode("board.debug", "debug-port", ports=(DEBUG_PORT,)),
    ]
    if not any(node.address == POWER_MANAGEMENT for node in devices):
        properties = {"base": PM_PORTS.base}
        parts.append(
            DeviceNode(
                "board.pm",
                "piix4-pm",
                pci=PIIX4_PM,
                address=POWER_MANAGEMENT,
                properties=properties,
            )
        )
    return (*found, *parts)


def _known_to_firmware(node: DeviceNode) -> DeviceNode:
    """A device as firmware expects it, and with the interrupt that firmware will route it to."""
    if node.type == "hostbridge":
        assert node.pci is not None
        subsystem = replace(
            node.pci, subsystem_vendor=SUBSYSTEM_VENDOR, subsystem_device=SUBSYSTEM_DEVICE
        )
        return replace(node, pci=subsystem)
    if node.type == "lpc":
        routing = {
            f"pirq_{name.lower()}": irq
            for name, irq in zip(PIRQ_NAMES, ROUTED_BY_FIRMWARE, strict=True)
        }
        return replace(node, properties={**node.properties, **routing})
    if node.pirq is not None and node.address is not None:
        pirq = (node.address.slot + node.pin - FIRST_PIN - FIRST_SLOT) % len(PIRQ_NAMES)
        return replace(node, pirq=pirq, irq=ROUTED_BY_FIRMWARE[pirq])
    return node
