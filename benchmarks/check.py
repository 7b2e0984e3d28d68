# SPDX-License-Identifier: BSD-2-Clause
"""What got slower since a page was written, as far as two runs can tell.

Two runs are on two computers, or on one with other things to do. So what is compared is how
vmmgr stands against a peer that was measured beside it, each time; where it had no peer, its own
figure is compared, and said to be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from benchmarks.report import Results, contests, reference
from benchmarks.row import Row, advantage

ENOUGH = 1.1
"""Times slower that is worth a line."""
_ROW = re.compile(
    r"\| (?P<who>.+?) \| (?P<median>[0-9.,e+-]+) \| .* \| [0-9]+ \| (?P<versus>.*?) ?\|"
)
_VERSUS = re.compile(r"(?P<times>[0-9.e+-]+) times (?P<how>as fast|slower)")


class Before(NamedTuple):
    """What a page has of one contestant."""

    median: float
    advantage: float | None
    """How many times as good vmmgr was; None for vmmgr itself and where it had no peer."""


Page = Mapping[tuple[str, str, str], Before]
"""(benchmark, contest, contestant) -> figures."""


def read(page: str) -> Page:
    """The figures of a page that `report.markdown` wrote; what is none of them is passed over."""
    found: dict[tuple[str, str, str], Before] = {}
    benchmark = contest = ""
    for line in page.splitlines():
        if line.startswith("## "):
            benchmark = line[3:]
        elif line.startswith("### "):
            contest = line[4:].lower()
        elif row := _ROW.fullmatch(line.strip()):
            versus = _VERSUS.fullmatch(row["versus"])
            ratio = None
            if versus is not None:
                times = float(versus["times"])
                ratio = times if versus["how"] == "as fast" else 1 / times
            median = float(row["median"].replace(",", ""))
            found[benchmark, contest, row["who"]] = Before(median, ratio)
    return found


def slower(page: Page, results: Results) -> Iterator[str]:
    """A line for each figure that is worse than on the page by a tenth or more."""
    for benchmark, rows in results.items():
        for contest, members in contests(rows):
            ours = reference(members)
            if ours is None:
                continue
            place = (benchmark, contest.lower())
            for peer in members:
                if not peer.values or (before := page.get((*place, peer.contestant))) is None:
                    continue
                times, against = _times_slower(ours, peer, before, alone=len(members) == 1)
                if times >= ENOUGH:
                    yield f"{benchmark}: {contest}: {times:.2f} times slower than it was{against}"


def _times_slower(ours: Row, peer: Row, before: Before, *, alone: bool) -> tuple[float, str]:
    if before.advantage is not None and peer is not ours:
        return before.advantage / advantage(ours, peer), f", against {peer.contestant}"
    if peer is ours and alone:
        times = ours.median / before.median
        return (1 / times if ours.more_is_better else times), ", with no peer beside it"
    return 0.0, ""
