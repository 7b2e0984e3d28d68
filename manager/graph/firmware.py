# SPDX-License-Identifier: BSD-2-Clause
"""A board that starts with firmware: what PC firmware asks for and relies on.

SeaBIOS and OVMF know the 440FX board of QEMU: they look at the host bridge's
subsystem id, use the fw_cfg device, find ACPI's ports through function 1.3, and route PCI
interrupts by how that board is wired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from manager.devices.node import LPC_BUS, DeviceNode
from manager.graph.board import FIRMWARE_BOARD, FLASH_BOARD, parts, pirq_for_firmware
from manager.graph.nodes import FirmwareBoot


def with_firmware_parts(
    devices: Sequence[DeviceNode], boot: FirmwareBoot
) -> tuple[DeviceNode, ...]:
    """The devices of a machine that starts with firmware, `devices` among them."""
    found = [node.known_to_firmware() for node in devices]
    router = next((node for node in found if node.BUS == LPC_BUS), None)
    if router is not None:
        found = [_rewired(node, router) for node in found]
    places = {node.address for node in devices if node.address is not None}
    kinds = FIRMWARE_BOARD if boot.variables is None else FIRMWARE_BOARD | FLASH_BOARD
    more = [part for part in parts(kinds) if part.address is None or part.address not in places]
    return (*found, *more)


def _rewired(node: DeviceNode, router: DeviceNode) -> DeviceNode:
    """A device with the interrupt that firmware will route its pin to."""
    if node.pirq is None or node.address is None:
        return node
    pirq = pirq_for_firmware(node.address.slot, node.pin)
    return replace(node, pirq=pirq, irq=router.pirq_routing[pirq])
