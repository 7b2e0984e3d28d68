# SPDX-License-Identifier: BSD-2-Clause
"""The local APICs, where Intel's SDM (volume 3) puts them: each CPU finds its own there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from manager.devices.claims import MemoryRange
from manager.devices.node import DeviceNode, Place, fact
from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services


@dataclass(frozen=True, slots=True)
class LapicNode(DeviceNode):
    """The local APIC of one CPU. The first has the page of registers, for all."""

    apic_id: int = fact(0)

    TYPE = "lapic"
    LABEL = "the local APIC"

    @classmethod
    def claim(cls, table: Any, place: Place) -> LapicNode:
        """A page of registers. Board parts "board.lapic.1" and so on are those of other CPUs."""
        number = place.id.removeprefix("board.lapic").removeprefix(".")
        if number:
            return cls(*place, apic_id=int(number))
        return cls(*place, memory=(MemoryRange(0xFEE0_0000, 0x1000),))

    @staticmethod
    def about(state: Mapping[str, Any]) -> str:
        """Priority, requests, services, timer."""
        from manager.bus.record import NEVER

        requested, serving = (
            " ".join(f"{n:#x}" for n in range(256) if state[name][n >> 3] >> (n & 7) & 1) or "none"
            for name in ("irr", "isr")
        )
        deadline = state["timer"]["deadline"]
        return (
            f"{'on' if state['svr'] >> 8 & 1 else 'off'}, TPR {state['tpr']:#x}, "
            f"requested {requested}, in service {serving}, "
            f"timer {'never' if deadline == NEVER else f'{deadline} ns'}"
        )

    def build(self, board: Services) -> Device[Any]:
        """The one that the board has wired to the CPU."""
        lapic: Device[Any] = board.controllers.lapics[self.apic_id]
        for page in self.memory:
            board.map(page, board.controllers.lapic_page)
        return lapic
