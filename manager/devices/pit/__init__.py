# SPDX-License-Identifier: BSD-2-Clause
"""The 8254 interval timer of the IBM PC AT, and port 61h."""

from __future__ import annotations

from collections.abc import Mapping
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

    @staticmethod
    def about(state: Mapping[str, Any]) -> str:
        """The counters that run, and the line."""
        counters = [
            f"counter {n}: mode {one['mode']}, reload {one['reload'] or 0x10000}"
            for n, one in enumerate(state["counters"])
            if one["loaded"]
        ]
        return "; ".join([*counters, f"IRQ 0 {'high' if state['irq_level'] else 'low'}"])

    def build(self, board: Services) -> Device[Any]:
        """The timer, with its speaker port."""
        from manager.devices.pit.device import Pit

        pit = Pit(board.clock, board.irq())
        counters, speaker = self.ports
        board.claim(counters, pit)
        board.claim(speaker, pit.speaker_port)
        return pit
