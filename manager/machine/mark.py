# SPDX-License-Identifier: BSD-2-Clause
"""A point in a machine's run that it goes back to, in the process that it runs in.

Pages of RAM that were written since are put back, and devices whose records differ load what they
were. They have had another life since: `Device.load` promises that nothing of it is left, which a
guest's reset relies on as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manager.bus.copies import clone, reader
from manager.devices.device import Device
from manager.errors import HostError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from manager.bus.copies import Values
    from manager.cpu.engine import PcEngine
    from manager.machine.board import Board
    from manager.machine.disks import Disks
    from manager.machine.inputs import Inputs

MOST_PASSES = 4


class MarkedBoard:
    """What all devices and serial ports of a board were when this was made."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._devices: list[tuple[Device[Any], Any, Callable[[Any], Values], Values]] = []
        self._closed: list[tuple[Device[Any], Any]] = []
        """Devices with more than `state` says: whether that has changed cannot be seen."""
        for device in board.devices.values():
            record = device.save()
            if type(device).save is Device.save and not device.CACHES:
                read = reader(device.STATE)
                self._devices.append((device, record, read, read(record)))
            else:
                self._closed.append((device, record))
        self._ports = [(port, port.save()) for port in board.ports.values()]
        self._resets = board.resets
        self._unclaimed = board.io.last_unclaimed

    def go_back(self) -> None:
        """They are so again; memory and the time are already. The CPUs' pins may be driven."""
        for port, fed in self._ports:
            port.drop_output()
            port.load(clone(fed))
        for device, record in self._closed:
            device.load(clone(record))
        self._load_changed()
        self._board.resets = self._resets
        self._board.io.last_unclaimed = self._unclaimed

    def _load_changed(self) -> None:
        """Load devices that have changed, and those again that others' lines disturb meanwhile."""
        settled = False
        for _ in range(MOST_PASSES):
            changed = [
                (device, record)
                for device, record, read, values in self._devices
                if read(device.state) != values
            ]
            if not changed and settled:
                return
            for device, record in changed:
                device.load(clone(record))
            self._board.settle()
            settled = True
        raise RuntimeError(f"{type(changed[0][0]).__name__} does not take over its own state")


class Mark:
    """Made where the machine is, between two runs. Raises HostError when the host has no room."""

    def __init__(self, engine: PcEngine, board: Board, inputs: Inputs, disks: Disks) -> None:
        self._engine = engine
        self._inputs = inputs
        for port in board.ports.values():
            port.take_output()
        self._board = MarkedBoard(board)
        self._on_their_way = inputs.recall()
        for item in self._on_their_way:
            inputs.schedule(item)
        try:
            engine.mark()
        except MemoryError:
            raise HostError("the host has no room for a copy of the memory of devices") from None
        self._written = [(disk, disk.mark()) for disk in disks.values()]

    def forget(self) -> None:
        """Nothing will go back to it."""
        self._engine.forget_mark()
        for disk, written in self._written:
            disk.forget(written)

    def go_back(self) -> int:
        """Everything is as it was; how many pages were not.

        Raises UsageError, HostError: then the machine is lost.
        """
        engine, inputs = self._engine, self._inputs
        refuse_recorded(inputs)
        if engine.crashed:
            raise UsageError(
                "there is no way back for a machine whose engine has crashed", help="make a new one"
            )
        try:
            pages = engine.back_memory()
            for disk, written in self._written:
                disk.back(written)
        except MemoryError:
            raise HostError("the host had no room for what the pages held before") from None
        except OSError as error:
            raise HostError(f"a disk cannot be put back: {error.strerror}") from None
        engine.back_cpus()  # devices ask for the time
        inputs.recall()
        for item in self._on_their_way:
            inputs.schedule(item)
        self._board.go_back()
        engine.back_cpus()  # lines that were driven meanwhile are no interrupts
        return pages


def refuse_recorded(inputs: Inputs) -> None:
    """Raises UsageError."""
    if inputs.on_input is not None:
        raise UsageError("a run that is being recorded cannot go back")
