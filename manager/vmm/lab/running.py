# SPDX-License-Identifier: BSD-2-Clause
"""A running lab: its machines run a quantum each, in the order of the file, and then the next.

All of it is a function of the lab's files and of the input: the quanta lie at multiples of their
length, and a time in which no machine and no wire does anything is left out in whole quanta.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from manager.bus.record import NEVER
from manager.errors import VmmgrError, WrongStateError
from manager.graph.lab import quantum
from manager.snapshot.store import Store
from manager.state.lab import LabRecord, Over, commit
from manager.vmm.events import Events
from manager.vmm.outcome import Kind, Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from manager.graph.lab import Lab
    from manager.sandbox.layers import Layer
    from manager.state.directory import MachineDirectory
    from manager.vmm.lab.member import Member
    from manager.vmm.lab.wires import Wires
    from manager.vmm.running import OnTerm

PATIENCE = 20_000_000
"""Host ns for which the event loop waits for rounds of quanta, whatever the guests do."""


class RunningLab:
    """A lab until its end: manager.vmm.runs.Runs.

    A machine that is over leaves the others running; one that is paused, or held by a debugger,
    holds all of them, for time is one. The lab is over when all its machines are.
    """

    called = "the lab"
    rewinds = 0

    def __init__(  # noqa: PLR0913  the parts of a running lab, each handed in once
        self,
        lab: Lab,
        identity: str,
        members: Mapping[str, Member],
        wires: Wires,
        directory: MachineDirectory,
        *,
        now: int = 0,
        over: Mapping[str, Over] | None = None,
        paused: bool = False,
        on_term: OnTerm = "down",
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.lab = lab
        self.step = quantum(lab)
        self.wires = wires
        self.events = Events(self.now)
        self.started = time.monotonic()
        self.sandbox: tuple[Layer, ...] = ()
        """What this process gave up of the host."""
        self._identity = identity
        self.members = dict(members)
        """Those that run."""
        self.over = dict(over or {})
        """Those that came to their end."""
        self._directory = directory
        self._paused = paused
        self._on_term = on_term
        self._say = say
        self._now = now
        self._end: int | None = None
        """Where the quantum ends that has begun; None between two."""
        self._outcome: Outcome | None = None

    # -- how its time passes ------------------------------------------------------------------

    def now(self) -> int:
        """The end of the last quantum, in ns of virtual time; no machine is behind it."""
        return self._now

    def idle_until(self) -> int | None:
        """None: busy; else the end of the quantum in which something happens again, or NEVER."""
        if self._end is not None:
            return None
        first = self.wires.next_due
        for member in self.members.values():
            deadline = member.running.idle_until()
            if deadline is None:
                return None
            first = min(first, deadline)
        if first == NEVER:
            return NEVER
        return (max(first, self._now) // self.step + 1) * self.step

    def is_held(self) -> bool:
        """Whether any machine holds the time of all, or the user does."""
        held = [member.running.is_held() for member in self.members.values()]  # each tells of it
        return self._paused or any(held)

    def run_to(self, until: int) -> None:
        """Let quanta pass that end by then; returns early when the event loop is due."""
        give_up = time.monotonic_ns() + PATIENCE
        last = until // self.step * self.step
        while self._outcome is None and time.monotonic_ns() < give_up:
            if self._end is None and not self._begin_quantum(last):
                break
            if not self._run_quantum():
                break

    def _begin_quantum(self, last: int) -> bool:
        """Begin the next quantum in which anything happens, unless `last` ends before it begins."""
        idle = self.idle_until()
        end = min(self._now + self.step if idle is None else idle, last)
        if end <= self._now:
            return False
        self.wires.deliver(end)
        self._end = end
        return True

    def _run_quantum(self) -> bool:
        """Whether all machines have come to its end; one that is held keeps it from coming."""
        assert self._end is not None
        for member in self.members.values():
            if not member.run_to(self._end):
                return False
        self._come_to_end()
        return True

    def _come_to_end(self) -> None:
        """A quantum is over."""
        assert self._end is not None
        self._now, self._end = self._end, None
        self.wires.collect()
        self._part_with_ended()

    def rest(self) -> None:
        """Between two slices: pass on what was sent."""
        for member in self.members.values():
            member.running.rest()
        self._part_with_ended()

    def poll(self) -> None:
        """Let backends and peers do what is due by the host's time; once a second is enough."""
        for member in self.members.values():
            member.running.poll()
        self.wires.flush()

    # -- its states ---------------------------------------------------------------------------

    def suspend(self) -> dict[str, Any]:
        """Save all machines and wires as one, and end; a failure leaves them running.

        Raises VmmgrError.
        """
        self.refuse_if_ending()
        began = time.monotonic()
        try:
            with self._directory.suspending():
                path, saved = self._save("current")
        except VmmgrError as error:
            self.events.publish("suspend-failed", message=error.message)
            raise
        seconds = time.monotonic() - began
        for name, member in self.members.items():
            member.running.saved(saved[name], seconds)
            member.owned.directory.set_suspended()
        self.finish(Outcome("suspended", detail=str(path)))
        size = sum(_size(directory) for directory in (path, *saved.values()))
        result = {"snapshot": str(path), "size": size, "seconds": round(seconds, 6)}
        self.events.publish("suspended", **result)
        return result

    def save_snapshot(self, tag: str | None) -> dict[str, Any]:
        """Take a snapshot of all of it as one, and run on. Raises VmmgrError."""
        self.refuse_if_ending()
        began = time.monotonic()
        tag = tag or Store(self._directory.paths.snapshots).free_tag()
        path, saved = self._save(tag, goes_on=True)
        for name, part in saved.items():
            self.members[name].running.kept(part, tag)
        self.events.publish("snapshot-saved", snapshot=str(path), tag=tag)
        seconds = round(time.monotonic() - began, 6)
        return {"snapshot": str(path), "tag": tag, "seconds": seconds}

    def _save(self, tag: str, *, goes_on: bool = False) -> tuple[Path, dict[str, Path]]:
        if self._end is not None:
            for member in self.members.values():
                member.finish_quantum(self._end)
            self._come_to_end()
            self.refuse_if_ending()
        for member in self.members.values():
            member.running.restored.require_sound()
            member.running.connections.pump()
        images = {
            name: member.running.machine.run_to_image() for name, member in self.members.items()
        }
        record = LabRecord(self._now, self._identity, self.wires.state(), self.over)
        self.wires.flush()
        return commit(self._directory.paths, record, images, tag, goes_on=goes_on)

    # -- its end ------------------------------------------------------------------------------

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, or will at the next chance; None while it goes on."""
        return self._outcome

    def finish(self, outcome: Outcome) -> None:
        """End at the next chance; the first reason given counts."""
        self._outcome = self._outcome or outcome

    def power_off(self) -> None:
        """Pull all plugs."""
        self.refuse_if_ending()
        self.finish(Outcome("down"))

    def quit(self) -> None:
        """End the process and leave the last suspended state as it is."""
        self.refuse_if_ending()
        self.finish(Outcome("quit"))

    def stop_as_told(self) -> None:
        """What SIGTERM does. Raises VmmgrError when the lab cannot be saved."""
        if self._on_term == "suspend":
            self.suspend()
        else:
            self.power_off()

    def refuse_if_ending(self) -> None:
        """Raise WrongStateError when the lab is about to end."""
        if self._outcome is not None:
            raise WrongStateError("the lab is ending")

    def pause(self) -> None:
        """The user wants time to stand still."""
        if not self._paused:
            self._paused = True
            self.events.publish("paused")

    def unpause(self) -> None:
        """Resume at the user's request; what a machine is held by still holds it."""
        if self._paused:
            self._paused = False
            self.events.publish("continued")

    def wind_up(self) -> None:
        """The lab is over: so are all its machines."""
        assert self._outcome is not None
        for member in tuple(self.members.values()):
            member.running.finish(self._outcome)
            self._part_with(member)

    def _part_with_ended(self) -> None:
        """Let go of machines that are over. The last one's end is the lab's."""
        for member in tuple(self.members.values()):
            if member.running.outcome is not None and self._outcome is None:
                self._part_with(member)
        if not self.members:
            self.finish(self._end_of_all())

    def _part_with(self, member: Member) -> None:
        running = member.running
        running.wind_up()
        outcome = running.outcome
        assert outcome is not None
        member.owned.conclude(outcome, self._say)
        del self.members[member.name]
        self.wires.power_off(member.name)
        if self._outcome is None:
            self.over[member.name] = Over(outcome.kind, int(outcome.status), outcome.detail)
            self._say(f"{running.machine.graph.name}: {outcome.detail or outcome.kind}")
            self.events.publish(
                "machine-ended",
                name=running.machine.graph.name,
                kind=outcome.kind,
                status=int(outcome.status),
                detail=outcome.detail,
            )
        member.stack.close()

    def _end_of_all(self) -> Outcome:
        """What the first end says that was not as it should be, or the last one."""
        name, last = next(
            ((name, over) for name, over in self.over.items() if over.status),
            tuple(self.over.items())[-1],
        )
        faulted = any(over.kind == "fault" for over in self.over.values())
        kind: Kind = "fault" if faulted else "ended"
        return Outcome(kind, last.status, f"{name}: {last.detail}")


def _size(directory: Path) -> int:
    return sum(entry.lstat().st_blocks * 512 for entry in directory.iterdir())
