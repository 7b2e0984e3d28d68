# SPDX-License-Identifier: BSD-2-Clause
"""The 8254 interval timer of the IBM PC AT, and port 61h."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manager.devices.claims import PortRange
from manager.devices.node import DeviceNode, Place

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services


class PitNode(DeviceNode):
    """The timer."""

    __slots__ = ()

    TYPE = "pit"
    LABEL = "the timer"

    @classmethod
    def claim(cls, table: Any, place: Place) -> PitNode:
        """The counters' ports, port 61h, IRQ 0."""
        return cls(*place, ports=(PortRange(0x40, 4), PortRange(0x61, 1)), irq=0)

    def build(self, board: Services) -> Device[Any]:
        """The timer, with its speaker port."""
        from manager.devices.pit.device import Pit

        pit = Pit(board.clock, board.irq())
        counters, speaker = self.ports
        board.claim(counters, pit)
        board.claim(speaker, pit.speaker_port)
        return pit
