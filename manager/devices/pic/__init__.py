# SPDX-License-Identifier: BSD-2-Clause
"""The two 8259A interrupt controllers of the IBM PC AT, with PIIX3's edge/level registers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from manager.devices.claims import PortRange
from manager.devices.node import DeviceNode, Place

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services


class PicNode(DeviceNode):
    """The pair."""

    __slots__ = ()

    TYPE = "pic"
    LABEL = "the interrupt controller"

    @classmethod
    def claim(cls, table: Any, place: Place) -> PicNode:
        """Master, slave, and ELCR."""
        return cls(*place, ports=(PortRange(0x20, 2), PortRange(0xA0, 2), PortRange(0x4D0, 2)))

    @staticmethod
    def about(state: Mapping[str, Any]) -> str:
        """Requests, services and masks of both."""
        from manager.bus.record import named_bits
        from manager.devices.pic.controller import INPUTS

        parts = []
        for name in ("master", "slave"):
            chip = state[name]
            bits = [
                f"{key.upper()}={named_bits(INPUTS, chip[key])}" for key in ("irr", "isr", "imr")
            ]
            parts.append(f"{name} at vector {chip['vector']:#x} {' '.join(bits)}")
        return "; ".join(parts)

    def build(self, board: Services) -> Device[Any]:
        """The pair that the board has wired to the local APIC."""
        pic = board.controllers.pic
        master, slave, elcr = self.ports
        board.claim(master, pic.master)
        board.claim(slave, pic.slave)
        board.claim(elcr, pic.elcr)
        device: Device[Any] = pic
        return device
