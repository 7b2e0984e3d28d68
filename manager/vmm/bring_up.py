# SPDX-License-Identifier: BSD-2-Clause
"""Bringing a machine up under this process, and owning it to its end."""

from __future__ import annotations

import selectors
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from manager.errors import VmmgrError
from manager.vmm import readiness
from manager.vmm.enclosing import enclose
from manager.vmm.loop import EventLoop
from manager.vmm.owned import Owned

if TYPE_CHECKING:
    from manager.vmm.boot_source import BootSource
    from manager.vmm.launch import Audience, Launch
    from manager.vmm.outcome import Outcome
    from manager.vmm.running import RunningMachine
    from manager.vmm.timers import HostTimers

ATTENDANCE = 10.0
"""Seconds that a machine waits for the console that it was started with."""


def own(launch: Launch, audience: Audience) -> Outcome:
    """Bring the machine up and own it to its end.

    Raises WrongStateError when another process owns it, SnapshotMismatchError and
    SnapshotCorruptError when it cannot be restored, HostError; then it is as it was before.
    """
    with ExitStack() as stack:  # steps are undone in the opposite order
        selector = stack.enter_context(selectors.DefaultSelector())
        owned = Owned.open(launch, selector, audience, stack)
        running, source = owned.running, owned.source
        paced = launch.graph.clock_mode == "paced"
        loop = EventLoop(running, selector, paced=paced, interrupts=2, say=audience.say)
        owned.check(selector, loop.timers)
        _wait_for_console(launch, running, loop.timers)
        _wait_until_ready(launch, source, running, loop.timers, audience)
        owned.begin()
        running.sandbox = enclose([owned])
        audience.up()
        _tell_of_warm_start(launch, source, running, audience)
        try:
            outcome = loop.run()
        except VmmgrError as error:
            owned.failed(error)
            raise
        owned.conclude(outcome, audience.say)
        return outcome


def _wait_for_console(launch: Launch, running: RunningMachine, timers: HostTimers) -> None:
    def go_on() -> None:
        with suppress(VmmgrError):  # what holds it else says so itself
            running.holds.unpause()

    if launch.attended and not launch.paused:
        timers.after(ATTENDANCE, go_on)


def _wait_until_ready(
    launch: Launch,
    source: BootSource,
    running: RunningMachine,
    timers: HostTimers,
    audience: Audience,
) -> None:
    """Have the machine waited for, if the user does or it is to be kept; it is not running yet."""
    wanted, shelf, declared = launch.readiness, source.shelf, launch.graph.ready
    keep = readiness.keep_when_still(running, shelf, audience.say) if shelf is not None else None
    if wanted is not None and not _was_waited_for(launch, source):
        then = keep if keep is not None and wanted.is_declared_by(launch.graph) else None
        vital = launch.attended or not launch.detached
        readiness.await_ready(running, timers, wanted, audience, then=then, is_vital=vital)
    elif declared is not None and source.is_boot:
        readiness.watch_for_ready(running, declared, keep)


def _was_waited_for(launch: Launch, source: BootSource) -> bool:
    """Whether what the user waits for came before the machine was kept as a warm start."""
    wanted = launch.readiness
    return source.warm_start is not None and (
        wanted is not None and wanted.is_declared_by(launch.graph)
    )


def _tell_of_warm_start(
    launch: Launch, source: BootSource, running: RunningMachine, audience: Audience
) -> None:
    if source.warm_start is None:
        return
    detail = f"taken from the ready cache, not booted: {source.warm_start.detail}"
    running.waiting.got_ready(detail)
    if _was_waited_for(launch, source):
        audience.ready(detail)
    else:
        audience.say(f"{launch.graph.name} was {detail}")
