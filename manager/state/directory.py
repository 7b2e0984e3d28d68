# SPDX-License-Identifier: BSD-2-Clause
"""A machine's directory while a process owns it: the lock, the record of the run, its states."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from manager.errors import WrongStateError
from manager.state.last_run import LastRun, process_start, read_last_run, write_last_run
from manager.state.lock import MachineLock
from manager.state.paths import MachinePaths, require_no_lab
from manager.state.saved import Saved, discard_saved, save
from manager.state.situation import Situation, left_behind

if TYPE_CHECKING:
    from manager.graph.nodes import Graph
    from manager.machine.machine import Machine
    from manager.storage.locked import ImageLock


class MachineDirectory:
    """Held by the process that owns the machine. Close it last: that releases the lock."""

    def __init__(self, paths: MachinePaths, lock: MachineLock) -> None:
        self.paths = paths
        self._lock = lock
        self._images: list[ImageLock] = []
        self._last_run: LastRun | None = None

    @classmethod
    def take(cls, paths: MachinePaths) -> MachineDirectory:
        """Become the owner. Raises WrongStateError when another process is."""
        paths.make()
        lock = MachineLock.take(paths.lock)
        if lock is None:
            raise WrongStateError(f"{paths.name} is already running")
        return cls(paths, lock)

    def begin_log(self) -> None:
        """Empty the owner's log of what processes before this one said."""
        with suppress(OSError):  # what the host refuses is reported, not logged
            os.truncate(self.paths.owner_log, 0)

    def situation(self) -> Situation:
        """What was left by the owner before; ask before `begin`."""
        return left_behind(self.paths)

    def lock_images(self, graph: Graph) -> None:
        """Keep others from writing the images of its disks, or from using those that it writes.

        Raises WrongStateError when another has one, HostError.
        """
        from manager.storage.locked import ImageLock

        for source in graph.disks:
            if source.image is not None:
                self._images.append(ImageLock(source.image, to_write=source.mode == "direct"))

    def begin(
        self,
        graph: Graph,
        *,
        settings: Sequence[str],
        socket: Path,
        detached: bool,
        ports: Mapping[str, str],
        console: str | None,
    ) -> None:
        """Write down that the machine runs."""
        from manager.graph.identity import full_hash, identity_hash

        self.begin_run(
            LastRun(
                name=self.paths.name,
                file=str(graph.source.absolute()),
                identity=identity_hash(graph),
                config=full_hash(graph),
                socket=str(socket),
                detached=detached,
                ports=dict(ports),
                console=console,
            ),
            settings,
        )

    def begin_run(self, run: LastRun, settings: Sequence[str]) -> None:
        """The same for a lab: `run` says all but whose process it is, and since when."""
        run.pid = os.getpid()
        run.process_start = process_start(run.pid)
        run.started_at = time.time()
        run.given = list(settings)
        self._last_run = run
        self._write()

    def suspend(self, machine: Machine) -> Saved:
        """Save the machine durably. When that fails the machine counts as running, as before."""
        with self.suspending():
            return save(self.paths, machine)

    @contextmanager
    def suspending(self) -> Iterator[None]:
        """The suspended state is written inside."""
        run = self._begun()
        run.phase = "suspending"
        self._write()
        try:
            yield
        except BaseException:
            run.phase = "running"
            self._write()
            raise
        self.set_suspended()

    def set_suspended(self) -> None:
        """The suspended state is there, and the process ends."""
        self._begun().phase = "suspended"
        self._write()

    def save_snapshot(self, machine: Machine, tag: str | None) -> Path:
        """Take a snapshot beside the suspended state; the machine runs on. Raises VmmgrError."""
        from manager.snapshot.store import Store

        store = Store(self.paths.snapshots)
        return store.commit(machine.run_to_image(), tag or store.free_tag(), goes_on=True)

    def stopped(self) -> None:
        """The machine ended in order: there is nothing to go back to."""
        # The phase first: if this process dies here, a state is left over, not lost.
        self.set_stopped()
        discard_saved(self.paths)

    def set_stopped(self) -> None:
        """The process ends in order; the last suspended state stays."""
        self._begun().phase = "stopped"
        self._write()

    def faulted(self, detail: str, story: Sequence[str] = ()) -> None:
        """The machine ended by a fault: keep the last suspended state, and say why."""
        self._begun().fault = detail
        self._begun().story = list(story)
        self._write()

    def close(self) -> None:
        """Give the machine and its images up."""
        for image in self._images:
            image.release()
        self._lock.release()

    def __enter__(self) -> MachineDirectory:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _begun(self) -> LastRun:
        assert self._last_run is not None, "begin() comes first"
        return self._last_run

    def _write(self) -> None:
        write_last_run(self.paths.last_run, self._begun())


def discard(paths: MachinePaths) -> bool:
    """Drop the suspended state of a machine that is not running; whether there was any.

    Raises WrongStateError while the machine runs, or when it is a lab's.
    """
    require_no_lab(paths, "discard")
    lock = MachineLock.take(paths.lock)
    if lock is None:
        raise WrongStateError(
            f"{paths.name} is running", help=f"power it off with `vmmgr down {paths.name}`"
        )
    try:
        last_run = read_last_run(paths.last_run)
        crashed = last_run is not None and last_run.is_open
        if last_run is not None and last_run.phase != "stopped":
            last_run.phase = "stopped"
            write_last_run(paths.last_run, last_run)
        return discard_saved(paths) or crashed
    finally:
        lock.release()
