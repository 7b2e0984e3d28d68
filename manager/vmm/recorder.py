# SPDX-License-Identifier: BSD-2-Clause
"""The record of a run while it lasts: the input log, checkpoints, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from manager.errors import HostError, UsageError, WrongStateError
from manager.machine.inputs import Input
from manager.replay import recordings
from manager.replay.checkpoints import Checkpoint, work_of
from manager.replay.checks import seconds
from manager.replay.digests import joined
from manager.replay.entries import Check, Start
from manager.replay.log import Writer, read
from manager.replay.recorder import Recorder, header_of
from manager.replay.timeline import Rewound, Timeline, input_before
from manager.snapshot.store import Store

if TYPE_CHECKING:
    from manager.machine.machine import Machine
    from manager.state.paths import MachinePaths
    from manager.vmm.connections import SerialConnections
    from manager.vmm.outcome import Outcome

GoOnWith = Callable[[Rewound], None]
"""Puts an earlier self of the machine in its place."""


class RunRecorder:
    """Records what happens to one machine, from `begin` until one of the ends."""

    def __init__(
        self,
        connections: SerialConnections,
        paths: MachinePaths,
        say: Callable[[str], None],
        *,
        together: str = "",
    ) -> None:
        self._connections = connections
        self._paths = paths
        self._say = say
        self._together = together
        self._recorder: Recorder | None = None
        self._timeline: Timeline | None = None
        self.begun_with: dict[str, int] = {}
        """How many bytes each port had sent when the log began."""

    @property
    def inputs(self) -> int | None:
        """Pieces of input so far; None when nothing is recorded."""
        return self._recorder.inputs if self._recorder is not None else None

    @property
    def log_path(self) -> Path | None:
        """The present log; None when nothing is recorded."""
        return self._recorder.log.path if self._recorder is not None else None

    @property
    def recording_fault(self) -> str:
        """Why the input log misses entries, if it does."""
        return self._recorder.log.fault if self._recorder is not None else ""

    @property
    def checkpoints_fault(self) -> str:
        """Why there are no more checkpoints, if there are none."""
        return self._timeline.fault if self._timeline is not None else ""

    # -- beginning and end ----------------------------------------------------------------

    def begin(self, machine: Machine, start: Start, base: Path | None = None) -> None:
        """Begin to record, unless the machine file says no; a failure of the host is reported.

        `base` is a snapshot of the machine as it is, if there is one apart from the start.
        """
        settings = machine.graph.record
        if not settings.enabled:
            return
        reach = settings.rewind_ns if self._paths.lab is None else 0  # a lab goes back as one
        self._timeline = Timeline(Store(self._paths.snapshots), reach)
        self._timeline.clear()
        if base is not None:
            self._timeline.base = Checkpoint(machine.now(), "", base, self.sent())
        try:
            self.begun_with = dict.fromkeys(self._connections.by_id, 0)
            header = header_of(machine, start, together=self._together)
            log = recordings.begin(self._paths.recordings, header)
            if machine.now() > start.at:  # it was not booted, but is a warm start
                log.add(Check(machine.now(), None, joined(machine.records())))
            self._recorder = Recorder(machine, log)
        except HostError as error:
            self._say(f"not recorded: {error.message}")

    def ended(self, outcome: Outcome | None) -> None:
        """The machine is over; without an outcome by a fault of this process."""
        if self._recorder is not None:
            if outcome is not None:
                self._recorder.end(outcome.kind, detail=outcome.detail)
            else:
                self._recorder.detach()
            self._recorder = None
        if self._timeline is not None and outcome is not None and outcome.kind in ("ended", "down"):
            self._timeline.clear()

    def suspended(self, path: Path) -> None:
        """The machine was saved and is over here."""
        if self._recorder is not None:
            self._recorder.end("suspended", recordings.identity_of(path))
            self._recorder = None

    def saved(self, path: Path, tag: str | None) -> None:
        """The machine was saved and goes on."""
        if self._recorder is not None:
            self._recorder.saved(recordings.identity_of(path), tag or "")

    def between_slices(self) -> None:
        """The machine is at rest: take a checkpoint if one is due."""
        recorder, timeline = self._recorder, self._timeline
        if recorder is not None and timeline is not None and timeline.due(recorder.machine):
            timeline.take(recorder.machine, self.sent)
            if timeline.fault:
                self._say(f"no more checkpoints: {timeline.fault}")

    def sent(self) -> dict[str, int]:
        """How many bytes each port has sent since this process owns the machine."""
        self._connections.pump()
        return {id: connection.sent for id, connection in self._connections.by_id.items()}

    # -- going back -----------------------------------------------------------------------

    def history(self) -> tuple[int, list[Input]] | None:
        """When the present log begins, and the input in it; None where nothing leads back."""
        recorder = self._recorder
        if recorder is None or self._timeline is None or recorder.log.fault:
            return None
        log = read(recorder.log.path)
        return log.header.start.at, [item for item in log.entries if isinstance(item, Input)]

    def require_way_back(self) -> tuple[Recorder, Timeline]:
        """What leads back. Raises WrongStateError."""
        recorder, timeline = self._recorder, self._timeline
        if recorder is None or timeline is None or recorder.log.fault:
            raise WrongStateError(
                "the machine's input is not recorded, so there is no way back",
                help="`[record]` in the machine file turns it on for the next `up`",
            )
        return recorder, timeline

    def rewind(
        self, *, back: int | None, to: int | None, inputs: int | None, go_on_with: GoOnWith
    ) -> Rewound:
        """Bring the machine to an earlier virtual time: ns back, ns from power-on, or before an
        input. It goes on from there, on a time line of its own.

        Raises WrongStateError, UsageError, VmmgrError; then the machine is as it was.
        """
        recorder, timeline = self.require_way_back()
        now = recorder.machine.now()
        log = read(recorder.log.path)
        if inputs is not None:
            to = input_before(log.entries, now, inputs)
        elif back is not None:
            to = max(now - back, 0)
        if to is None or not 0 <= to <= now:
            raise UsageError(f"the machine is at {seconds(now)}; that is not before")
        rewound = timeline.back_to(to, recorder.log.header, log.entries, self.begun_with)
        try:
            branch = self.branch(rewound, to)
        except BaseException:
            rewound.machine.close()
            raise
        self.go_on(rewound, branch, go_on_with)
        timeline.went_back(to, work_of(rewound.machine))
        return rewound

    def branch(self, rewound: Rewound, at: int, together: str = "") -> Writer:
        """A new log for an earlier self, that leaves the present one at `at`.

        What happens is recorded there from `go_on` on. Raises HostError.
        """
        recorder, _ = self.require_way_back()
        header = header_of(
            rewound.machine,
            recorder.log.header.start,
            branch_of=recorder.log.path.name,
            branch_at=at,
            together=together,
        )
        branch = recordings.begin(self._paths.recordings, header)
        for entry in rewound.entries:
            branch.add(entry)
        return branch

    def go_on(self, rewound: Rewound, branch: Writer, go_on_with: GoOnWith) -> None:
        """Record in `branch`, once the earlier self has its place. Raises what that raises."""
        recorder, _ = self.require_way_back()
        recorder.end("rewound")
        self._recorder = None
        go_on_with(rewound)
        self._recorder = Recorder(rewound.machine, branch)
