# SPDX-License-Identifier: BSD-2-Clause
"""What an ATA disk and an ATAPI drive have in common: task file, data register, interrupt.

Source: ATA/ATAPI-6 (T13/1410D), section 9, the protocols. A command is carried out in steps, each
of which takes virtual time on the drive's timer: while it waits the drive is busy, then the
subclass's `step` does it. What a step is about is in the record, so any of them may be cut by a
suspend.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

from manager.bus.clock import Clock
from manager.bus.ports import PortLender
from manager.bus.record import NEVER
from manager.devices.ide.registers import (
    ABRT,
    BSY,
    CONTROL_HOB,
    COUNT,
    DEVICE,
    DEVICE_ONES,
    DIAGNOSTIC_PASSED,
    DRDY,
    DRQ,
    DSC,
    ERR,
    ERROR,
    FEATURES,
    LBA_HIGH,
    LBA_LOW,
    LBA_MID,
)
from manager.devices.ide.state import DriveState

ACCESS_TIME = 20_000
"""ns until the first byte of a command; none of the drives that a guest knows is faster."""
BLOCK_TIME = 2_000
"""ns between two blocks of one command."""
BYTES_PER_US = 200
"""How fast data comes and goes."""

IDLE, BUSY, DATA_IN, DATA_OUT, DMA = range(5)
"""What a drive is at."""


class BusMaster(Protocol):
    """The way to RAM. A transfer waits until the guest has started it."""

    @property
    def started(self) -> bool:
        """Whether the guest has."""

    def store(self, data: bytes) -> bool:
        """Data for RAM; False when the guest's list of regions is too short for it."""

    def load(self, length: int) -> bytes | None:
        """`length` bytes from RAM; None when the list is too short."""

    def finish(self, *, failed: bool = False) -> None:
        """The transfer is over."""


