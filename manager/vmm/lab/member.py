# SPDX-License-Identifier: BSD-2-Clause
"""A machine of a lab. It is a machine like any other, but its time and its state are the lab's."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from manager.errors import WrongStateError
from manager.lazy import dataclass
from manager.state.paths import require_no_lab
from manager.vmm.outcome import Outcome
from manager.vmm.running import RunningMachine

if TYPE_CHECKING:
    from manager.replay.log import Writer
    from manager.replay.timeline import Rewound
    from manager.vmm.owned import Owned
    from manager.vmm.recorder import RunRecorder


class MemberMachine(RunningMachine):
    """Refuses what is done to a lab as one."""

    def suspend(self) -> NoReturn:
        """Not alone."""
        self._refuse("suspend")

    def save_snapshot(self, tag: str | None) -> NoReturn:
        """Not alone."""
        self._refuse("snapshot save")

    def rewind(self, *, back: int | None, to: int | None, inputs: int | None) -> NoReturn:
        """Not alone."""
        if inputs is not None:
            raise WrongStateError(
                f"{self.machine.graph.name} is part of a lab, whose last input may have been "
                "another machine's",
                help="`vmmgr rewind LAB TIME` takes all of the lab back",
            )
        self._refuse("rewind")

    @property
    def recorder(self) -> RunRecorder:
        """What records it, if anything is recorded."""
        assert self._recorder is not None
        return self._recorder

    def require_way_back(self) -> None:
        """Raise WrongStateError unless the lab can go back, as far as this machine goes."""
        self.recorder.require_way_back()
        if self.waiting.is_on:
            raise WrongStateError("the machine is not ready yet", help="wait until it is")

    def go_back(self, rewound: Rewound, branch: Writer) -> None:
        """The lab went back: go on with this earlier self. Raises VmmgrError."""
        before = self.now()
        self.recorder.go_on(rewound, branch, self._replace)
        self.networks.cut()
        at = {"from": before, "virtual-time": self.now()}
        self.events.publish("rewound", **at, replayed=0, seconds=0.0)

    def quit(self) -> NoReturn:
        """Not alone: the process is the lab's."""
        self._refuse("ctl NAME quit")

    def saved(self, path: Path, seconds: float) -> None:
        """The lab was saved, with this machine's state at `path`, and ends here."""
        if self._recorder is not None:
            self._recorder.suspended(path)
        self.finish(Outcome("suspended", detail=str(path)))
        self.events.publish("suspended", snapshot=str(path), size=0, seconds=round(seconds, 6))

    def kept(self, path: Path, tag: str) -> None:
        """The lab was saved with this machine's state at `path`, and goes on."""
        if self._recorder is not None:
            self._recorder.saved(path, tag)

    def _refuse(self, verb: str) -> NoReturn:
        assert self._directory is not None
        require_no_lab(self._directory.paths, verb)
        raise AssertionError(self._directory.paths.name)


@dataclass(frozen=True, slots=True)
class Member:
    """A machine of a lab that runs, and what ends with it: manager.lab.rounds.Player."""

    name: str
    owned: Owned
    running: MemberMachine
    stack: ExitStack

    def idle_until(self) -> int | None:
        """None: busy; else the time of its next event, or NEVER."""
        return self.running.idle_until()

    def run_to(self, until: int) -> bool:
        """Run until then, or to its end; False when it is held before that."""
        running = self.running
        while running.outcome is None and running.now() < until:
            if running.is_held():
                return False
            running.run_to(until)
        return True

    def finish_quantum(self, until: int) -> None:
        """The same whatever holds it: a debugger sees nothing of it."""
        running = self.running
        with running.machine.engine.undebugged():
            while running.outcome is None and running.now() < until:
                running.run_to(until)
