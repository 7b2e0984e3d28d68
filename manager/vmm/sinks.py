# SPDX-License-Identifier: BSD-2-Clause
"""The places that a running machine writes to, and what became of those that the host refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from manager.machine.machine import Machine
    from manager.vmm.connections import SerialConnections
    from manager.vmm.keeper import Keeper

Kind = Literal["backend", "log", "trace", "recording", "checkpoints"]


@dataclass(frozen=True, slots=True)
class Failure:
    """A place that does not have all that was written to it."""

    sink: Kind
    port: str | None
    """The port's device id, for a backend and a log."""
    where: str
    """For people: `file /tmp/com2.txt`."""
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


class Sinks:
    """Remembers the first failure of each place, for the status and for the end of `run`."""

    def __init__(self, connections: SerialConnections) -> None:
        self._connections = connections
        self._failures: dict[tuple[Kind, str | None], Failure] = {}

    def look(self, machine: Machine, keeper: Keeper | None) -> list[Failure]:
        """The places that failed since the last look."""
        new = []
        for failure in self._failing(machine, keeper):
            key = failure.sink, failure.port
            if key not in self._failures:
                self._failures[key] = failure
                new.append(failure)
        return new

    @property
    def failures(self) -> list[Failure]:
        """All that failed since the machine is owned."""
        return list(self._failures.values())

    def describe(self) -> list[dict[str, Any]]:
        """The same for a status."""
        return [asdict(failure) for failure in self._failures.values()]

    def _failing(self, machine: Machine, keeper: Keeper | None) -> Iterator[Failure]:
        for id, port in self._connections.by_id.items():
            if port.host is not None and port.host.fault:
                what = port.host.describe().partition(", ")[0]
                yield Failure("backend", id, f"{what} ({id})", port.host.fault)
            if port.log_fault:
                yield Failure("log", id, f"the log of {id}", port.log_fault)
        if machine.trace.fault:
            yield Failure("trace", None, "the trace", machine.trace.fault)
        if keeper is not None:
            if keeper.recording_fault:
                yield Failure("recording", None, "the recording", keeper.recording_fault)
            if keeper.timeline is not None and keeper.timeline.fault:
                yield Failure("checkpoints", None, "the checkpoints", keeper.timeline.fault)
