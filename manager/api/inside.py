# SPDX-License-Identifier: BSD-2-Clause
"""A machine from within: time, registers, memory, devices, power button, keyboard, mouse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from manager.api import report
from manager.api.hands import Keyboard, Mouse
from manager.api.runner import Runner
from manager.bus.record import to_plain
from manager.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from manager.machine.machine import Machine as Core


class Inside:
    """What Machine offers of this."""

    def __init__(self, core: Core) -> None:
        self._runner = Runner(core)

    @property
    def core(self) -> Core:
        """What runs. Not covered by the promise of docs/python-api.md."""
        return self._runner.core

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._runner.closed

    def on_close(self, let_go: Callable[[Core], None]) -> None:
        """Have `close` hand over what runs and not end it. Not covered by the promise either."""
        self._runner.let_go = let_go

    @property
    def wall_guard(self) -> float:
        """Seconds of the host's time that one wait may take, whatever its budget of guest time."""
        return self._runner.wall_guard

    @wall_guard.setter
    def wall_guard(self, seconds: float) -> None:
        self._runner.wall_guard = seconds

    @property
    def time(self) -> int:
        """Virtual time since power-on in ns."""
        return self._runner.time

    @property
    def keyboard(self) -> Keyboard:
        """The keyboard."""
        return Keyboard(self.core)

    @property
    def mouse(self) -> Mouse:
        """The mouse."""
        return Mouse(self.core)

    def mark(self) -> None:
        """Make the present point the one that `reset` comes back to, in place of any before.

        A machine has one mark, so marks do not nest. To the guest it is a suspend and a resume: its
        TLBs are empty afterwards. Raises UsageError when the machine is over, HostError.
        """
        self._runner.mark()

    def reset(self) -> int:
        """Go back to the mark, as often as you like; returns how many pages of RAM had changed.

        Memory, CPUs, devices, disks, the clock, input on its way and what the consoles have heard,
        their cursors included, are as they were: what follows is what follows a resume of a
        snapshot taken there, bit for bit. What the program has set up stays: `fail_on`,
        `wall_guard`, a debugger's breakpoints; a trace file goes on where it is. It takes about a
        tenth of a millisecond, and a quarter of a microsecond for each page. Unlike a guest's
        reset button it does not restart the guest. Raises UsageError without a mark or when the
        engine has crashed, HostError.
        """
        return self._runner.back()

    def press_power_button(self) -> None:
        """Press the power button; what follows is up to the guest."""
        self.core.inputs.post("power-button")

    @property
    def registers(self) -> dict[str, int]:
        """The CPU's registers by their lower-case names: "rax", "rip", "cs", "cr3"."""
        return report.registers(self.core.cpu.read_state())

    def read_memory(self, address: int, length: int) -> bytes:
        """Guest-physical RAM. Raises UsageError where there is none."""
        try:
            return self.core.memory.read(address, length)
        except ValueError as error:
            raise UsageError(str(error)) from None

    def write_memory(self, address: int, data: bytes) -> None:
        """Change guest-physical RAM, code included. Raises UsageError where there is none."""
        self.core.engine.invalidate(address, address + len(data))
        try:
            self.core.memory.write(address, data)
        except ValueError as error:
            raise UsageError(str(error)) from None

    @property
    def devices(self) -> dict[str, dict[str, Any]]:
        """The state of every device by id, the CPU and the time among them: named fields."""
        states = {id: to_plain(record) for id, record in self.core.records().items()}
        return {id: state for id, state in states.items() if isinstance(state, dict)}
