# SPDX-License-Identifier: BSD-2-Clause
"""CPUs as gdb's threads: CPU 0 is thread 1, and so on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manager.cpu.engine import Cpu
from manager.debug.packets import FAILED, OK

if TYPE_CHECKING:
    from manager.debug.target import Target


class Threads:
    """Which there are, and which one gdb asks about."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.chosen: int | None = None
        """The CPU that gdb asks about, if not the one whose turn it is."""

    @property
    def cpu(self) -> Cpu:
        """The CPU that gdb asks about."""
        machine = self._target.machine
        return machine.cpu if self.chosen is None else machine.engine.cpus[self.chosen]

    @property
    def present(self) -> bytes:
        """The thread of the CPU whose turn it is."""
        return b"%x" % (self._target.machine.engine.current + 1)

    @property
    def _numbers(self) -> range:
        return range(1, len(self._target.machine.engine.cpus) + 1)

    def listed(self) -> bytes:
        """All of them, by commas."""
        return b",".join(b"%x" % thread for thread in self._numbers)

    def choose(self, rest: str) -> bytes:
        """What follows an H: gdb asks about a thread from now on (g), or will let it step (c)."""
        thread = int(rest[1:], 16)
        if thread > 0 and thread not in self._numbers:
            return FAILED
        if rest[:1] == "g" or thread > 0:
            self.chosen = thread - 1 if thread > 0 else None
        return OK

    def alive(self, rest: str) -> bytes:
        """What follows a T: is there such a thread?"""
        return OK if int(rest, 16) in self._numbers else FAILED

    def stepper(self, actions: list[str]) -> int | None:
        """The CPU of the first step among the actions of a vCont; -1 for the present one.

        None if all are to go on. Raises ValueError for one that is not there.
        """
        for action in actions:
            what, _, thread = action.partition(":")
            if what[:1] in ("s", "S"):
                number = int(thread, 16) if thread else 0
                if number > 0 and number not in self._numbers:
                    raise ValueError(f"there is no thread {number}")
                return max(number - 1, -1)
        return None

    def about(self, rest: str) -> bytes:
        """What `info threads` shows of one, in hex."""
        thread = int(rest, 16)
        if thread not in self._numbers:
            return FAILED
        cpu = self._target.machine.engine.cpus[thread - 1]
        name = f"CPU {thread - 1}" if len(self._numbers) > 1 else "CPU"
        doing = ", waits for a start-up message" if cpu.waiting else ", halted" * cpu.halted
        return (name + doing).encode().hex().encode()
