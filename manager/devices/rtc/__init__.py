# SPDX-License-Identifier: BSD-2-Clause
"""The real-time clock and CMOS RAM of the IBM PC AT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from manager.devices.claims import PortRange
from manager.devices.node import DeviceNode, Place

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services


class RtcNode(DeviceNode):
    """The clock."""

    __slots__ = ()

    TYPE = "rtc"
    LABEL = "the real-time clock"

    @classmethod
    def claim(cls, table: Any, place: Place) -> RtcNode:
        """Index and data port, IRQ 8."""
        return cls(*place, ports=(PortRange(0x70, 2),), irq=8)

    @staticmethod
    def about(state: Mapping[str, Any]) -> str:
        """The index and the interrupt registers."""
        cmos = state["cmos"]
        return f"index {state['index']:#x}, register B {cmos[0xB]:#x}, C {cmos[0xC]:#x}"

    def build(self, board: Services) -> Device[Any]:
        """The clock; its CMOS RAM says how large the machine's RAM is."""
        from manager.bus.memory import LOW_LIMIT
        from manager.devices.rtc.device import Rtc

        above_4g = max(0, board.memory_size - LOW_LIMIT)
        rtc = Rtc(
            board.clock, board.irq(), board.epoch, board.memory_size, above_4g, board.cpu_count
        )
        board.claim(self.ports[0], rtc)
        return rtc
