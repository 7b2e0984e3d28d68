# SPDX-License-Identifier: BSD-2-Clause
"""A mouse with a PS/2 plug, three buttons and a wheel, at the keyboard controller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from manager.devices.node import DeviceNode, Place

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services


class Ps2MouseNode(DeviceNode):
    """The mouse."""

    __slots__ = ()

    TYPE = "ps2-mouse"
    SECTION = "lpc"
    NAMES = {"ps2-mouse": "A mouse with a wheel; with a `vga` there is one anyway."}
    LABEL = "the mouse"

    @classmethod
    def claim(cls, table: Any, place: Place) -> Ps2MouseNode:
        """IRQ 12, for the controller's second port."""
        return cls(*place, irq=12)

    @staticmethod
    def about(state: Mapping[str, Any]) -> str:
        """How it reports."""
        how = (
            "when asked" if state["remote"] else "as it moves" if state["reporting"] else "nothing"
        )
        wheel = "with" if state["wheel"] else "without"
        return f"reports {how}, {state['rate']} times a second, {wheel} its wheel"

    def build(self, board: Services) -> Device[Any]:
        """The mouse in the controller's second port."""
        from manager.devices.ps2_mouse.device import Ps2Mouse

        _, socket = board.ps2_sockets
        mouse = Ps2Mouse(socket, board.clock)
        socket.plug(mouse, board.irq())
        return mouse
