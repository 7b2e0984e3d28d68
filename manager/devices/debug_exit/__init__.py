# SPDX-License-Identifier: BSD-2-Clause
"""A port that ends the machine with a status of the guest's choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manager.devices.claims import PortRange
from manager.devices.node import DeviceNode, Place

if TYPE_CHECKING:
    from manager.devices.debug_exit.table import DebugExitTable
    from manager.devices.device import Device
    from manager.devices.services import Services


class DebugExitNode(DeviceNode):
    """The port."""

    __slots__ = ()

    TYPE = "debug-exit"
    SECTION = "lpc"
    NAMES = {"debug-exit": "A port that ends the machine when the guest writes to it."}

    @classmethod
    def table(cls) -> type[DebugExitTable]:
        """The port's number."""
        from manager.devices.debug_exit.table import DebugExitTable

        return DebugExitTable

    @classmethod
    def claim(cls, table: DebugExitTable, place: Place) -> DebugExitNode:
        """One port."""
        return cls(*place, ports=(PortRange(table.port, 1),))

    def keys(self) -> dict[str, Any]:
        """The port."""
        return {"port": self.ports[0].base}

    def build(self, board: Services) -> Device[Any]:
        """The port, with the machine's end in its hand."""
        from manager.devices.debug_exit.device import DebugExit

        device = DebugExit(board.end)
        board.claim(self.ports[0], device)
        return device
