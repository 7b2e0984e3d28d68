# SPDX-License-Identifier: BSD-2-Clause
"""What a benchmark returns, and how much work it is to do."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace

VMMGR = "vmmgr"
"""The contestant that all others are compared with."""


@dataclass(frozen=True, slots=True)
class Row:
    """One contestant's results in one contest.

    Rows with the same `contest` are compared, each with the row of VMMGR, or with the first one
    if there is none.
    """

    contest: str
    """What was measured, for people: "boot to a shell prompt"."""
    contestant: str
    """VMMGR or a peer."""
    unit: str
    """"s", "ms", "MIPS", "OUT/s", ..."""
    values: tuple[float, ...] = ()
    """One per repetition, in the order of measuring."""
    more_is_better: bool = False
    absent: str = ""
    """Why there are no values."""
    note: str = ""
    """What a reader must know to judge the figure."""

    def of_unit(self, unit: str) -> Row:
        """The same in that unit."""
        return replace(self, unit=unit)

    @property
    def median(self) -> float:
        """The value to quote."""
        return statistics.median(self.values)

    @property
    def best(self) -> float:
        """The value least disturbed by whatever else the computer did."""
        return max(self.values) if self.more_is_better else min(self.values)


@dataclass(frozen=True, slots=True)
class Effort:
    """How often, and how much at a time."""

    rounds: int = 5
    """Repetitions of each measurement, 1 or more."""
    scale: float = 1.0
    """Share of the full amount of work, above 0; 1 is about a second a repetition."""

    def of(self, amount: int) -> int:
        """That share of `amount`, at least 1."""
        return max(1, round(amount * self.scale))


FULL = Effort()


class AbsentError(Exception):
    """A contestant cannot take part; the text says why."""


def advantage(ours: Row, peer: Row) -> float:
    """How many times as good our median is as the peer's; above 1 is better for us."""
    ratio = ours.median / peer.median
    return ratio if ours.more_is_better else 1 / ratio
