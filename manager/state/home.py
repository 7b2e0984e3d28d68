# SPDX-License-Identifier: BSD-2-Clause
"""A machine's place on the host: who may own it, what is known of it, its saved state."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from manager.errors import NoSuchMachineError, WrongStateError
from manager.state.lock import MachineLock, is_locked
from manager.state.paths import MachinePaths, machine_names
from manager.state.record import MachineRecord, process_start, read_record, write_record
from manager.state.saved import Saved, discard_saved, find_saved, save

if TYPE_CHECKING:
    from manager.graph.nodes import Graph
    from manager.machine.machine import Machine

State = Literal["running", "suspended", "stopped", "crashed"]


@dataclass(frozen=True, slots=True)
class Situation:
    """What a machine is doing, found by looking, never from a cache."""

    paths: MachinePaths
    state: State
    record: MachineRecord | None
    saved: Saved | None
    """The last suspended state."""

    @property
    def name(self) -> str:
        """The machine's name."""
        return self.paths.name

    @property
    def is_known(self) -> bool:
        """Whether there is a record of a run, or anything saved."""
        return self.record is not None or self.paths.snapshots.is_dir()

    @property
    def note(self) -> str:
        """What the bare state does not say, or an empty string."""
        if self.state != "crashed":
            return ""
        cause = self.record.fault if self.record and self.record.fault else "its process is gone"
        return f"{cause}; last suspended state kept" if self.saved else cause

    def is_of(self, file: Path) -> bool:
        """Whether the last run was of this machine file; one whose own is gone may be of any."""
        if self.record is None:
            return True
        own = Path(self.record.file)
        return not own.exists() or own.resolve() == file.resolve() or own.samefile(file)

    def require_of(self, file: Path) -> None:
        """Raises WrongStateError when the name is another machine file's."""
        if not self.is_of(file):
            assert self.record is not None
            raise WrongStateError(
                f"{file}: the name {self.name} is taken by the machine of {self.record.file}, "
                f"which is {self.state}",
                help='give this one another name: `name = "..."` in the file, or `--set name=...`; '
                f"or be done with the other: `vmmgr rm {self.name}`",
            )

    @property
    def holds_something(self) -> bool:
        """Whether there is more to lose than the logs of a run that ended in order."""
        return self.state != "stopped" or (
            self.paths.snapshots.is_dir()
            and any(entry.is_symlink() for entry in self.paths.snapshots.iterdir())
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
    """Find out what the machine is doing: lock first, then its record and its saved state."""
    locked = is_locked(paths.lock)
    record = read_record(paths.record)
    saved = find_saved(paths)
    if locked:
        state: State = "running"
    elif record is not None and record.phase in ("running", "suspending"):
        state = "crashed"
    else:
        state = "suspended" if saved is not None else "stopped"
    return Situation(paths, state, record, saved)


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


class Home:
    """A machine's place while this process owns it. Close it last: that releases the lock."""

    def __init__(self, paths: MachinePaths, lock: MachineLock) -> None:
        self.paths = paths
        self._lock = lock
        self.record: MachineRecord | None = None

    @classmethod
    def enter(cls, paths: MachinePaths) -> Home:
        """Become the owner. Raises WrongStateError when another process is."""
        paths.make()
        lock = MachineLock.take(paths.lock)
        if lock is None:
            raise WrongStateError(f"{paths.name} is already running")
        return cls(paths, lock)

    def situation(self) -> Situation:
        """What was left by the owner before; ask before `begin`."""
        record = read_record(self.paths.record)
        crashed = record is not None and record.phase in ("running", "suspending")
        saved = find_saved(self.paths)
        left: State = "crashed" if crashed else "suspended" if saved else "stopped"
        return Situation(self.paths, left, record, saved)

    def begin(
        self,
        graph: Graph,
        *,
        settings: Sequence[str],
        socket: Path,
        detached: bool,
        ports: Mapping[str, str],
        console: str | None,
        hashes: tuple[str, str],
    ) -> MachineRecord:
        """Write down that the machine runs; `hashes` are those of identity and configuration."""
        self.record = MachineRecord(
            name=self.paths.name,
            file=str(graph.source.absolute()),
            settings=list(settings),
            pid=os.getpid(),
            process_start=process_start(os.getpid()),
            started_at=time.time(),
            identity=hashes[0],
            config=hashes[1],
            socket=str(socket),
            detached=detached,
            ports=dict(ports),
            console=console,
        )
        self._write()
        return self.record

    def suspend(self, machine: Machine) -> Saved:
        """Save the machine durably. When that fails the machine counts as running, as before."""
        record = self._begun()
        record.phase = "suspending"
        self._write()
        try:
            saved = save(self.paths, machine)
        except BaseException:
            record.phase = "running"
            self._write()
            raise
        record.phase = "suspended"
        self._write()
        return saved

    def save_snapshot(self, machine: Machine, tag: str | None) -> Path:
        """Take a snapshot beside the suspended state; the machine runs on. Raises VmmgrError."""
        from manager.snapshot.store import Store

        store = Store(self.paths.snapshots)
        return store.commit(machine.run_to_image(), tag or store.free_tag(), goes_on=True)

    def stopped(self) -> None:
        """The machine ended in order: there is nothing to go back to."""
        # The phase goes first: should this process die here, a state is left over, not lost.
        self.set_stopped()
        discard_saved(self.paths)

    def set_stopped(self) -> None:
        """The process ends in order; the last suspended state stays."""
        self._begun().phase = "stopped"
        self._write()

    def faulted(self, detail: str) -> None:
        """The machine ended by a fault: keep the last suspended state, and say why."""
        self._begun().fault = detail
        self._write()

    def close(self) -> None:
        """Give the machine up."""
        self._lock.release()

    def _begun(self) -> MachineRecord:
        assert self.record is not None, "begin() comes first"
        return self.record

    def _write(self) -> None:
        write_record(self.paths.record, self._begun())


def discard(paths: MachinePaths) -> bool:
    """Drop the suspended state of a machine that is not running; whether there was any.

    Raises WrongStateError while the machine runs.
    """
    lock = MachineLock.take(paths.lock)
    if lock is None:
        raise WrongStateError(
            f"{paths.name} is running", help=f"power it off with `vmmgr down {paths.name}`"
        )
    try:
        record = read_record(paths.record)
        crashed = record is not None and record.phase in ("running", "suspending")
        if record is not None and record.phase != "stopped":
            record.phase = "stopped"
            write_record(paths.record, record)
        return discard_saved(paths) or crashed
    finally:
        lock.release()
