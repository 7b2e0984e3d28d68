# SPDX-License-Identifier: BSD-2-Clause
"""What a machine is doing, as its directory shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from manager import files
from manager.errors import NoSuchMachineError, WrongStateError
from manager.lazy import dataclass
from manager.state.last_run import LastRun, read_last_run
from manager.state.lock import is_locked
from manager.state.paths import MachinePaths, machine_names
from manager.state.saved import Saved, find_saved

State = Literal["running", "suspended", "stopped", "crashed"]


@dataclass(frozen=True, slots=True)
class Situation:
    """What a machine is doing, found by looking, never from a cache."""

    paths: MachinePaths
    state: State
    last_run: LastRun | None
    saved: Saved | None
    """The last suspended state."""

    @property
    def name(self) -> str:
        """The machine's name."""
        return self.paths.name

    @property
    def is_known(self) -> bool:
        """Whether there is a record of a run, or anything saved."""
        return self.last_run is not None or self.paths.snapshots.is_dir()

    @property
    def note(self) -> str:
        """What the bare state does not say, or an empty string."""
        if self.state != "crashed":
            return ""
        cause = (
            self.last_run.fault if self.last_run and self.last_run.fault else "its process is gone"
        )
        return f"{cause}; last suspended state kept" if self.saved else cause

    def is_of(self, file: Path) -> bool:
        """Whether the last run was of this machine file; one whose own is gone may be of any."""
        if self.last_run is None:
            return True
        own = Path(self.last_run.file)
        return not own.exists() or files.is_same(own, file) or own.samefile(file)

    def require_of(self, file: Path) -> None:
        """Raises WrongStateError when the name is another machine file's."""
        if not self.is_of(file):
            assert self.last_run is not None
            raise WrongStateError(
                f"{file}: the name {self.name} is taken by the machine of {self.last_run.file}, "
                f"which is {self.state}",
                help='give this one another name: `name = "..."` in the file, or `--set name=...`; '
                f"or be done with the other: `vmmgr rm {self.name}`",
            )

    @property
    def holds_something(self) -> bool:
        """Whether there is more to lose than the logs of a run that ended in order."""
        stores = (paths.snapshots for paths in (self.paths, *self.paths.members()))
        return self.state != "stopped" or any(
            entry.is_symlink() for store in stores if store.is_dir() for entry in store.iterdir()
        )

    def require_saved(self) -> Saved:
        """The suspended state to resume from. Raises WrongStateError."""
        if self.saved is None or self.state == "running":
            raise WrongStateError(
                f"{self.name} is {self.state}; there is no suspended state to resume",
                help="boot it with `vmmgr up FILE`" if self.state != "running" else None,
            )
        return self.saved


def look(paths: MachinePaths) -> Situation:
    """Find out what the machine is doing: lock first, then its last run and its saved state."""
    locked = is_locked(paths.lock)
    found = left_behind(paths)
    if locked:
        return replace(found, state="running")
    if (lab := paths.lab) is not None and found.state == "suspended" and is_locked(lab.lock):
        return replace(found, state="stopped")  # it is over, and its lab goes on
    return found


def left_behind(paths: MachinePaths) -> Situation:
    """What the process left that owned the machine, which none does now."""
    last_run = read_last_run(paths.last_run)
    saved = find_saved(paths)
    if last_run is not None and last_run.is_open and not _is_saved_with_lab(paths, saved):
        state: State = "crashed"
    else:
        state = "suspended" if saved is not None else "stopped"
    return Situation(paths, state, last_run, saved)


def _is_saved_with_lab(paths: MachinePaths, saved: Saved | None) -> bool:
    """Whether its lab was suspended, and the process died before it wrote so for each machine."""
    if saved is None or (lab := paths.lab) is None:
        return False
    run = read_last_run(lab.last_run)
    return run is not None and not run.is_open


def look_existing(name: str) -> Situation:
    """As `look`. Raises NoSuchMachineError when nothing is known of the machine."""
    situation = look(MachinePaths.of(name))
    if situation.state == "stopped" and not situation.is_known:
        raise NoSuchMachineError(
            f"there is no machine {name!r}", help="`vmmgr ls` shows those that have state"
        )
    return situation


def look_at_all() -> list[Situation]:
    """Every machine that anything is known of, by name.

    The directory of one that never came to run, and has nothing saved, does not count.
    """
    found = [look(MachinePaths.of(name)) for name in machine_names()]
    return [item for item in found if item.state != "stopped" or item.is_known]
