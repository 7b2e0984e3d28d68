# SPDX-License-Identifier: BSD-2-Clause
"""A VGA's I/O ports, 3B0h-3DFh: the index and data ports of its five parts, and the palette."""

from __future__ import annotations

from collections.abc import Callable

from manager.devices.vga import registers as r
from manager.devices.vga.state import VgaState

LINE = 31_778
"""ns that the beam takes for a line of 640x480 or 720x400."""
LINES, VISIBLE, RETRACE_FROM, RETRACE_TO = 449, 400, 412, 414
FRAME = LINE * LINES
"""ns of a frame at 70 Hz. Its length is the same in all modes."""
DRAWN = LINE * 4 // 5
"""The part of a line within the picture."""
_CRTC_PORTS = (r.CRTC, r.CRTC_DATA, r.STATUS_1)


def beam(now: int) -> int:
    """Input status 1 at a virtual time."""
    line, in_line = divmod(now % FRAME, LINE)
    if line >= VISIBLE:
        return r.DISPLAY_OFF | (r.RETRACE if RETRACE_FROM <= line < RETRACE_TO else 0)
    return r.DISPLAY_OFF if in_line >= DRAWN else 0


class Registers:
    """The register file. `changed` hears of what may concern the window."""

    def __init__(self, now: Callable[[], int], changed: Callable[[], None]) -> None:
        self.state = VgaState()
        self._now = now
        self._changed = changed

    def read(self, port: int) -> int:
        """Read the byte at a port."""
        state = self.state
        port = self._by_adapter(port)
        match port:
            case r.ATTRIBUTE:
                return state.attribute_index
            case r.ATTRIBUTE_READ:
                return state.attribute[state.attribute_index & 0x1F]
            case r.SEQUENCER:
                return state.sequencer_index
            case r.SEQUENCER_DATA:
                return state.sequencer[state.sequencer_index & 7]
            case r.PEL_MASK:
                return state.pel_mask
            case r.DAC_READ_INDEX:
                return 3 if state.palette_reading else 0
            case r.DAC_WRITE_INDEX:
                return state.palette_index
            case r.DAC_DATA:
                return self._read_palette()
            case r.FEATURE_READ:
                return state.feature
            case r.MISC_READ:
                return state.misc
            case r.GRAPHICS:
                return state.graphics_index
            case r.GRAPHICS_DATA:
                return state.graphics[state.graphics_index & 15]
            case r.CRTC:
                return state.crtc_index
            case r.CRTC_DATA:
                return state.crtc[state.crtc_index & 31]
            case r.STATUS_1:
                state.attribute_data = False
                return beam(self._now())
        return 0xFF if port != r.MISC_WRITE else 0

    def write(self, port: int, value: int) -> None:
        """Write the byte at a port."""
        state = self.state
        port = self._by_adapter(port)
        if port == r.ATTRIBUTE:
            self._write_attribute(value)
        elif port == r.MISC_WRITE:
            state.misc = value
            self._changed()
        elif port == r.SEQUENCER:
            state.sequencer_index = value
        elif port == r.SEQUENCER_DATA:
            state.sequencer[state.sequencer_index & 7] = value
            self._changed()
        elif port == r.PEL_MASK:
            state.pel_mask = value
        elif port in (r.DAC_READ_INDEX, r.DAC_WRITE_INDEX):
            state.palette_index, state.palette_step = value, 0
            state.palette_reading = port == r.DAC_READ_INDEX
        elif port == r.DAC_DATA:
            self._write_palette(value)
        elif port == r.GRAPHICS:
            state.graphics_index = value
        elif port == r.GRAPHICS_DATA:
            state.graphics[state.graphics_index & 15] = value
            self._changed()
        elif port == r.CRTC:
            state.crtc_index = value
        elif port == r.CRTC_DATA:
            self._write_crtc(state.crtc_index & 31, value)
        elif port == r.STATUS_1:
            state.feature = value

    def _by_adapter(self, port: int) -> int:
        """The colour adapter's port for one of either adapter; 0 for those of the one it is not."""
        colour = port if port >= r.ATTRIBUTE else port + r.MONOCHROME_AWAY
        if colour not in _CRTC_PORTS:
            return port if port >= r.ATTRIBUTE else 0
        is_colour = bool(self.state.misc & r.MISC_COLOUR)
        return colour if is_colour == (port == colour) else 0

    def _write_attribute(self, value: int) -> None:
        state = self.state
        if state.attribute_data:
            if not (state.attribute_index & r.PALETTE_ON and state.attribute_index & 0x1F < 16):
                state.attribute[state.attribute_index & 0x1F] = value
        else:
            state.attribute_index = value & (r.PALETTE_ON | 0x1F)
        state.attribute_data = not state.attribute_data

    def _write_crtc(self, index: int, value: int) -> None:
        crtc = self.state.crtc
        if index <= r.PROTECT_END and crtc[r.RETRACE_END] & r.PROTECTED:
            if index != r.OVERFLOW:
                return
            value = crtc[r.OVERFLOW] & ~r.LINE_COMPARE_8 | value & r.LINE_COMPARE_8
        crtc[index] = value

    def _read_palette(self) -> int:
        state = self.state
        value = state.palette[3 * state.palette_index + state.palette_step]
        self._next_step()
        return value

    def _write_palette(self, value: int) -> None:
        """An entry changes when its third byte is there."""
        state = self.state
        value &= 0xFF if state.dispi[r.ENABLE] & r.EIGHT_BIT_DAC else 0x3F
        shift = 8 * state.palette_step
        state.palette_entry = state.palette_entry & ~(0xFF << shift) | value << shift
        if state.palette_step == 2:
            at = 3 * state.palette_index
            state.palette[at : at + 3] = state.palette_entry.to_bytes(3, "little")
        self._next_step()

    def _next_step(self) -> None:
        state = self.state
        state.palette_step = (state.palette_step + 1) % 3
        if state.palette_step == 0:
            state.palette_index = state.palette_index + 1 & 0xFF
