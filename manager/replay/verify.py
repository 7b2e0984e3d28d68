# SPDX-License-Identifier: BSD-2-Clause
"""Proving that suspends, resumes and slices do not change a run, or finding where they do.

Three kinds of runs of one machine, or of one lab, are compared. The whole one goes from power-on
to the end in a single slice. The sliced one stops at each of the random points and goes on. The
chains are suspended at each point and resumed in a new process, RAM saved in different ways.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING

from manager.lazy import dataclass
from manager.replay import compare, subjects
from manager.replay.processes import Processes
from manager.replay.worker import MODES, Job, Leg, Reached

if TYPE_CHECKING:
    from manager.graph.lab import Lab
    from manager.graph.nodes import Graph
    from manager.machine.inputs import Input

_STATES_KEPT = 3
GRID = 12
"""Into how many parts the time is cut in each step towards a difference."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to prove."""

    subject: Graph | Lab
    until: int
    """Virtual ns from power-on; of a lab up to the last end of a quantum before."""
    points: int
    seed: int
    inputs: Sequence[Input] = ()

    @property
    def step(self) -> int:
        """Points are at multiples of this, ns."""
        return subjects.step_of(self.subject)

    @property
    def end(self) -> int:
        """Where the run ends, if nothing ends it before; ns."""
        return self.until // self.step * self.step

    def cuts(self) -> list[int]:
        """The virtual times of the points."""
        choose = random.Random(self.seed)  # noqa: S311  no secret
        times = range(self.step, max(self.step, self.end), self.step)
        return sorted(choose.sample(times, min(self.points, len(times))))


@dataclass(slots=True)
class Mismatch:
    """Two runs that should be the same and are not."""

    what: str
    """Which runs, and at which point it was noticed."""
    after: int
    """Up to this virtual time (ns) they were the same."""
    at: int
    """At this one they differ."""
    reproduced: bool = True
    """Whether it happened again while it was looked for."""
    differences: list[compare.Difference] = field(default_factory=list)
    states: tuple[Path, Path] | None = None
    """Snapshots of both sides, where they differ first; of a lab, of the first machine that does.
    None where no machine differs."""


@dataclass(slots=True)
class Report:
    """How it went."""

    points: int
    """Points that held."""
    processes: int
    mismatch: Mismatch | None
    ended: str = ""
    """Why it ended before the time was over, if it did."""


@dataclass(frozen=True, slots=True)
class _Side:
    """How to get to a state: from where, in which slices."""

    start: str = ""
    slices: int | None = None


