# SPDX-License-Identifier: BSD-2-Clause
"""virtio-console: a fast console, and ports that have a name in the guest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manager.devices.claims import INTA, PciIdentity
from manager.devices.host import Backends
from manager.devices.node import DeviceNode, Place, SerialEnd, fact, on_host
from manager.devices.virtio.claims import BARS, MEMORY_BARS, VENDOR
from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services
    from manager.devices.virtio_console.table import VirtioConsoleSlot

TYPE_ID = 3
IDENTITY = PciIdentity(VENDOR, 0x1003, 0x078000, VENDOR, TYPE_ID)
"""Transitional: revision 0, so that legacy drivers take it as well."""
SEPARATOR = " "
"""Between the names of ports, which have no blanks."""


@dataclass(frozen=True, slots=True)
class VirtioConsoleNode(DeviceNode):
    """A console, and ports with names."""

    TYPE = "virtio-console"
    SECTION = "slots"

    names: str = fact("")
    """Of the ports but the console, in their order."""
    named: Backends | None = on_host()
    """Their backends."""

    @classmethod
    def table(cls) -> type[VirtioConsoleSlot]:
        """Its keys."""
        from manager.devices.virtio_console.table import VirtioConsoleSlot

        return VirtioConsoleSlot

    @classmethod
    def claim(cls, table: VirtioConsoleSlot, place: Place) -> VirtioConsoleNode:
        """A pin, and the BARs that every virtio device has."""
        backends = tuple(port.backend.on_host() for port in table.ports.values())
        return cls(
            *place,
            pci=IDENTITY,
            pin=INTA,
            bars=BARS,
            memory_bars=MEMORY_BARS,
            backend=table.backend.on_host(),
            names=SEPARATOR.join(table.ports),
            named=Backends(backends) if backends else None,
        )

    @property
    def serial_ends(self) -> tuple[SerialEnd, ...]:
        """The console, and the ports with names."""
        backends = self.named.backends if self.named is not None else ()
        pairs = zip(self.names.split(), backends, strict=True)
        named = (SerialEnd(self, backend, name) for name, backend in pairs)
        assert self.backend is not None
        return (SerialEnd(self, self.backend), *named)

    def keys(self) -> dict[str, Any]:
        """The ports with names."""
        ports = {end.name: {"backend": end.backend.as_key()} for end in self.serial_ends[1:]}
        return {"ports": ports} if ports else {}

    def build(self, board: Services) -> Device[Any]:
        """The core, which has the channels, behind a function."""
        from manager.devices.virtio_console.device import VirtioConsole
        from manager.devices.virtio_console.ports import ConsoleCore

        slot = board.slot()
        names = self.names.split()
        channels = [board.channel(name) for name in ("", *names)]
        core = ConsoleCore(slot.dma, board.clock, channels, names)
        device = VirtioConsole(board.header(), slot, core)
        board.attach(device.function)
        return device
