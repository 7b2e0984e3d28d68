# SPDX-License-Identifier: BSD-2-Clause
"""A running lab, as its process owns it: what clients do with it, its states and its end.

How its time passes is in manager.lab.rounds, and the way back in manager.vmm.lab.rewind.
Long because a machine's end, a state of all and the lab's own end decide about each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from manager.errors import ExitCode, VmmgrError, WrongStateError
from manager.graph.lab_plain import to_plain
from manager.lab.rounds import Rounds
from manager.lab.saved import LabRecord, Over, last_word
from manager.snapshot.store import Store
from manager.state.lab import commit
from manager.vmm.events import Events
from manager.vmm.lab.rewind import LabTimeline, exchange_of, require_ways_back, wanted_time
from manager.vmm.outcome import Kind, Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from manager.graph.lab import Lab
    from manager.lab.saved import LabSnapshot
    from manager.lab.wires import Wires
    from manager.sandbox.layers import Layer
    from manager.state.directory import MachineDirectory
    from manager.vmm.lab.member import Member
    from manager.vmm.running import OnTerm

PATIENCE = 20_000_000
"""Host ns for which the event loop waits for rounds of quanta, whatever the guests do."""


class RunningLab:
    """A lab until its end: manager.vmm.runs.Runs.

    A machine that is over leaves the others running; one that is paused, or held by a debugger,
    holds all of them, for time is one. The lab is over when all its machines are.
    """

    called = "the lab"

    def __init__(  # noqa: PLR0913  the parts of a running lab, each handed in once
        self,
        lab: Lab,
        identity: str,
        members: Mapping[str, Member],
        wires: Wires,
        directory: MachineDirectory,
        *,
        paused: bool = False,
        on_term: OnTerm = "down",
        begun: LabSnapshot | None = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.lab = lab
        self.wires = wires
        self.events = Events(self.now)
        self.started = time.monotonic()
        self.sandbox: tuple[Layer, ...] = ()
        """What this process gave up of the host."""
        self._identity = identity
        self._rounds = Rounds(lab, members, wires, begun.record.now if begun is not None else 0)
        self.step = self._rounds.step
        self._timeline = LabTimeline(lab, directory.paths, members, begun)
        self.over = dict(begun.record.over) if begun is not None else {}
        """Those that came to their end."""
        self._directory = directory
        self._paused = paused
        self._on_term = on_term
        self._say = say
        self._outcome: Outcome | None = None
        self.rewinds = 0

    @property
    def members(self) -> dict[str, Member]:
        """Those that run."""
        return self._rounds.players

    # -- how its time passes ------------------------------------------------------------------

    def now(self) -> int:
        """The end of the last quantum, in ns of virtual time; no machine is behind it."""
        return self._rounds.now

    def idle_until(self) -> int | None:
        """None: busy; else the end of the quantum in which something happens again, or NEVER."""
        return self._rounds.idle_until()

    def is_held(self) -> bool:
        """Whether any machine holds the time of all, or the user does."""
        held = [member.running.is_held() for member in self.members.values()]  # each tells of it
        return self._paused or any(held)

    def run_to(self, until: int) -> None:
        """Let quanta pass that end by then; returns early when the event loop is due."""
        give_up = time.monotonic_ns() + PATIENCE
        last = until // self.step * self.step
        rounds = self._rounds
        while self._outcome is None and time.monotonic_ns() < give_up:
            if rounds.end is None and not rounds.begin(last):
                break
            if not rounds.turn():
                break
            self._part_with_ended()

    def rest(self) -> None:
        """Between two slices: pass on what was sent."""
        for member in self.members.values():
            member.running.rest()
        self._part_with_ended()
        timeline, members = self._timeline, self.members
        if self._rounds.end is None and self._outcome is None and timeline.due(self.now(), members):
            timeline.take(self.now(), members, lambda tag: self._save(tag, goes_on=True)[0])
            if timeline.fault:
                self._say(f"no more checkpoints: {timeline.fault}")

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
        self._finish_quantum()
        for member in self.members.values():
            member.running.restored.require_sound()
            member.running.connections.pump()
        # A state has no input on its way. It has to arrive as it would have without a suspend.
        while any(
            member.running.machine.inputs.last_at is not None for member in self.members.values()
        ):
            self._rounds.begin(self._rounds.now + self.step)
            self._finish_quantum()
        images = {
            name: member.running.machine.run_to_image() for name, member in self.members.items()
        }
        wires, config = self.wires.state(), to_plain(self.lab)
        record = LabRecord(self.now(), self._identity, wires, self.over, config)
        self.wires.flush()
        return commit(self._directory.paths, record, images, tag, goes_on=goes_on)

    def rewind(self, *, back: int | None, to: int | None) -> dict[str, Any]:
        """Bring all of it to an earlier virtual time: ns back, or ns from power-on.

        It goes on from there, from the end of a quantum. Raises WrongStateError, UsageError,
        VmmgrError; then the lab is as it was.
        """
        self.refuse_if_ending()
        require_ways_back(self.members)
        began = time.monotonic()
        self._finish_quantum()
        for member in self.members.values():
            member.running.restored.require_sound()
            member.running.connections.pump()
        before = self.now()
        rewound = self._timeline.back_to(wanted_time(before, self.step, back, to), self.members)
        exchange = exchange_of(self.members, rewound)
        try:
            exchange()
        except VmmgrError as error:  # some are at another time than others
            self.finish(Outcome("fault", ExitCode.FAILURE, f"half rewound: {error.message}"))
            raise
        rewound.wires.take_captures(self.wires)
        self.wires = rewound.wires
        self._rounds = Rounds(self.lab, self.members, rewound.wires, rewound.at)
        self.rewinds += 1
        self._timeline.went_back(rewound)
        result = {
            "from": before,
            "virtual-time": self.now(),
            "replayed": rewound.replayed,
            "seconds": round(time.monotonic() - began, 6),
        }
        self.events.publish("rewound", **result)
        return result

    def _finish_quantum(self) -> None:
        """Come to the end of the one that has begun, whatever holds machines.

        Raises WrongStateError when the last of them ends in it.
        """
        end = self._rounds.end
        if end is not None:
            for member in self.members.values():
                member.finish_quantum(end)
            self._rounds.come_to_end()
            self._part_with_ended()
            self.refuse_if_ending()

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
        if self._outcome.kind in ("ended", "down"):
            self._timeline.clear()

    def _part_with_ended(self) -> None:
        """Let go of machines that are over. The last one's end is the lab's."""
        for member in tuple(self.members.values()):
            if member.running.outcome is not None and self._outcome is None:
                self._part_with(member)
        if not self.members:
            end = last_word(self.over)
            kind: Kind = "fault" if end.kind == "fault" else "ended"
            self.finish(Outcome(kind, end.status, end.detail))

    def _part_with(self, member: Member) -> None:
        running = member.running
        running.wind_up()
        running.waiting.over()
        outcome = running.outcome
        assert outcome is not None
        member.owned.conclude(outcome, self._say)
        self._rounds.leave(member.name)
        self._timeline.machine_left(member.name, self.now(), running.recorder.log_path)
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


def _size(directory: Path) -> int:
    return sum(entry.lstat().st_blocks * 512 for entry in directory.iterdir())
