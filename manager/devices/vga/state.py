# SPDX-License-Identifier: BSD-2-Clause
"""The state record of a VGA. Its video memory is saved as RAM is."""

from __future__ import annotations

from typing import ClassVar

from manager.bus.pci import PciConfigState
from manager.bus.record import Record, flag, integer, ints, nested, octets, uint
from manager.devices.vga.registers import (
    CHAIN_4,
    DISPI_REGISTERS,
    ENABLE,
    ENABLED,
    LAST_ID,
    MEMORY_MODE,
)
from manager.lazy import dataclass

ROM_LENGTH = 64 << 10
VIDEO_MEMORY = 16 << 20


def _registers(count: int, doc: str) -> bytearray:
    made: bytearray = octets(count, count, doc, bytes(count))
    return made


@dataclass(slots=True)
class VgaState(Record):
    """Registers, palette and latches, and what is in the ROM."""

    TYPE: ClassVar[str] = "vga"

    config: PciConfigState = nested(PciConfigState, "configuration header")
    misc: int = uint(8, "miscellaneous output register")
    feature: int = uint(8, "feature control register")
    sequencer_index: int = uint(8, "sequencer register that the data port is for")
    sequencer: bytearray = _registers(8, "sequencer registers")
    crtc_index: int = uint(8, "CRT controller register that the data port is for")
    crtc: bytearray = _registers(32, "CRT controller registers")
    graphics_index: int = uint(8, "graphics controller register that the data port is for")
    graphics: bytearray = _registers(16, "graphics controller registers")
    attribute_index: int = uint(8, "attribute register that data is for; bit 5: the screen is on")
    attribute_data: bool = flag("the next write to the attribute port is data")
    attribute: bytearray = _registers(32, "attribute controller registers")
    pel_mask: int = uint(8, "PEL mask", 0xFF)
    palette: bytearray = _registers(768, "the palette: red, green, blue of each colour")
    palette_index: int = uint(8, "palette entry that the data port is for")
    palette_step: int = integer(0, 2, "which of its three bytes")
    palette_reading: bool = flag("entries are read, not written")
    palette_entry: int = uint(24, "bytes of an entry that is not yet complete, the first lowest")
    latch: int = uint(32, "latches of the planes, plane 0 lowest")
    dispi_index: int = uint(16, "dispi register that the data port is for")
    dispi: list[int] = ints(DISPI_REGISTERS, 16, "dispi registers")
    big_endian: bool = flag("the order of bytes of a pixel in video memory")
    rom: bytearray = octets(0, ROM_LENGTH, "the video BIOS")

    @property
    def extended(self) -> bool:
        """Whether a dispi mode is on."""
        return bool(self.dispi[ENABLE] & ENABLED)

    @property
    def interleaved(self) -> bool:
        """How planes lie in video memory: see planes.py."""
        return self.extended or bool(self.sequencer[MEMORY_MODE] & CHAIN_4)


def powered_on(rom: bytes) -> VgaState:
    """All registers 0, as after a reset."""
    state = VgaState(rom=bytearray(rom))
    state.dispi[0] = LAST_ID
    return state
