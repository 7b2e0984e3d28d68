# SPDX-License-Identifier: BSD-2-Clause
"""One IDE channel: two places for drives, their ports, and the interrupt that they share.

Source: ATA/ATAPI-6 (T13/1410D), section 9.1. Both drives hear what is written to the registers;
the device register says which of them answers. A place without a drive reads as zeros, which is how
teaching kernels tell that there is none.
"""

from __future__ import annotations

from collections.abc import Sequence

from manager.bus.grants import NO_GRANTS, Grants
from manager.bus.lines import Line
from manager.bus.ports import PortLender
from manager.bus.record import Record, uint
from manager.devices.ide.bus_master import ChannelMaster
from manager.devices.ide.drive import Drive
from manager.devices.ide.registers import (
    BSY,
    COMMAND,
    CONTROL_HOB,
    CONTROL_NIEN,
    CONTROL_SRST,
    DATA,
    DEVICE,
    DEVICE_SLAVE,
    EXECUTE_DIAGNOSTIC,
    STATUS,
)
from manager.lazy import dataclass


@dataclass(slots=True)
class ChannelState(Record):
    """What the drives of a channel share."""

    TYPE = "ide-channel"

    control: int = uint(8, "device control register")
    selected: int = uint(1, "which drive answers: 0 is the master, 1 the slave")


class Channel:
    """`drives` are the master and the slave, None where there is no drive."""

    def __init__(
        self,
        drives: Sequence[Drive | None],
        line: Line,
        master: ChannelMaster,
        port: int = 0,
        lender: PortLender | None = None,
        grants: Grants = NO_GRANTS,
    ) -> None:
        """`port` is that of the data register, which `lender` may serve from a drive's buffer."""
        self._port = port
        self._lender = lender
        self._grants = grants
        self.state = ChannelState()
        self._drives = tuple(drives)
        self._line = line
        self._master = master
        self._level = False
        self.control_port = ControlPort(self)

    @property
    def drives(self) -> tuple[Drive, ...]:
        """The drives that are there."""
        return tuple(drive for drive in self._drives if drive is not None)

    @property
    def _drive(self) -> Drive | None:
        return self._drives[self.state.selected]

    def reset(self) -> None:
        """As after power-on."""
        self.state.selected = 0
        for drive in self.drives:
            drive.reset()

    def settle(self) -> None:
        """Timers and the interrupt line as the records say."""
        for drive in self.drives:
            drive.settle()
        self._level = self._wanted()
        self._line.set(self._level)

    def interrupt_changed(self) -> None:
        """A drive asks for an interrupt, or does not any more."""
        level = self._wanted()
        if level and not self._level:
            self._master.interrupted()
        self._level = level
        self._line.set(level)

    def master_started(self) -> None:
        """The guest has started the bus master."""
        if self._drive is not None:
            self._drive.master_started()

    def _wanted(self) -> bool:
        drive = self._drive
        enabled = not self.state.control & CONTROL_NIEN
        return drive is not None and enabled and drive.state.interrupt

    # -- the command block ----------------------------------------------------------------

    def read_wide(self, offset: int, size: int) -> int:
        """IN: the data register as wide as it is asked, the others byte by byte."""
        if offset == DATA:
            if (drive := self._drive) is None:
                return 0
            value = drive.read_data(size)
            if self._lender is not None:
                drive.lend(self._lender, self._port)
            return value
        return sum(self._read(offset + n) << 8 * n for n in range(size))

    def write_wide(self, offset: int, size: int, value: int) -> None:
        """OUT."""
        if offset == DATA:
            if (drive := self._drive) is not None:
                drive.write_data(size, value)
                if self._lender is not None:
                    drive.lend(self._lender, self._port)
            return
        for n in range(size):
            self._write(offset + n, value >> 8 * n & 0xFF)

    def _read(self, register: int) -> int:
        drive = self._drive
        if drive is None:
            return 0
        if register == STATUS:
            status = drive.state.status
            if drive.state.interrupt:
                drive.heard()
            else:
                self._grants.steady()
            return status
        return drive.read(register, self.state.control)

    def _write(self, register: int, value: int) -> None:
        self.state.control &= ~CONTROL_HOB
        if register == COMMAND:
            self._command(value)
            return
        if any(drive.state.status & BSY for drive in self.drives):
            return
        if register == DEVICE:
            self.state.selected = int(bool(value & DEVICE_SLAVE))
        for drive in self.drives:
            drive.write(register, value)
        if register == DEVICE:
            self.interrupt_changed()

    def _command(self, command: int) -> None:
        if command == EXECUTE_DIAGNOSTIC:
            self.reset()
        elif self._drive is not None:
            self._drive.run(command)

    # -- the control block ----------------------------------------------------------------

    @property
    def alternate_status(self) -> int:
        """The status register, without taking the interrupt back."""
        self._grants.steady()
        return self._drive.state.status if self._drive is not None else 0

    def control(self, value: int) -> None:
        """Write the device control register."""
        before, self.state.control = self.state.control, value
        if before & CONTROL_SRST and not value & CONTROL_SRST:
            self.reset()
        elif value & CONTROL_SRST:
            for drive in self.drives:
                drive.hold_in_reset()
        self.interrupt_changed()


class ControlPort:
    """The one port of the control block that drives use: 0x3F6 or 0x376."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def read_port(self, offset: int) -> int:
        """IN: the alternate status."""
        return self._channel.alternate_status

    def write_port(self, offset: int, value: int) -> None:
        """OUT: device control."""
        self._channel.control(value)
