# SPDX-License-Identifier: BSD-2-Clause
"""Machines that a test has done with, in the state that the next one wants.

Going back there is quicker than a resume by far, and what was translated of the guest's code is
kept. Nothing of the test stays: that is what `Machine.back` promises, and a machine of which it
cannot be said is not kept.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from manager.errors import VmmgrError

if TYPE_CHECKING:
    from manager.api import Definition, Machine
    from manager.machine.machine import Machine as Core
    from manager.machine.mark import Mark

MOST = 4
"""How many are kept: an engine takes some tens of megabytes."""

Key = tuple["Definition", Path]
"""What it was made of, and the state's directory."""


class Spares:
    """Machines in their states, the one that was used last at the end."""

    def __init__(self) -> None:
        self._spare: list[tuple[Key, Core]] = []

    def take(self, key: Key) -> Machine | None:
        """A machine in that state, if there is one."""
        from manager.api import Machine

        found = next((entry for entry in reversed(self._spare) if entry[0] == key), None)
        if found is None:
            return None
        self._spare.remove(found)
        core = found[1]
        try:
            core.back()
        except VmmgrError:
            core.free()
            return None
        machine = Machine(key[0], core)
        self._expect(machine, key)
        return machine

    def expect(self, machine: Machine, key: Key) -> None:
        """Keep a machine, which is in its state now, when it is closed."""
        if not machine.core.graph.debug.trace:  # each machine begins its file anew
            machine.mark()
            self._expect(machine, key)

    def _expect(self, machine: Machine, key: Key) -> None:
        core = machine.core
        machine.on_close(partial(self._keep, key, (core.point, _listening(core))))

    def close(self) -> None:
        """Let go of all of them."""
        while self._spare:
            self._spare.pop()[1].free()

    def _keep(self, key: Key, before: tuple[Mark | None, int], core: Core) -> None:
        if core.engine.crashed or (core.point, _listening(core)) != before:
            core.free()
            return
        self._spare.append((key, core))
        if len(self._spare) > MOST:
            self._spare.pop(0)[1].free()


def _listening(core: Core) -> int:
    """How many listen to its ports: what a test has plugged in and left there stays there."""
    serial = sum(len(port.listeners) for port in core.ports.values())
    return serial + sum(len(port.listeners) for port in core.network_ports.values())
