# SPDX-License-Identifier: BSD-2-Clause
"""The host bridge, an Intel 440FX: PCI bus 0 and the way to its configuration space."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from manager.devices.claims import PciIdentity, PortRange
from manager.devices.node import PCI_BUS, DeviceNode, Place

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services

IDENTITY = PciIdentity(0x8086, 0x1237, 0x060000)
PCI_CONFIG = PortRange(0xCF8, 8)
"""CONFIG_ADDRESS and CONFIG_DATA."""


class HostBridgeNode(DeviceNode):
    """The bridge between the CPU and PCI bus 0."""

    __slots__ = ()

    TYPE = "hostbridge"
    SECTION = "slots"
    BUS = PCI_BUS

    @classmethod
    def claim(cls, table: Any, place: Place) -> HostBridgeNode:
        """The configuration ports."""
        return cls(*place, ports=(PCI_CONFIG,), pci=IDENTITY)

    def known_to_firmware(self) -> HostBridgeNode:
        """SeaBIOS and OVMF look for the subsystem id of the board that QEMU made known."""
        assert self.pci is not None
        pci = replace(self.pci, subsystem_vendor=0x1AF4, subsystem_device=0x1100)
        return replace(self, pci=pci)

    def build(self, board: Services) -> Device[Any]:
        """The bridge, to the functions of the board's PCI bus."""
        from manager.devices.hostbridge.device import HostBridge

        bridge = HostBridge(board.header(), board.pci_bus)
        board.claim(self.ports[0], bridge)
        board.attach(bridge.function)
        return bridge
