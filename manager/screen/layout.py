# SPDX-License-Identifier: BSD-2-Clause
"""What a VGA's CRT controller makes of a frame: its size, and where each row of it begins."""

from __future__ import annotations

from collections.abc import Iterator

from manager.devices.vga import registers as r
from manager.devices.vga.state import VgaState
from manager.lazy import dataclass

LEAST_COLUMNS, LEAST_LINES = 2, 8
"""What is smaller is no mode."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of the CRT controller. Addresses count bytes of a plane, modulo 64 KiB."""

    columns: int
    """Characters in a row: 8 (9) dots each."""
    lines: int
    """Of dots, each once where all are drawn twice."""
    row_height: int
    """Lines that are drawn from one address."""
    pitch: int
    """From one row to the next."""
    start: int
    compare: int
    """The line behind which the picture begins anew, at address 0."""
    first_scan: int
    cga_rows: int
    """Address bit that is bit 0 of the row scan counter; 0 for none."""

    @property
    def is_mode(self) -> bool:
        """Whether it is large enough to be one."""
        return self.columns >= LEAST_COLUMNS and self.lines >= LEAST_LINES

    def rows(self) -> Iterator[tuple[int, int]]:
        """(address, row scan counter) of each line from the top."""
        address, scan = self.start, self.first_scan
        for line in range(self.lines):
            yield (address & ~self.cga_rows | (self.cga_rows if scan & 1 else 0)), scan
            scan += 1
            if scan >= self.row_height:
                scan, address = 0, address + self.pitch & 0xFFFF
            if line == self.compare:
                scan, address = 0, 0


def frame(state: VgaState) -> Frame:
    """The frame as the registers have it."""
    crtc = state.crtc
    overflow, maximum = crtc[r.OVERFLOW], crtc[r.MAXIMUM_SCAN]
    end = crtc[r.VERTICAL_END] | overflow << 7 & 0x100 | overflow << 3 & 0x200
    compare = crtc[r.LINE_COMPARE] | overflow << 4 & 0x100 | maximum << 3 & 0x200
    twice = 1 if maximum & r.DOUBLE_SCAN else 0
    height = (maximum & 0x1F) + 1
    graphics = bool(state.graphics[r.MISCELLANEOUS] & r.GRAPHICS_MODE)
    cga = graphics and not crtc[r.MODE_CONTROL] & r.NO_CGA_ROWS
    lines, compare = end + 1 >> twice, compare >> twice
    first = crtc[r.PRESET_ROW] & 0x1F
    if graphics and not cga:  # rows of the same dots are one
        lines, compare, first, height = lines // height, compare // height, 0, 1
    return Frame(
        crtc[r.HORIZONTAL_END] + 1,
        lines,
        height,
        2 * crtc[r.ROW_OFFSET],
        crtc[r.START_HIGH] << 8 | crtc[r.START_LOW],
        compare,
        min(first, height - 1),
        (0x2000 if crtc[r.MODE_CONTROL] & r.BYTE_MODE else 0x1000) if cga else 0,
    )
