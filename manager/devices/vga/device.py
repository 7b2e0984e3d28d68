# SPDX-License-Identifier: BSD-2-Clause
"""A VGA in a PCI slot: the card that QEMU calls VGA, with Bochs's extensions.

BAR 0 is video memory, BAR 2 has the registers once more, and a ROM has the video BIOS.
Source: QEMU's docs/specs/standard-vga.
"""

from __future__ import annotations

from collections.abc import Callable

from manager.bus.pci import BarMemory, PciHeader, PciSlot
from manager.bus.pci.bars import Behind
from manager.devices.card import PciCard
from manager.devices.claims import EXPANSION_ROM
from manager.devices.vga import dispi, font
from manager.devices.vga import registers as r
from manager.devices.vga.planes import Planes
from manager.devices.vga.ports import Registers
from manager.devices.vga.state import VgaState, powered_on
from manager.devices.vga.window import Window

VIDEO_BAR, REGISTERS_BAR = 0, 2
REGISTERS_LENGTH = 0x1000
# What is where in BAR 2.
VGA_PORTS, VGA_PORTS_END = 0x400, 0x420
DISPI, DISPI_END = 0x500, 0x516
EXTENSIONS, BYTE_ORDER = 0x600, 0x604
EXTENSIONS_LENGTH = 8
LITTLE, BIG = 0x1E1E_1E1E, 0xBEBE_BEBE

BLANK = 0x0720
"""A space, grey on black."""
TEXT_MEMORY = 32 << 10


