# SPDX-License-Identifier: BSD-2-Clause
"""What a board has more when it starts with firmware: what PC firmware asks for and relies on.

SeaBIOS and OVMF know the 440FX board that QEMU made known: they look at the host bridge's
subsystem id, use the fw_cfg device, and find ACPI's ports through function 1.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from manager.graph.board import PM_PORTS
from manager.graph.nodes import DeviceNode, PciAddress, PciIdentity, PortRange

FW_CFG = PortRange(0x510, 12)
DEBUG_PORT = PortRange(0x402, 1)
POWER_MANAGEMENT = PciAddress(1, 3)
PIIX4_PM = PciIdentity(0x8086, 0x7113, 0x068000, 0x1AF4, 0x1100)
SUBSYSTEM_VENDOR, SUBSYSTEM_DEVICE = 0x1AF4, 0x1100


def with_firmware_parts(devices: Sequence[DeviceNode]) -> tuple[DeviceNode, ...]:
    """The devices of a machine that starts with firmware, `devices` among them."""
    found = [_known_to_firmware(node) if node.type == "hostbridge" else node for node in devices]
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


def _known_to_firmware(bridge: DeviceNode) -> DeviceNode:
    assert bridge.pci is not None
    subsystem = replace(
        bridge.pci, subsystem_vendor=SUBSYSTEM_VENDOR, subsystem_device=SUBSYSTEM_DEVICE
    )
    return replace(bridge, pci=subsystem)
