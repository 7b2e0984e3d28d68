# SPDX-License-Identifier: BSD-2-Clause
"""What keeps virtual time from passing: the user, a debugger, a port or a disk without room."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from manager.errors import HostError, VmmgrError

if TYPE_CHECKING:
    from manager.machine.machine import Machine
    from manager.vmm.connections import SerialConnections
    from manager.vmm.events import Events


class Holds:
    """Time passes while none of them holds it."""

    def __init__(
        self,
        connections: SerialConnections,
        events: Events,
        say: Callable[[str], None],
        *,
        paused: bool,
    ) -> None:
        self._connections = connections
        self._events = events
        self._say = say
        self._paused = paused
        self._debugged = False
        self._blocked: str | None = None
        self._damage: VmmgrError | None = None

    def watch_disks(self, machine: Machine) -> None:
        """Pause the machine while what it writes to a disk has to wait for room."""
        self._disks = machine.disks

        def trouble(name: str, fault: str) -> None:
            self._say(f'disk "{name}" {fault}')
            self._events.publish("disk-trouble", disk=name, message=fault)
            if machine.disks[name].log.held:
                self.pause()
                machine.stop()

        machine.disks.on_trouble = trouble

    @property
    def state(self) -> Literal["running", "paused", "blocked"]:
        """The machine's state, for a status."""
        if self._paused or self._debugged:
            return "paused"
        return "blocked" if self._connections.blocked() else "running"

    def pause(self) -> None:
        """The user wants time to stand still."""
        if not self._paused:
            self._paused = True
            self._events.publish("paused")

    def damaged(self, damage: VmmgrError) -> None:
        """What the machine goes on from is not what was saved: time stands still for good."""
        self._damage = damage
        self.pause()

    def unpause(self) -> None:
        """Resume at the user's request.

        Raises HostError while a disk's writes find no room, SnapshotCorruptError once `damaged`.
        """
        if self._damage is not None:
            raise self._damage
        if waiting := self._disks.waiting:
            name, fault = next(iter(waiting.items()))
            raise HostError(
                f'disk "{name}" {fault}', help="free some room, then `vmmgr ctl NAME continue`"
            )
        if self._paused:
            self._paused = False
            self._events.publish("continued")

    def debug(self, held: bool) -> None:
        """Hold or release virtual time for the debugger."""
        self._debugged = held

    def look(self) -> bool:
        """Whether time is held; reports ports that fall too far behind, or catch up."""
        blocked = self._connections.blocked()
        if blocked != self._blocked:
            event = "blocked" if blocked else "unblocked"
            self._events.publish(event, port=blocked or self._blocked)
            self._blocked = blocked
        return self._paused or self._debugged or blocked is not None