class Vga(PciCard[VgaState]):
    """The card. `memory` is its video memory; `rom` what its ROM has when it is new."""

    STATE = VgaState

    def __init__(
        self,
        header: PciHeader,
        slot: PciSlot,
        memory: BarMemory,
        rom: bytes,
        now: Callable[[], int],
    ) -> None:
        self._rom = rom
        self.planes = Planes(memory.memory)
        self.window = Window(self.planes, memory)
        self.registers = Registers(now, self._changed)
        self.dispi_ports = DispiPorts(self)
        behind: dict[int, Behind] = {
            VIDEO_BAR: memory,
            REGISTERS_BAR: _Bar2(self),
            EXPANSION_ROM: _Rom(self),
        }
        super().__init__(header, slot, behind)
        self.load(self.power_on())

    def ports(self, base: int) -> PortSpan:
        """The registers at ports from `base` on."""
        return PortSpan(self.registers, base)

    def power_on(self) -> VgaState:
        """All registers 0."""
        state = powered_on(self._rom)
        state.config = self.function.power_on()
        return state

    def load(self, record: VgaState) -> None:
        """Take over a record. Video memory comes from elsewhere, and lies as the record says."""
        self.registers.state = self.window.state = record
        self.planes.interleaved = record.interleaved
        super().load(record)

    def settle(self) -> None:
        """Claim the BARs, show the window."""
        super().settle()
        self.window.show()

    def start_text_mode(self) -> None:
        """Do what a video BIOS does at power-on: mode 3, a blank screen."""
        state = self.state
        state.misc = r.TEXT_MISC
        state.sequencer[: len(r.TEXT_SEQUENCER)] = r.TEXT_SEQUENCER
        state.crtc[: len(r.TEXT_CRTC)] = r.TEXT_CRTC
        state.graphics[: len(r.TEXT_GRAPHICS)] = r.TEXT_GRAPHICS
        state.attribute[: len(r.TEXT_ATTRIBUTE)] = r.TEXT_ATTRIBUTE
        state.attribute_index = r.PALETTE_ON
        state.palette[:192] = r.text_palette()
        memory = self.planes.memory
        memory[:TEXT_MEMORY] = BLANK.to_bytes(2, "little") * (TEXT_MEMORY // 2)
        for number, byte in enumerate(font.find(bytes(state.rom))):
            self.planes.write(number, self.planes.read(number) & 0xFFFF | byte << 16)
        self.window.show()

    def read_dispi(self, index: int) -> int:
        """A dispi register."""
        return dispi.read(self.state, index)

    def write_dispi(self, index: int, value: int) -> None:
        """Change a dispi register, and the mode with it."""
        clears = dispi.write(self.state, index, value)
        self._changed()
        if clears:
            self._clear()

    def _clear(self) -> None:
        mode = dispi.mode_of(self.state.dispi)
        memory = self.planes.memory
        length = min(mode.pitch * mode.height * (4 if mode.depth == 4 else 1), len(memory))
        memory[:length] = bytes(length)

    def _changed(self) -> None:
        self.planes.arrange(self.state.interleaved)
        self.window.show()


class PortSpan:
    """Byte ports from `base` on."""

    __slots__ = ("_base", "_registers")

    def __init__(self, registers: Registers, base: int) -> None:
        self._registers = registers
        self._base = base

    def read_port(self, offset: int) -> int:
        """Read a byte."""
        return self._registers.read(self._base + offset)

    def write_port(self, offset: int, value: int) -> None:
        """Write a byte."""
        self._registers.write(self._base + offset, value)


class DispiPorts:
    """The index at 1CEh and the data at 1CFh, 16 bits each."""

    __slots__ = ("_vga",)

    def __init__(self, vga: Vga) -> None:
        self._vga = vga

    def read_wide(self, offset: int, size: int) -> int:
        """The index, or the register there. A byte is its low half."""
        state = self._vga.state
        value = self._vga.read_dispi(state.dispi_index) if offset else state.dispi_index
        return value & (1 << 8 * size) - 1

    def write_wide(self, offset: int, size: int, value: int) -> None:
        """Set the index, or the register there."""
        if offset == 0:
            self._vga.state.dispi_index = value & 0xFFFF
        else:
            self._vga.write_dispi(self._vga.state.dispi_index, value & 0xFFFF)


class _Bar2:
    """The registers in memory."""

    __slots__ = ("_vga",)

    def __init__(self, vga: Vga) -> None:
        self._vga = vga

    def read_mmio(self, offset: int, size: int) -> int:
        vga = self._vga
        if VGA_PORTS <= offset < VGA_PORTS_END:
            ports = range(r.ATTRIBUTE + offset - VGA_PORTS, r.ATTRIBUTE + offset - VGA_PORTS + size)
            return sum(vga.registers.read(port) << 8 * n for n, port in enumerate(ports))
        if DISPI <= offset < DISPI_END:
            at = offset - DISPI
            value = vga.read_dispi(at >> 1) | vga.read_dispi((at >> 1) + 1) << 16
            return value >> 8 * (at & 1) & (1 << 8 * size) - 1
        if EXTENSIONS <= offset < EXTENSIONS + EXTENSIONS_LENGTH:
            order = BIG if vga.state.big_endian else LITTLE
            value = order << 32 | EXTENSIONS_LENGTH
            return value >> 8 * (offset - EXTENSIONS) & (1 << 8 * size) - 1
        return 0

    def write_mmio(self, offset: int, size: int, value: int) -> None:
        vga = self._vga
        if VGA_PORTS <= offset < VGA_PORTS_END:
            for n in range(size):
                vga.registers.write(r.ATTRIBUTE + offset - VGA_PORTS + n, value >> 8 * n & 0xFF)
        elif DISPI <= offset < DISPI_END and size > 1:
            for n in range(size // 2):
                vga.write_dispi((offset - DISPI >> 1) + n, value >> 16 * n & 0xFFFF)
        elif offset == BYTE_ORDER and size == 4 and value in (LITTLE, BIG):
            vga.state.big_endian = value == BIG


class _Rom:
    """The expansion ROM, padded with ones."""

    __slots__ = ("_vga",)

    def __init__(self, vga: Vga) -> None:
        self._vga = vga

    def read_mmio(self, offset: int, size: int) -> int:
        content = self._vga.state.rom[offset : offset + size]
        return int.from_bytes(content + b"\xff" * (size - len(content)), "little")

    def write_mmio(self, offset: int, size: int, value: int) -> None:
        """It cannot be written."""