class Drive(ABC):
    """One drive of a channel. `changed` is called when its interrupt may have changed."""

    SIGNATURE: tuple[int, int]
    """What LBA mid and high hold after a reset."""

    def __init__(
        self, state: DriveState, clock: Clock, master: BusMaster, changed: Callable[[], None]
    ) -> None:
        self.state = state
        self._clock = clock
        self._master = master
        self._changed = changed
        self._timer = clock.timer(self._due)

    def settle(self) -> None:
        """Make the timer agree with the record."""
        if self.state.due == NEVER:
            self._timer.disarm()
        else:
            self._timer.arm(self.state.due)

    # -- the task file --------------------------------------------------------------------

    def write(self, register: int, value: int) -> None:
        """A write to the task file, but for command and data; both drives hear it."""
        state = self.state
        if register == FEATURES:
            state.features = (state.features << 8 | value) & 0xFFFF
        elif register == COUNT:
            state.count = (state.count << 8 | value) & 0xFFFF
        elif register == LBA_LOW:
            state.lba_low = (state.lba_low << 8 | value) & 0xFFFF
        elif register == LBA_MID:
            state.lba_mid = (state.lba_mid << 8 | value) & 0xFFFF
        elif register == LBA_HIGH:
            state.lba_high = (state.lba_high << 8 | value) & 0xFFFF
        elif register == DEVICE:
            state.device = value | DEVICE_ONES

    def read(self, register: int, control: int) -> int:
        """A read of the task file, but for status and data."""
        state = self.state
        shift = 8 if control & CONTROL_HOB else 0
        if register == ERROR:
            return state.error
        if register == COUNT:
            return state.count >> shift & 0xFF
        if register == LBA_LOW:
            return state.lba_low >> shift & 0xFF
        if register == LBA_MID:
            return state.lba_mid >> shift & 0xFF
        if register == LBA_HIGH:
            return state.lba_high >> shift & 0xFF
        return state.device

    def reset(self) -> None:
        """As after power-on, and after a software reset: diagnosed, and showing what it is."""
        state = self.state
        self._stop()
        state.count = state.lba_low = state.error = DIAGNOSTIC_PASSED
        state.lba_mid, state.lba_high = self.SIGNATURE
        state.device = DEVICE_ONES
        state.multiple = 0
        state.status = DRDY | DSC
        self._ask(False)

    def hold_in_reset(self) -> None:
        """The guest holds the channel in a software reset, which drops what is under way."""
        self._stop()
        self.state.status = BSY
        self._ask(False)

    def run(self, command: int) -> None:
        """A command was written. A drive that is busy does not hear it."""
        state = self.state
        if state.status & BSY:
            return
        self._stop()
        state.command = command
        state.error = 0
        state.status = DRDY | DSC
        self._ask(False)
        self.execute(command)

    @abstractmethod
    def execute(self, command: int) -> None:
        """Begin the command."""

    @abstractmethod
    def step(self) -> None:
        """The time of a busy drive is over, or its data has passed."""

    # -- the data register ----------------------------------------------------------------

    def read_data(self, size: int) -> int:
        """`size` bytes for the guest; zeros when there are none."""
        state = self.state
        if state.phase != DATA_IN:
            return 0
        start = state.position
        value = int.from_bytes(state.buffer[start : start + size], "little")
        self._passed(size)
        return value

    def write_data(self, size: int, value: int) -> None:
        """`size` bytes from the guest; dropped when none are wanted."""
        state = self.state
        if state.phase != DATA_OUT:
            return
        start = state.position
        fits = min(size, len(state.buffer) - start)
        state.buffer[start : start + fits] = value.to_bytes(size, "little")[:fits]
        self._passed(size)

    def lend(self, lender: PortLender, port: int) -> None:
        """Let what is left of the buffer pass without this drive, but for its end."""
        state = self.state
        if state.phase in (DATA_IN, DATA_OUT):
            out = state.phase == DATA_OUT
            lender.lend_port(port, state.buffer, state.position, out, self._returned)

    def _returned(self, position: int) -> None:
        self.state.position = position

    def _passed(self, size: int) -> None:
        state = self.state
        state.position += size
        if state.position >= len(state.buffer):
            self.step()

    # -- for subclasses -------------------------------------------------------------------

    def wait(self, time: int) -> None:
        """Be busy for `time` ns; then comes `step`."""
        state = self.state
        state.phase = BUSY
        state.status = BSY
        state.due = self._clock.now() + time
        self._timer.arm(state.due)

    def offer(self, data: bytes) -> None:
        """Let the guest read `data` from the data register, then comes `step`."""
        state = self.state
        state.buffer[:] = data
        state.position = 0
        state.phase = DATA_IN
        state.status = DRDY | DSC | DRQ
        self._ask(True)

    def want(self, length: int, *, ask: bool) -> None:
        """Let the guest write `length` bytes to the data register, then comes `step`."""
        state = self.state
        state.buffer[:] = bytes(length)
        state.position = 0
        state.phase = DATA_OUT
        state.status = DRDY | DSC | DRQ
        self._ask(ask)

    def await_master(self) -> None:
        """Be busy until the guest starts the bus master; then comes `step`."""
        state = self.state
        state.phase = DMA
        state.status = BSY
        if self._master.started:
            self.master_started()

    def master_started(self) -> None:
        """The guest has started the bus master."""
        if self.state.phase == DMA and self.state.due == NEVER:
            self.state.due = self._clock.now() + self.dma_time()
            self._timer.arm(self.state.due)

    @abstractmethod
    def dma_time(self) -> int:
        """How long a transfer by the bus master takes, in ns."""

    def done(self) -> None:
        """The command ended well."""
        self._stop()
        self.state.status = DRDY | DSC
        self._ask(True)

    def fail(self, error: int = ABRT) -> None:
        """The command ended with an error."""
        self._stop()
        self.state.error = error
        self.state.status = DRDY | DSC | ERR
        self._ask(True)

    def _stop(self) -> None:
        state = self.state
        state.phase = IDLE
        state.due = NEVER
        state.position = 0
        state.buffer.clear()
        self._timer.disarm()

    def _due(self) -> None:
        self.state.due = NEVER
        self.step()

    def _ask(self, interrupt: bool) -> None:
        self.state.interrupt = interrupt
        self._changed()

    def heard(self) -> None:
        """The guest has read the status register, which takes the interrupt back."""
        if self.state.interrupt:
            self._ask(False)


def transfer_time(length: int) -> int:
    """How many ns `length` bytes take, once they come."""
    return length * 1000 // BYTES_PER_US
