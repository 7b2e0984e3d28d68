# SPDX-License-Identifier: BSD-2-Clause
"""Comparing a machine that runs again with what was recorded of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from functools import partial
from typing import TYPE_CHECKING

from blake3 import blake3

from manager.bus.clock import SECOND
from manager.bus.record import Record
from manager.lazy import dataclass
from manager.replay import digests
from manager.replay.entries import Check, End, Entry, Heard

if TYPE_CHECKING:
    from manager.machine.ended import Ended
    from manager.machine.machine import Machine

OF_ITSELF = ("ended", "fault")
"""How a run ends that nothing outside of the machine has ended."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first thing that was not as it was recorded."""

    at: int
    """Virtual time in ns of the check that failed."""
    after: int
    """Virtual time of the last check that held: what went wrong did so in between."""
    ports: tuple[str, ...] = ()
    """Ports that sent something else."""
    states: tuple[str, ...] = ()
    """Records that differ."""
    ended: str = ""
    """How one of the two ended and the other did not."""
    arrived: str = ""
    """What came from another machine of the lab and should not have, or did not."""

    def lines(self) -> list[str]:
        """In plain words."""
        lines = [
            f"the replay differs at {seconds(self.at)}; up to {seconds(self.after)} it was the same"
        ]
        lines += [f"  {text}" for text in (self.ended, self.arrived) if text]
        lines += [f"  {port} sent something else" for port in self.ports]
        if self.states:
            lines.append(f"  different state: {', '.join(self.states)}")
        return lines


def end_of(entries: Sequence[Entry]) -> End | None:
    """How a run ended; None while it goes on, or when its process died."""
    return next((entry for entry in entries if isinstance(entry, End)), None)


def seconds(time: int) -> str:
    """A virtual time for people, to the nanosecond.

    >>> seconds(1_500_000_001)
    '1.500000001 s'
    """
    return f"{time // SECOND}.{time % SECOND:09} s"


@dataclass(slots=True)
class _Port:
    count: int = 0
    digest: blake3 = field(default_factory=blake3)


class Checks:
    """Compares `machine`, as its time passes, with the checks that `entries` have of it.

    `output` gets (port, data) as the guest sends it. Checks that lie behind are skipped; of the
    first one after a start in the middle, what ports sent is not known and only state compared.
    """

    def __init__(
        self,
        machine: Machine,
        records: Sequence[str],
        entries: Sequence[Entry],
        *,
        begun_at: int,
        output: Callable[[str, bytes], None] = lambda port, data: None,
    ) -> None:
        self.machine = machine
        self.divergence: Divergence | None = None
        self.checked = 0
        """Checks that held."""
        self.found: Mapping[str, Record] = {}
        """The state at the check that failed."""
        now = machine.now()
        self._ids = list(records)
        self._output = output
        self._ports = {id: _Port() for id in machine.ports}
        self._listeners = {id: partial(self._heard, id) for id in machine.ports}
        for id, heard in self._listeners.items():
            machine.ports[id].listeners.add(heard)
        self._whole = now == begun_at
        self._last_check = now
        self._checks = [entry for entry in entries if isinstance(entry, Check) and entry.at > now]
        self._next = 0
        self._timer = machine.clock.timer(self._due)
        self._arm()

    def leave(self) -> None:
        """Compare no more: the machine goes on without."""
        self.machine.clock.remove(self._timer)
        for id, heard in self._listeners.items():
            self.machine.ports[id].listeners.remove(heard)

    def compare_end(self, end: End) -> None:
        """The machine is where the recorded run ended."""
        self.compare(end.check)
        if self.divergence is None and end.ram:
            ram = digests.of_ram(self.machine.memory)
            if ram != end.ram:
                self.diverge(end.at, states=("RAM",))

    def compare_how_it_ended(self, end: End | None, ended: Ended | None) -> None:
        """The guest has `ended` the machine, or has not, where the recorded run stops."""
        of_itself = end is not None and end.reason in OF_ITSELF
        if (ended is not None) != of_itself:
            self.diverge(
                self.machine.now(),
                ended=f"the replay ended: {ended.detail}"
                if ended is not None
                else f"the recorded run ended: {end.detail if end is not None else ''}",
            )
        elif end is not None:
            self.compare_end(end)

    def collect(self) -> None:
        """Hear what the ports still hold."""
        for port in self.machine.ports.values():
            port.take_output()

    def _heard(self, id: str, data: bytes) -> None:
        self._ports[id].count += len(data)
        self._ports[id].digest.update(data)
        self._output(id, data)

    def _arm(self) -> None:
        if self._next < len(self._checks):
            self._timer.arm(self._checks[self._next].at)

    def _due(self) -> None:
        self.collect()
        check = self._checks[self._next]
        self._next += 1
        self.compare(check)
        if self.divergence is None:
            self._arm()

    def compare(self, check: Check) -> None:
        """The machine is where the check was made."""
        states = self.machine.records()
        different = digests.differing(self._ids, check.states, digests.joined(states))
        ports = []
        for id, port in self._ports.items():
            if self._whole and check.ports is not None:
                heard = check.ports.get(id, Heard(0, b""))
                sent = (port.count, port.digest.digest(digests.OUTPUT_BYTES) if port.count else b"")
                if sent != (heard.count, heard.digest):
                    ports.append(id)
            self._ports[id] = _Port()
        if different or ports:
            self.found = states
            self.diverge(check.at, ports=tuple(ports), states=tuple(different))
            return
        self._whole = True
        self._last_check = check.at
        self.checked += 1

    def diverge(
        self,
        at: int,
        ports: tuple[str, ...] = (),
        states: tuple[str, ...] = (),
        ended: str = "",
        arrived: str = "",
    ) -> None:
        """It is not what was recorded; the first time counts, and stops the machine."""
        if self.divergence is None:
            self.divergence = Divergence(at, self._last_check, ports, states, ended, arrived)
        self._timer.disarm()
        self.machine.stop()
