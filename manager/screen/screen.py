# SPDX-License-Identifier: BSD-2-Clause
"""The screen of a machine at one time, whatever its mode."""

from __future__ import annotations

from mmap import mmap

from manager.devices.vga import registers as r
from manager.devices.vga.state import VgaState
from manager.lazy import dataclass
from manager.screen import graphics, text
from manager.screen.layout import frame
from manager.screen.palette import sixteen, to_rgb
from manager.screen.picture import Picture

UNSET = 640, 480
"""The size of a picture where the registers have no mode, as at power-on."""


@dataclass(frozen=True, slots=True)
class Screen:
    """A card's registers, its video memory, and the virtual time in ns."""

    state: VgaState
    memory: bytes | mmap
    now: int

    @property
    def mode(self) -> str:
        """What mode it is, in a few words."""
        if self.state.extended or self.is_graphics:
            picture = self.picture()
            return f"graphics, {picture.width}x{picture.height}"
        shown = frame(self.state)
        if not self._is_on or not shown.is_mode:
            return "off"
        return f"text, {shown.columns}x{shown.lines // shown.row_height}"

    @property
    def is_graphics(self) -> bool:
        """Whether its mode has no characters."""
        graphics = self.state.graphics[r.MISCELLANEOUS] & r.GRAPHICS_MODE
        return self.state.extended or bool(graphics)

    @property
    def _is_on(self) -> bool:
        state = self.state
        off = state.sequencer[r.CLOCKING] & r.SCREEN_OFF
        return state.extended or (bool(state.attribute_index & r.PALETTE_ON) and not off)

    def lines(self) -> list[str] | None:
        """The rows of a text mode; None in a graphics mode."""
        if self.is_graphics:
            return None
        return text.lines(self.state, self.memory) if frame(self.state).is_mode else []

    def picture(self) -> Picture:
        """What is on the screen: black where it is off or has no mode. At most 2560x1600."""
        state = self.state
        if state.extended:
            return graphics.extended(state, self.memory)
        if not frame(state).is_mode:
            return Picture(*UNSET, bytes(3 * UNSET[0] * UNSET[1]))
        if self.is_graphics:
            width, height, dots, tables = graphics.standard(state, self.memory)
        else:
            width, height, dots = text.dots(state, self.memory, self.now)
            tables = sixteen(state)
        pixels = to_rgb(dots, tables) if self._is_on else bytes(3 * len(dots))
        return Picture(width, height, pixels)
