# SPDX-License-Identifier: BSD-2-Clause
"""One process's share of a run, for `verify`: a job on standard input, JSON out.

`python -m manager.replay.worker` reads a Job as JSON, runs its legs and prints a Reached for each.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from manager.lazy import dataclass
from manager.replay import subjects

if TYPE_CHECKING:
    from manager.replay.subjects import Subject

Mode = Literal["full", "incremental", "tracked"]
MODES: tuple[Mode, ...] = ("full", "incremental", "tracked")
"""How RAM is saved: whole; what differs from the snapshot that was restored; what was written
since another snapshot in the middle of the leg."""
NOWHERE = Path()
"""Of legs that save nothing."""


@dataclass(frozen=True, slots=True)
class Leg:
    """Run to a time and look."""

    until: int
    slices: int | None = None
    """Seed of the slices' sizes; None for one slice."""
    tag: str = ""
    """Save it under this tag of the job's store."""
    mode: Mode = "incremental"
    look: bool = True
    """Whether to digest the state."""


@dataclass(frozen=True, slots=True)
class Job:
    """What one process has to do. Paths are strings, so that it is plain JSON."""

    subject: str
    """A file that `subjects.write` wrote."""
    legs: Sequence[Leg]
    start: str = ""
    """A snapshot's directory; power-on if empty."""
    store: str = ""


@dataclass(frozen=True, slots=True)
class Reached:
    """The machine or lab at the end of a leg."""

    now: int
    ended: str
    """Why it is over, or an empty string."""
    output: dict[str, str]
    """What each port or link sent in the leg, in hex."""
    states: dict[str, str] = field(default_factory=dict)
    """Digest of each record."""
    ram: str = ""
    saved: str = ""
    """The snapshot's directory."""

    def same_state(self, other: Reached) -> bool:
        """Whether the two are the same, as far as the next instant goes."""
        return (self.now, self.ended, self.states, self.ram) == (
            other.now,
            other.ended,
            other.states,
            other.ram,
        )


def carry_out(job: Job) -> list[Reached]:
    """Run the legs; after the one in which the machine or lab ends, no more."""
    subject = subjects.begin(Path(job.subject), job.start)
    reached = []
    for leg in job.legs:
        reached.append(run_leg(subject, leg, Path(job.store)))
        if reached[-1].ended:
            break
    return reached


def run_leg(subject: Subject, leg: Leg, store: Path = NOWHERE) -> Reached:
    """Run one, and save as it says in a folder."""
    ended = ""
    halfway = (subject.now() + leg.until) // 2
    tracked = bool(leg.tag) and leg.mode == "tracked"
    for end in (halfway, leg.until) if tracked else (leg.until,):
        ended = subject.pass_time(end, leg.slices)
        if ended:
            break
        if tracked and end != leg.until:
            subject.save(store, f"{leg.tag}.half", goes_on=True, whole=False)
    saved = ""
    if leg.tag:
        saved = str(subject.save(store, leg.tag, goes_on=False, whole=leg.mode == "full"))
    states, ram = subject.look() if leg.look else ({}, "")
    sent = {id: data.hex() for id, data in subject.output.items() if data}
    for data in subject.output.values():
        data.clear()
    return Reached(subject.now(), ended, sent, states, ram, saved)


def main() -> None:
    """Carry out the job on standard input."""
    job = json.load(sys.stdin)
    legs = [Leg(**leg) for leg in job.pop("legs")]
    json.dump([asdict(reached) for reached in carry_out(Job(legs=legs, **job))], sys.stdout)


if __name__ == "__main__":
    main()
