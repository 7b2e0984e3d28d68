# SPDX-License-Identifier: BSD-2-Clause
"""How the time of a lab passes: its machines run a quantum each, in their order, then the next.

All of it is a function of the lab and of the input: quanta lie at multiples of their length, and
a time in which no machine and no wire does anything is left out in whole quanta.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from manager.bus.record import NEVER
from manager.graph.lab import quantum

if TYPE_CHECKING:
    from manager.graph.lab import Lab
    from manager.lab.wires import Arrival, Wires


class Player(Protocol):
    """A machine that takes its turns."""

    def idle_until(self) -> int | None:
        """None: busy; else the time of its next event, or NEVER."""

    def run_to(self, until: int) -> bool:
        """Run until then or to its end; False when something holds it before that."""


P = TypeVar("P", bound=Player)


class Rounds(Generic[P]):
    """The machines that run, by name, what is between them, and how far they are.

    Call `begin`, then `turn` until it says that the quantum is over. States are taken, and machines
    leave, between two quanta.
    """

    def __init__(self, lab: Lab, players: Mapping[str, P], wires: Wires, now: int = 0) -> None:
        self.step = quantum(lab)
        """The length of a quantum, ns of virtual time."""
        self.players = dict(players)
        self.wires = wires
        self.now = now
        """The end of the last quantum, ns of virtual time; no machine is behind it."""
        self.end: int | None = None
        """Where the quantum ends that has begun; None between two."""
        self._outside: list[Arrival] = []
        """Input to come whose time is known, in order."""

    def expect(self, arrival: Arrival) -> None:
        """Give a machine input from outside at its time, before what wires bring then.

        Of two for the same time the first comes first. Raises ValueError for a time that is over,
        which it is as soon as the quantum has begun that it lies in.
        """
        if arrival.at < (self.now if self.end is None else self.end):
            raise ValueError(f"{arrival.end}: {arrival.at} is over")
        self._outside.append(arrival)
        self._outside.sort(key=lambda item: item.at)

    def idle_until(self) -> int | None:
        """None: busy; else the end of the quantum in which something happens again, or NEVER."""
        if self.end is not None:
            return None
        first = self.wires.next_due
        if self._outside:
            first = min(first, self._outside[0].at)
        for player in self.players.values():
            deadline = player.idle_until()
            if deadline is None:
                return None
            first = min(first, deadline)
        if first == NEVER:
            return NEVER
        return (max(first, self.now) // self.step + 1) * self.step

    def begin(self, last: int) -> bool:
        """Begin the next quantum in which anything happens, unless `last` ends before it begins.

        `last` is the end of a quantum.
        """
        idle = self.idle_until()
        end = min(self.now + self.step if idle is None else idle, last)
        if end <= self.now:
            return False
        count = sum(arrival.at < end for arrival in self._outside)
        self.wires.deliver(end, self._outside[:count])
        del self._outside[:count]
        self.end = end
        return True

    def turn(self) -> bool:
        """Whether all have come to the quantum's end; one that is held keeps it from coming."""
        assert self.end is not None
        for player in self.players.values():
            if not player.run_to(self.end):
                return False
        self.come_to_end()
        return True

    def come_to_end(self) -> None:
        """All have run to the quantum's end, however they came there."""
        assert self.end is not None
        self.now, self.end = self.end, None
        self.wires.collect()

    def leave(self, name: str) -> None:
        """A machine is over; what it sent reaches the others."""
        del self.players[name]
        self.wires.power_off(name)
