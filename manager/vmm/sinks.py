# SPDX-License-Identifier: BSD-2-Clause
"""The places that a running machine writes to, and which of them failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.machine.machine import Machine
    from manager.vmm.connections import SerialConnections
    from manager.vmm.events import Events
    from manager.vmm.networks import NetworkConnections
    from manager.vmm.recorder import RunRecorder

Kind = Literal["backend", "log", "capture", "trace", "recording", "checkpoints"]


@dataclass(frozen=True, slots=True)
class Failure:
    """A place that does not have all that was written to it."""

    sink: Kind
    port: str | None
    """The device id of the port or the network card, for a backend, a log and a capture."""
    where: str
    """For people: `file /tmp/com2.txt`."""
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


class Sinks:
    """Reports the first failure of each sink, and keeps it for the status and the end of `run`."""

    def __init__(
        self,
        connections: SerialConnections,
        networks: NetworkConnections,
        events: Events,
        say: Callable[[str], None],
    ) -> None:
        self._connections = connections
        self._networks = networks
        self._events = events
        self._say = say
        self._failures: dict[tuple[Kind, str | None], Failure] = {}

    def look(self, machine: Machine, recorder: RunRecorder | None) -> None:
        """Report the sinks that failed since the last call."""
        for failure in self._failing(machine, recorder):
            key = failure.sink, failure.port
            if key not in self._failures:
                self._failures[key] = failure
                self._say(f"output is lost: {failure}")
                self._events.publish("sink-failed", **asdict(failure))

    @property
    def failures(self) -> list[Failure]:
        """All that failed since the machine is owned."""
        return list(self._failures.values())

    def describe(self) -> list[dict[str, Any]]:
        """The same for a status."""
        return [asdict(failure) for failure in self._failures.values()]

    def _failing(self, machine: Machine, recorder: RunRecorder | None) -> Iterator[Failure]:
        for id, port in self._connections.by_id.items():
            if port.host is not None and port.host.fault:
                what = port.host.describe().partition(", ")[0]
                yield Failure("backend", id, f"{what} ({id})", port.host.fault)
            if port.log_fault:
                yield Failure("log", id, f"the log of {id}", port.log_fault)
        for id, path, fault in self._networks.failing():
            yield Failure("capture", id, f"the capture {path} ({id})", fault)
        if machine.trace.fault:
            yield Failure("trace", None, "the trace", machine.trace.fault)
        if recorder is not None:
            if recorder.recording_fault:
                yield Failure("recording", None, "the recording", recorder.recording_fault)
            if recorder.checkpoints_fault:
                yield Failure("checkpoints", None, "the checkpoints", recorder.checkpoints_fault)
