# SPDX-License-Identifier: BSD-2-Clause
"""The 8042 keyboard controller of the IBM PC AT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from manager.devices.claims import PortRange
from manager.devices.node import DeviceNode, Place

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services


class KeyboardNode(DeviceNode):
    """The controller."""

    __slots__ = ()

    TYPE = "keyboard"
    LABEL = "the keyboard controller"

    @classmethod
    def claim(cls, table: Any, place: Place) -> KeyboardNode:
        """Data port, command port, IRQ 1."""
        return cls(*place, ports=(PortRange(0x60, 1), PortRange(0x64, 1)), irq=1)

    @staticmethod
    def about(state: Mapping[str, Any]) -> str:
        """The output buffer and the A20 gate."""
        waiting = f"{state['output']:#x} waits" if state["output_full"] else "output empty"
        return f"{waiting}, A20 {'open' if state['a20'] else 'closed'}"

    def build(self, board: Services) -> Device[Any]:
        """The controller, which also has a control of A20 and the reset line."""
        from manager.devices.keyboard.device import Keyboard

        keyboard = Keyboard(
            board.irq(),
            board.set_a20,
            board.reset_cpu,
            board.grants,
            has_firmware=board.has_firmware,
        )
        data, command = self.ports
        board.claim(data, keyboard)
        board.claim(command, keyboard.command_port)
        board.offer_ps2(keyboard.first, keyboard.second)
        return keyboard
