# SPDX-License-Identifier: BSD-2-Clause
"""What got slower since a page was written is named, and nothing else."""

from __future__ import annotations

from benchmarks.check import read, slower
from benchmarks.report import markdown
from benchmarks.row import VMMGR, Row


def results(ours: float, peer: float, alone: float) -> dict[str, list[Row]]:
    return {
        "port-io": [
            Row("OUT to a port", VMMGR, "M/s", (ours,), more_is_better=True),
            Row("OUT to a port", "QEMU TCG", "M/s", (peer,), more_is_better=True),
            Row("OUT to a port", "bare Unicorn", "M/s", absent="it is not here"),
        ],
        "disks": [Row("suspend, 1,024 MiB | written", VMMGR, "ms", (alone,))],
    }


def named(now: dict[str, list[Row]]) -> list[str]:
    return list(slower(read(markdown({"load": "1"}, results(5000, 2500, 90))), now))


def test_nothing_is_named_where_nothing_changed() -> None:
    assert named(results(5000, 2500, 90)) == []


def test_a_slower_computer_is_none_of_ours() -> None:
    assert named(results(2600, 1300, 95)) == []


def test_what_lost_against_its_peer_is_named_though_the_computer_is_faster() -> None:
    assert named(results(6000, 6000, 90)) == [
        "port-io: OUT to a port: 2.00 times slower than it was, against QEMU TCG"
    ]


def test_what_has_no_peer_is_held_against_itself() -> None:
    assert named(results(5000, 2500, 180)) == [
        "disks: suspend, 1,024 MiB | written: 2.00 times slower than it was, with no peer beside it"
    ]


def test_a_new_benchmark_has_nothing_to_be_slower_than() -> None:
    now = {"new": [Row("a thing", VMMGR, "s", (1.0,)), Row("a thing", "peer", "s", (9.0,))]}

    assert named(now) == []
