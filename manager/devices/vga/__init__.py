# SPDX-License-Identifier: BSD-2-Clause
"""The VGA that QEMU made known: text, planar and 256-colour modes, and a linear frame buffer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from manager.devices.claims import (
    EXPANSION_ROM,
    UNPLACED,
    MemoryBar,
    MemoryRange,
    PciIdentity,
    PortRange,
)
from manager.devices.node import DeviceNode, Place, on_host
from manager.errors import HostError
from manager.lazy import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from manager.devices.device import Device
    from manager.devices.services import Services
    from manager.devices.vga.table import VgaSlot

IDENTITY = PciIdentity(0x1234, 0x1111, 0x030000, 0x1AF4, 0x1100, 2)
VIDEO_MEMORY, REGISTERS, ROM = 16 << 20, 0x1000, 64 << 10
MONOCHROME, PORTS, DISPI = PortRange(0x3B0, 12), PortRange(0x3C0, 32), PortRange(0x1CE, 3)
WINDOW = MemoryRange(0xA0000, 0x20000)
PLACES = ("/usr/share/seabios", "/usr/share/qemu", "/usr/share/seavgabios")
BIOS = "vgabios-stdvga.bin"
PACKAGES = (
    "Debian: apt install seabios; Fedora: dnf install seavgabios-bin; Arch: pacman -S seabios"
)


def find_bios() -> Path:
    """Where SeaVGABIOS is; where Debian would have it when it is nowhere."""
    files = [Path(place) / BIOS for place in PLACES]
    return next((file for file in files if file.is_file()), files[0])


@dataclass(frozen=True, slots=True)
class VgaNode(DeviceNode):
    """The card."""

    TYPE = "vga"
    SECTION = "slots"

    bios: str = on_host("")
    """The file of its video BIOS; empty for SeaVGABIOS, wherever it is."""

    @classmethod
    def table(cls) -> type[VgaSlot]:
        """Its keys."""
        from manager.devices.vga.table import VgaSlot

        return VgaSlot

    @classmethod
    def claim(cls, table: VgaSlot, place: Place) -> VgaNode:
        """The ports and the window of every VGA, and three memory BARs."""
        return cls(
            *place,
            pci=IDENTITY,
            ports=(MONOCHROME, PORTS, DISPI),
            memory=(WINDOW,),
            memory_bars=(
                MemoryBar(0, UNPLACED, VIDEO_MEMORY, prefetchable=True, ram=True),
                MemoryBar(2, UNPLACED, REGISTERS),
                MemoryBar(EXPANSION_ROM, UNPLACED, ROM),
            ),
            bios=table.bios or "",
        )

    @property
    def reads(self) -> Mapping[Path, str]:
        """The video BIOS."""
        if self.bios:
            return {Path(self.bios): "put the file there, or leave out `bios`"}
        return {find_bios(): f"SeaVGABIOS is not installed: {PACKAGES}; or give its file as `bios`"}

    @staticmethod
    def about(state: Mapping[str, Any]) -> str:
        """The mode."""
        dispi, crtc = state["dispi"], state["crtc"]
        if dispi[4] & 1:
            return f"{dispi[1]}x{dispi[2]}, {dispi[3]} bits per pixel"
        kind = "graphics" if state["graphics"][6] & 1 else "text"
        return f"{kind}, {crtc[1] + 1} characters wide"

    def build(self, board: Services) -> Device[Any]:
        """The card on its buses. Raises HostError when its video BIOS cannot be read."""
        from manager.devices.vga.device import Vga

        memory = board.bar_memory(0)
        vga = Vga(board.header(), board.slot(), memory, self._read_bios(), board.clock.now)
        for ports in (MONOCHROME, PORTS):
            board.claim(ports, vga.ports(ports.base))
        board.claim(DISPI, vga.dispi_ports)
        board.map(WINDOW, vga.window)
        board.attach(vga.function)
        return vga

    def _read_bios(self) -> bytes:
        from manager import files

        ((path, help),) = self.reads.items()
        try:
            content = files.read(path, ROM)
        except OSError as error:
            raise HostError(f"{self.id}: {path}: {error.strerror}", help=help) from None
        if not content:
            raise HostError(f"{self.id}: {path}: the file is empty", help=help)
        return content