class Verification:
    """Carries out a plan; intermediate states go to `folder`, which stays when runs differ."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        processes: Processes,
        progress: Callable[[int, int], None] = lambda done, of: None,
    ) -> None:
        self.plan = plan
        self.folder = folder
        self._processes = processes
        self._progress = progress
        self._subject = folder / "subject.cbor"
        self._held = 0
        self._started = 2
        self._stop = Event()
        self._first = Lock()

    def run(self) -> Report:
        """Prove it, or find the first difference. Raises VmmgrError."""
        plan = self.plan
        self.folder.mkdir(parents=True, exist_ok=True)
        subjects.write(self._subject, plan.subject, plan.inputs)
        cuts = plan.cuts()
        legs = [Leg(cut, slices=plan.seed + cut) for cut in [*cuts, plan.end]]
        (whole,), sliced = self._processes.both(
            self._job([Leg(plan.end)]), self._job(legs, _Side())
        )
        ended = whole.ended
        if not whole.same_state(sliced[-1]) or whole.output != _joined(sliced):
            mismatch = self._locate(
                "one slice, and many", _Side(), _Side(slices=plan.seed), 0, plan.end
            )
            self._explain_output(mismatch, [whole], sliced)
            return Report(0, self._started, mismatch, ended)
        chains = [cuts[number :: self._processes.at_once] for number in range(self._at_once(cuts))]
        times = [*cuts, plan.end]
        reference = dict(zip(times, sliced, strict=False))
        for time in times[len(sliced) :]:
            reference[time] = sliced[-1]  # past its end a machine stays as it ended
        with ThreadPoolExecutor(len(chains) or 1) as pool:
            found = list(
                pool.map(
                    lambda item: self._chain(item[0], item[1], reference, whole),
                    enumerate(chains),
                )
            )
        mismatch_found = next((item for item in found if item is not None), None)
        return Report(self._held, self._started, mismatch_found, ended)

    def _at_once(self, cuts: Sequence[int]) -> int:
        return min(self._processes.at_once, len(cuts))

    def _job(self, legs: Sequence[Leg], side: _Side = _Side(), store: Path | None = None) -> Job:
        return Job(str(self._subject), legs, side.start, str(store) if store is not None else "")

    def _chain(
        self, number: int, cuts: Sequence[int], reference: dict[int, Reached], whole: Reached
    ) -> Mismatch | None:
        """Suspend and resume at each cut; compare with the run that only stopped there."""
        choose = random.Random(self.plan.seed + number)  # noqa: S311  no secret
        store = self.folder / f"chain-{number}"
        starts = [""]
        before = 0
        parts: list[Reached] = []
        for index, cut in enumerate([*cuts, self.plan.end]):
            if self._stop.is_set():
                return None
            last = cut == self.plan.end
            leg = Leg(
                cut,
                slices=choose.choice((None, choose.randrange(1 << 30))),
                tag="" if last else f"point.{index % _STATES_KEPT}",
                mode=choose.choice(MODES),
            )
            (reached,) = self._processes.run(self._job([leg], _Side(starts[-1]), store))
            self._started += 1
            parts.append(reached)
            if not reached.same_state(reference[cut]):
                with self._first:
                    if self._stop.is_set():
                        return None  # another chain looks for its own difference already
                    self._stop.set()
                side = _Side(starts[-2] if len(starts) > 1 else "")
                what = f"undisturbed, and suspended at {before} ns and {cut} ns ({leg.mode})"
                return self._locate(what, side, _Side(starts[-1]), before, cut, reached)
            starts.append(reached.saved)
            before = reached.now
            if reached.ended:
                break
            if not last:
                self._held += 1
                self._progress(self._held, self.plan.points)
        mismatch = Mismatch("console", 0, self.plan.end)
        if _joined(parts) == whole.output:
            return None
        self._explain_output(mismatch, [whole], parts)
        return mismatch

    def _locate(
        self,
        what: str,
        one: _Side,
        two: _Side,
        low: int,
        high: int,
        seen: Reached | None = None,
    ) -> Mismatch:
        """Halve the time between the last equal and the first different state."""
        mismatch = Mismatch(what, low, high)
        states = self._states(one, two, high)
        if states[0].same_state(states[1]):
            mismatch.reproduced = False
            if seen is None or not seen.saved:
                return mismatch
            states = [states[0], seen]
        else:
            first = low + self.plan.step  # often it is the restore itself
            while high - low > self.plan.step:
                low, high = self._narrow(one, two, low, high, first)
                first = 0
            again = self._states(one, two, high)
            if not again[0].same_state(again[1]):
                states = again
            mismatch.after, mismatch.at = low, high
        return self._explain(mismatch, states)

    def _narrow(self, one: _Side, two: _Side, low: int, high: int, first: int) -> tuple[int, int]:
        """Look at both sides at several times in between, each side in one new process."""
        step = self.plan.step
        parts = {low + (high - low) * part // GRID for part in range(1, GRID)}
        times = {time // step * step for time in parts} | {first, high}
        legs = sorted(time for time in times if low < time <= high)
        self._started += 2
        jobs = [self._job([Leg(time, side.slices) for time in legs], side) for side in (one, two)]
        for time, left, right in zip(legs, *self._processes.both(*jobs), strict=False):
            if not left.same_state(right):
                return low, time
            low = time
            if left.ended:
                break  # both did, and stay as they are
        return high - step, high  # not different this time: there is nothing left to halve

    def _states(self, one: _Side, two: _Side, until: int) -> list[Reached]:
        """Both sides at a time, each in a new process, and saved."""
        self._started += 2
        names = ("one", "two")
        jobs = [
            self._job([Leg(until, side.slices, "state", "full")], side, self.folder / name)
            for name, side in zip(names, (one, two), strict=True)
        ]
        return [legs[-1] for legs in self._processes.both(*jobs)]

    def _explain(self, mismatch: Mismatch, states: Sequence[Reached]) -> Mismatch:
        one, two = (Path(reached.saved) for reached in states)
        found = subjects.differences(self.plan.subject, one, two)
        mismatch.differences, mismatch.states = found
        return mismatch

    def _explain_output(
        self, mismatch: Mismatch, one: Sequence[Reached], two: Sequence[Reached]
    ) -> None:
        """Add what the consoles said otherwise, if anything."""
        left, right = _joined(one), _joined(two)
        for port in dict.fromkeys([*left, *right]):
            a, b = bytes.fromhex(left.get(port, "")), bytes.fromhex(right.get(port, ""))
            if a == b:
                continue
            pairs = zip(a, b, strict=False)
            at = next((n for n, (x, y) in enumerate(pairs) if x != y), min(len(a), len(b)))
            start = max(0, at - 20)
            mismatch.differences.append(
                compare.Difference(
                    f"output of {port}, byte {at}",
                    repr(a[start : at + 20].decode("latin-1")),
                    repr(b[start : at + 20].decode("latin-1")),
                )
            )


def _joined(parts: Sequence[Reached]) -> dict[str, str]:
    """All output of a run, by port."""
    output: dict[str, str] = {}
    for part in parts:
        for port, text in part.output.items():
            output[port] = output.get(port, "") + text
    return output
