# SPDX-License-Identifier: BSD-2-Clause
"""IDE: function 1 of the PIIX3, two channels at the places that PCs have had since the AT."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manager.devices.claims import UNPLACED, DiskUse, IoBar, PciIdentity, PortRange, unit
from manager.devices.ide.registers import CHANNELS, MASTER_BAR, MASTER_LENGTH
from manager.devices.node import DeviceNode, Place, fact
from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.ide.table import IdeSlot
    from manager.devices.services import Services

IDENTITY = PciIdentity(0x8086, 0x7010, 0x010180, 0x1AF4, 0x1100)
"""Intel PIIX3, bus master capable; the channels stay at their old places."""
PLACES = ("primary-master", "primary-slave", "secondary-master", "secondary-slave")


@dataclass(frozen=True, slots=True)
class IdeNode(DeviceNode):
    """An IDE controller."""

    TYPE = "ide"
    SECTION = "slots"

    primary_master: str = fact("")
    """"disk" or "cdrom"; empty where there is no drive."""
    primary_slave: str = fact("")
    secondary_master: str = fact("")
    secondary_slave: str = fact("")

    @classmethod
    def table(cls) -> type[IdeSlot]:
        """Its keys."""
        from manager.devices.ide.table import IdeSlot

        return IdeSlot

    @classmethod
    def claim(cls, table: IdeSlot, place: Place) -> IdeNode:
        """The old places of both channels, and a BAR for the bus masters."""
        drives = {
            name: drive
            for name in PLACES
            if (drive := getattr(table, name.replace("-", "_"))) is not None
        }
        ports = [
            PortRange(*claim)
            for block, control, _ in CHANNELS
            for claim in ((block, 8), (control, 1))
        ]
        return cls(
            *place,
            pci=IDENTITY,
            ports=tuple(ports),
            bars=(IoBar(MASTER_BAR, UNPLACED, MASTER_LENGTH),),
            disks=tuple(DiskUse(name, drive.disk) for name, drive in drives.items()),
            **{name.replace("-", "_"): drive.type for name, drive in drives.items()},
        )

    def keys(self) -> dict[str, Any]:
        """Its drives; one that is no disk says what it is."""
        kinds = {place: getattr(self, place.replace("-", "_")) for place in PLACES}
        return {
            use.key: use.name
            if kinds[use.key] == "disk"
            else {"disk": use.name, "type": kinds[use.key]}
            for use in self.disks
        }

    def boot_paths(self) -> dict[str, str]:
        """Each drive by its channel and its place there; "ide." stands for the controller's id."""
        controller = unit("ide", self.address)
        return {
            f"{name}.{place}": f"{controller}/drive@{number // 2}/disk@{number % 2}"
            for name in (self.id, self.TYPE)
            for number, place in enumerate(PLACES)
            if getattr(self, place.replace("-", "_"))
        }

    def build(self, board: Services) -> Device[Any]:
        """Two channels with their drives, and the function with their bus masters."""
        from manager.devices.ide.device import Ide, IdeChannel

        slot = board.slot()
        channels = []
        for number, (port, _, irq) in enumerate(CHANNELS):
            kinds = [getattr(self, name.replace("-", "_")) for name in PLACES]
            drives = [
                (kind, board.blocks(name)) if kind else None
                for name, kind in list(zip(PLACES, kinds, strict=True))[2 * number : 2 * number + 2]
            ]
            line = board.isa_line(irq)
            serving = (port, board.lender, board.grants)
            channels.append(IdeChannel(drives, line, slot, board.clock, *serving))
        device = Ide(board.header(), slot, channels)
        for number, channel in enumerate(channels):
            board.claim(self.ports[2 * number], channel.channel)
            board.claim(self.ports[2 * number + 1], channel.channel.control_port)
        board.attach(device.function)
        return device
