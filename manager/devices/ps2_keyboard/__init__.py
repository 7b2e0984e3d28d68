# SPDX-License-Identifier: BSD-2-Clause
"""A keyboard with a PS/2 plug, at the keyboard controller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from manager.devices.node import DeviceNode

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services


class Ps2KeyboardNode(DeviceNode):
    """The keyboard."""

    __slots__ = ()

    TYPE = "ps2-keyboard"
    SECTION = "lpc"
    NAMES = {"ps2-keyboard": "A keyboard; with a `vga` there is one anyway."}
    LABEL = "the keyboard"

    @staticmethod
    def about(state: Mapping[str, Any]) -> str:
        """Lights, scancodes, keys."""
        from manager.bus.record import named_bits, names_of
        from manager.devices.ps2_keyboard.device import EVENT, Ps2KeyboardState
        from manager.devices.ps2_keyboard.keys import NAMES

        held = " ".join(NAMES[number] for number in state["held"]) or "no key"
        return (
            f"set {state['scancode_set']}, {held} down, "
            f"lights {named_bits(names_of(Ps2KeyboardState, 'leds'), state['leds'])}, "
            f"{len(state['waiting']) // EVENT} events wait"
        )

    def build(self, board: Services) -> Device[Any]:
        """The keyboard in the controller's first port, whose interrupt is the controller's."""
        from manager.bus.lines import Unconnected
        from manager.devices.ps2_keyboard.device import Ps2Keyboard

        socket, _ = board.ps2_sockets
        keyboard = Ps2Keyboard(socket, board.clock)
        socket.plug(keyboard, Unconnected())
        return keyboard
