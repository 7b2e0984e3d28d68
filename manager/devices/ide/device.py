# SPDX-License-Identifier: BSD-2-Clause
"""The IDE controller in its PCI slot: two channels and their bus masters.

Source: Intel 82371SB (PIIX3) datasheet, function 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from manager.bus.blocks import Blocks
from manager.bus.clock import Clock
from manager.bus.grants import NO_GRANTS, Grants
from manager.bus.lines import Line
from manager.bus.pci import PciFunction, PciHeader, PciSlot
from manager.bus.pci.state import PciConfigState
from manager.bus.ports import PortLender
from manager.bus.record import Record, nested, octets, several
from manager.devices.device import Device
from manager.devices.ide.bus_master import LENGTH, BusMasterState, ChannelMaster
from manager.devices.ide.cdrom import CdRom
from manager.devices.ide.channel import Channel, ChannelState
from manager.devices.ide.disk import AtaDisk
from manager.devices.ide.drive import Drive
from manager.devices.ide.registers import CHANNELS, MASTER_BAR
from manager.devices.ide.state import DriveState
from manager.lazy import dataclass

TIMING_FIRST, TIMING_LENGTH = 0x40, 0x10
DECODE_ENABLED = 0x80
"""In the upper byte of a channel's timing register: it answers at its old places."""
PLACES = 2 * len(CHANNELS)


@dataclass(slots=True)
class IdeState(Record):
    """An IDE controller."""

    TYPE = "ide"

    config: PciConfigState = nested(PciConfigState, "configuration header")
    timing: bytearray = octets(
        TIMING_LENGTH, TIMING_LENGTH, "timing registers", bytes(TIMING_LENGTH)
    )
    channels: list[ChannelState] = several(ChannelState, len(CHANNELS), "channels")
    masters: list[BusMasterState] = several(BusMasterState, len(CHANNELS), "bus masters")
    drives: list[DriveState] = several(DriveState, PLACES, "drives, a master and a slave each")


class IdeChannel:
    """A channel with its drives and its bus master; a drive is its kind and the disk behind it."""

    def __init__(
        self,
        drives: Sequence[tuple[str, Blocks] | None],
        line: Line,
        slot: PciSlot,
        clock: Clock,
        port: int = 0,
        lender: PortLender | None = None,
        grants: Grants = NO_GRANTS,
    ) -> None:
        self.master = ChannelMaster(slot.dma, self._started)
        made: list[Drive | None] = []
        for drive in drives:
            if drive is None:
                made.append(None)
                continue
            kind, blocks = drive
            make = CdRom if kind == "cdrom" else AtaDisk
            made.append(make(DriveState(), blocks, clock, self.master, self._changed))
        self.drives = made
        self.channel = Channel(made, line, self.master, port, lender, grants)

    def _started(self) -> None:
        self.channel.master_started()

    def _changed(self) -> None:
        self.channel.interrupt_changed()


class Ide(Device[IdeState]):
    """The function, and what is behind it."""

    STATE = IdeState

    def __init__(self, header: PciHeader, slot: PciSlot, channels: Sequence[IdeChannel]) -> None:
        self._channels = channels
        self.function = PciFunction(header, slot, {MASTER_BAR: self}, registers=self)
        self.load(self.power_on())

    def power_on(self) -> IdeState:
        """Drives diagnosed, both channels answering."""
        state = IdeState(config=self.function.power_on())
        for number in range(len(CHANNELS)):
            state.timing[2 * number + 1] = DECODE_ENABLED
        self._hand_out(state)
        for channel in self._channels:
            channel.channel.reset()
        return state

    def load(self, record: IdeState) -> None:
        """Take over all parts before any drives its line."""
        self.function.state = record.config
        self._hand_out(record)
        super().load(record)

    def _hand_out(self, record: IdeState) -> None:
        for number, channel in enumerate(self._channels):
            channel.channel.state = record.channels[number]
            channel.master.state = record.masters[number]
            for place, drive in enumerate(channel.drives):
                if drive is not None:
                    drive.state = record.drives[2 * number + place]

    def settle(self) -> None:
        """Claim the BAR, drive the interrupts, set the timers."""
        self.function.settle()
        for channel in self._channels:
            channel.channel.settle()

    # -- the bus masters' ports, and the timing registers ---------------------------------------

    def read_port(self, offset: int) -> int:
        """IN from BAR 4."""
        number, at = divmod(offset, LENGTH)
        return self._channels[number].master.read_port(at)

    def write_port(self, offset: int, value: int) -> None:
        """OUT to BAR 4."""
        number, at = divmod(offset, LENGTH)
        self._channels[number].master.write_port(at, value)

    def read_config(self, offset: int) -> int:
        """A timing register; what else a PIIX3 has reads as 0."""
        at = offset - TIMING_FIRST
        return self.state.timing[at] if 0 <= at < TIMING_LENGTH else 0

    def write_config(self, offset: int, value: int) -> None:
        """A timing register: kept for the guest, without effect."""
        at = offset - TIMING_FIRST
        if 0 <= at < TIMING_LENGTH:
            self.state.timing[at] = value
