# SPDX-License-Identifier: BSD-2-Clause
"""Whether the state that a machine goes on from is what was saved: found out while it runs."""

from __future__ import annotations

import os
import selectors
from collections.abc import Callable
from typing import TYPE_CHECKING

from manager.errors import ExitCode, SnapshotCorruptError, VmmgrError
from manager.lazy import dataclass
from manager.vmm.timers import HostTimers

if TYPE_CHECKING:
    from manager.machine.machine import Machine
    from manager.replay.checkpoints import Checkpoint
    from manager.snapshot.background_check import BackgroundCheck
    from manager.snapshot.read import Snapshot
    from manager.vmm.events import Events
    from manager.vmm.holds import Holds

HEAD_START = 0.1
"""Seconds that the guest has the host for itself; then it is known what it touches first."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a machine was restored from, for the user."""

    what: str
    """How a sentence about it begins."""
    help: str
    """What to do when it is damaged."""
    on_damage: Callable[[], object] = lambda: None


class RestoredState:
    """Has RAM compared with its hashes in the background. What is damaged holds the machine.

    Until all has been compared, nothing may be saved: a page that came in wrong would be saved
    with a hash that is right.
    """

    def __init__(self, holds: Holds, events: Events, say: Callable[[str], None]) -> None:
        self._holds = holds
        self._events = events
        self._say = say
        self._origin = Origin("", "")
        self._check: BackgroundCheck | None = None
        self._damage: SnapshotCorruptError | None = None
        self._timers = HostTimers()
        self._selector: selectors.BaseSelector | None = None
        self._over = -1

    def connect(self, selector: selectors.BaseSelector, timers: HostTimers) -> None:
        """Let the event loop hear when a check is over."""
        self._timers, self._selector = timers, selector
        self._over = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        selector.register(self._over, selectors.EVENT_READ, self._heard)

    def begin(self, snapshot: Snapshot, machine: Machine, origin: Origin) -> None:
        """Compare the RAM of `snapshot`, which `machine` runs on; the event loop is connected."""
        from manager.snapshot.background_check import BackgroundCheck

        self._drop()
        self._origin = origin
        memory = [region.memory for region in machine.memory.everything]
        try:
            check = self._check = BackgroundCheck(snapshot, memory)
        except VmmgrError as error:
            self._settle(error)
            return

        def start() -> None:
            if check is self._check:
                check.start(lambda: os.eventfd_write(self._over, 1))

        self._timers.after(HEAD_START, start)

    def begin_at_checkpoint(self, start: Checkpoint | None, machine: Machine) -> None:
        """The same for a machine that went back, if by one. Raises SnapshotCorruptError."""
        from manager.snapshot.read import open_snapshot

        if start is None:
            return
        name = machine.graph.name
        what = f"the checkpoint that {name} went back to"
        self.begin(open_snapshot(start.path), machine, Origin(what, f"`vmmgr down {name}` ends it"))

    @property
    def damage(self) -> str | None:
        """What is wrong with it, as far as is known."""
        return self._damage.message if self._damage is not None else None

    @property
    def status(self) -> ExitCode:
        """The exit code of a machine that is ended and leaves the state as it is."""
        return ExitCode.OK if self._damage is None else self._damage.exit_code

    @property
    def is_sound(self) -> bool:
        """Whether all was compared, and nothing is wrong."""
        return self._check is None and self._damage is None

    def require_sound(self) -> None:
        """Compare the rest now. Raises SnapshotCorruptError."""
        self.finish()
        if self._damage is not None:
            raise self._damage

    def finish(self) -> str | None:
        """Compare the rest now; what is wrong, if anything."""
        if self._check is not None:
            self._settle(self._check.finish())
        return self.damage

    def close(self) -> None:
        """Compare no more."""
        self._drop()
        if self._selector is not None:
            self._selector.unregister(self._over)
            os.close(self._over)
            self._selector = None

    def _heard(self, _events: int) -> None:
        os.eventfd_read(self._over)
        if self._check is not None and self._check.is_over:
            self._settle(self._check.fault)

    def _settle(self, fault: VmmgrError | None) -> None:
        self._drop()
        if fault is None:
            return
        origin = self._origin
        text = f"{origin.what} is damaged: {fault.message}"
        self._damage = SnapshotCorruptError(text, help=origin.help)
        self._holds.damaged(self._damage)
        self._say(text)
        self._events.publish("damaged", message=text)
        origin.on_damage()

    def _drop(self) -> None:
        if self._check is not None:
            self._check.close()
            self._check = None
