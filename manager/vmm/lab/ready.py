# SPDX-License-Identifier: BSD-2-Clause
"""Waiting until all machines of a lab are ready that say when they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from manager.vmm.launch import Readiness
from manager.vmm.readiness import await_ready, watch_for_ready

if TYPE_CHECKING:
    from manager.vmm.lab.member import Member
    from manager.vmm.launch import Audience
    from manager.vmm.timers import HostTimers


class _All:
    """Tells the lab's audience once: when the last machine is ready, or the first that is not."""

    def __init__(self, audience: Audience, names: Iterable[str]) -> None:
        self.audience = audience
        self._details: dict[str, str] = {}
        self._waited_for = set(names)

    def ready(self, name: str, detail: str) -> None:
        """One is."""
        self._details[name] = detail
        if self._details.keys() == self._waited_for:
            told = (f"{name}: {detail}" for name, detail in sorted(self._details.items()))
            self.audience.ready("; ".join(told))

    def unready(self, name: str, status: int, detail: str) -> None:
        """One is not."""
        if self._waited_for:
            self._waited_for.clear()
            self.audience.unready(status, f"{name}: {detail}")


class _One:
    """manager.vmm.launch.Audience for one machine."""

    def __init__(self, all: _All, name: str) -> None:
        self._all = all
        self._name = name

    def up(self) -> None:
        """The lab says so."""

    def output(self, data: bytes) -> None:
        """Of several machines at a time nothing is shown."""

    def ready(self, detail: str) -> None:
        """One is."""
        self._all.ready(self._name, detail)

    def unready(self, status: int, detail: str) -> None:
        """One is not."""
        self._all.unready(self._name, status, detail)

    def say(self, text: str) -> None:
        """Anything else."""
        self._all.audience.say(f"{self._name}: {text}")


def await_all(members: Iterable[Member], timers: HostTimers, audience: Audience) -> None:
    """Begin to wait; the audience hears the verdict. None of them runs yet."""
    waited_for = {
        member: Readiness.declared(ready)
        for member in members
        if (ready := member.running.machine.graph.ready) is not None
    }
    all = _All(audience, (member.name for member in waited_for))
    for member, readiness in waited_for.items():
        await_ready(member.running, timers, readiness, _One(all, member.name))


def watch_all(members: Iterable[Member]) -> None:
    """Begin to wait for the status only."""
    for member in members:
        if (ready := member.running.machine.graph.ready) is not None:
            watch_for_ready(member.running, ready, None)
