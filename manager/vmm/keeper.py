# SPDX-License-Identifier: BSD-2-Clause
"""What an owner keeps of a run besides running it: the input log, checkpoints, the ready cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manager.errors import HostError, UsageError, WrongStateError
from manager.machine.inputs import Input
from manager.replay import recordings
from manager.replay.digests import joined
from manager.replay.log import Check, Start, read
from manager.replay.recorder import Recorder, header_of
from manager.replay.replay import seconds
from manager.replay.timeline import Checkpoint, Timeline, input_before
from manager.snapshot.store import Store
from manager.state.warm_starts import WarmStarts

if TYPE_CHECKING:
    from manager.machine.expectation import Verdict
    from manager.machine.machine import Machine
    from manager.state.paths import MachinePaths
    from manager.vmm.outcome import Outcome
    from manager.vmm.owner import Owner


@dataclass(frozen=True, slots=True)
class ToCache:
    """Where a machine is to be kept once it is ready."""

    cache: WarmStarts
    key: str


class Keeper:
    """Told by the owner of one machine what happens to it."""

    def __init__(self, owner: Owner, paths: MachinePaths, say: Callable[[str], None]) -> None:
        self._owner = owner
        self._paths = paths
        self._say = say
        self._recorder: Recorder | None = None
        self._begun_with: dict[str, int] = {}
        self.timeline: Timeline | None = None
        self.to_cache: ToCache | None = None
        self.waits_for_ready = False
        """Somebody waits for the machine to get ready, by a timer on its clock."""
        self._ready_detail: str | None = None

    @property
    def recording_fault(self) -> str:
        """Why the input log misses entries, if it does."""
        return self._recorder.log.fault if self._recorder is not None else ""

    # -- beginning and end ----------------------------------------------------------------

    def begin(self, start: Start, base: Path | None = None) -> None:
        """Begin to record, unless the machine file says no; a host that refuses is told of.

        `base` is a snapshot of the machine as it is, if there is one apart from the start.
        """
        settings = self._owner.machine.graph.record
        if not settings.enabled:
            return
        store = Store(self._paths.snapshots)
        self.timeline = Timeline(store, settings.rewind_ns)
        self.timeline.clear()
        if base is not None:
            self.timeline.base = Checkpoint(self._owner.machine.now(), "", base, self._sent())
        try:
            self._begun_with = dict.fromkeys(self._owner.connections.by_id, 0)
            self._record(self._owner.machine, start)
        except HostError as error:
            self._say(f"not recorded: {error.message}")

    def ended(self, outcome: Outcome | None) -> None:
        """The owner stops; without an outcome by a fault of its own."""
        if self._recorder is not None:
            if outcome is not None:
                self._recorder.end(outcome.kind, detail=outcome.detail)
            else:
                self._recorder.detach()
            self._recorder = None
        if self.timeline is not None and outcome is not None and outcome.kind in ("ended", "down"):
            self.timeline.clear()

    def suspended(self, path: Path) -> None:
        """The machine was saved and is over here."""
        if self._recorder is not None:
            self._recorder.end("suspended", recordings.identity_of(path))
            self._recorder = None

    def saved(self, path: Path, tag: str | None) -> None:
        """The machine was saved and goes on."""
        if self._recorder is not None:
            self._recorder.saved(recordings.identity_of(path), tag or "")

    def _record(self, machine: Machine, start: Start) -> None:
        log = recordings.begin(self._paths.recordings, header_of(machine, start))
        if machine.now() > start.at:  # it was not booted, but taken from the ready cache
            log.add(Check(machine.now(), None, joined(machine.records())))
        self._recorder = Recorder(machine, log)

    # -- while it runs --------------------------------------------------------------------

    def turned(self) -> None:
        """Called by the owner between two slices of the guest."""
        if self._ready_detail is not None:
            self._keep_ready(self._ready_detail)
            self._ready_detail = None
        machine = self._owner.machine
        timeline = self.timeline
        if timeline is not None and self._recorder is not None and timeline.due(machine):
            timeline.take(machine, self._sent)
            if timeline.fault:
                self._say(f"no more checkpoints: {timeline.fault}")

    def watch(self) -> None:
        """Nobody waits for the machine to get ready: do so, in order to keep it."""
        from manager.machine.expectation import Expectation, Until
        from manager.text.pattern import compile_pattern
        from manager.text.search import Search

        declared = self._owner.machine.graph.ready
        if declared is None or self.to_cache is None:
            return
        connection = self._owner.connections.find(declared.port)

        def finished(verdict: Verdict) -> None:
            self.waits_for_ready = False
            if verdict.outcome == "matched":
                self.ready(verdict.detail)

        fail_on = Search(compile_pattern(declared.fail_on)) if declared.fail_on else None
        expectation = Expectation(
            self._owner.machine.clock,
            connection,
            [Until(compile_pattern(declared.wait_for))],
            finished=finished,
            fail_on=fail_on,
        )
        self.waits_for_ready = True
        expectation.start()

    def ready(self, detail: str) -> None:
        """The machine is ready; inside its run, so that keeping it has to wait for the turn."""
        self.waits_for_ready = False
        if self.to_cache is not None:
            self._ready_detail = detail
            self._owner.machine.stop()

    def _keep_ready(self, detail: str) -> None:
        """Put the machine into the cache, if nobody has interfered with it."""
        to, self.to_cache = self.to_cache, None
        assert to is not None
        recorder = self._recorder
        if recorder is None or recorder.inputs or self._owner.machine.inputs.last_at is not None:
            return
        connections = self._owner.connections
        connections.pump()
        try:
            ports = {id: connection.so_far() for id, connection in connections.by_id.items()}
            image = self._owner.machine.run_to_image()
            if to.cache.add(to.key, image, ports, detail) is None:
                self._say("the machine is too large for the ready cache")
        except HostError as error:
            self._say(f"not kept in the ready cache: {error.message}")

    def _sent(self) -> dict[str, int]:
        self._owner.connections.pump()
        return {id: connection.sent for id, connection in self._owner.connections.by_id.items()}

    # -- going back -----------------------------------------------------------------------

    def history(self) -> tuple[int, list[Input]] | None:
        """When the present log begins, and the input in it; None where nothing leads back."""
        recorder = self._recorder
        if recorder is None or self.timeline is None or recorder.log.fault or self.waits_for_ready:
            return None
        log = read(recorder.log.path)
        return log.header.start.at, [item for item in log.entries if isinstance(item, Input)]

    def rewind(self, *, back: int | None, to: int | None, inputs: int | None) -> dict[str, Any]:
        """Bring the machine to an earlier virtual time: ns back, ns from power-on, or before an
        input. It goes on from there, on a time line of its own.

        Raises WrongStateError, UsageError, VmmgrError; then the machine is as it was.
        """
        owner = self._owner
        recorder, timeline = self._recorder, self.timeline
        if recorder is None or timeline is None or recorder.log.fault:
            raise WrongStateError(
                "the machine's input is not recorded, so there is no way back",
                help="`[record]` in the machine file turns it on for the next `up`",
            )
        if self.waits_for_ready:
            raise WrongStateError("the machine is not ready yet", help="wait until it is")
        now = owner.machine.now()
        owner.connections.pump()
        log = read(recorder.log.path)
        if inputs is not None:
            to = input_before(log.entries, now, inputs)
        elif back is not None:
            to = max(now - back, 0)
        if to is None or not 0 <= to <= now:
            raise UsageError(f"the machine is at {seconds(now)}; that is not before")
        rewound = timeline.back_to(to, recorder.log.header, log.entries, self._begun_with)
        recorder.end("rewound")
        self._recorder = None
        owner.replace(rewound.machine, rewound.sent)
        header = header_of(
            rewound.machine,
            recorder.log.header.start,
            branch_of=recorder.log.path.name,
            branch_at=to,
        )
        branch = recordings.begin(self._paths.recordings, header)
        for entry in rewound.entries:
            branch.add(entry)
        self._recorder = Recorder(rewound.machine, branch)
        replayed = to - (rewound.start.at if rewound.start is not None else header.start.at)
        return {"from": now, "virtual-time": rewound.machine.now(), "replayed": replayed}
