# SPDX-License-Identifier: BSD-2-Clause
"""Going back to a time gives the machine as it was then, and costs no more than was agreed."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from manager.bus.record import to_plain
from manager.errors import SnapshotMismatchError, UsageError
from manager.machine.machine import Machine
from manager.replay import digests
from manager.replay.checkpoints import DENSE
from manager.replay.log import read
from manager.replay.timeline import Timeline, input_before
from manager.snapshot.store import Store

from .conftest import MILLISECOND, SECOND, Recorded

pytestmark = pytest.mark.guest


def state(machine: Machine) -> tuple[object, str]:
    records = {id: to_plain(record) for id, record in machine.records().items()}
    return records, digests.of_ram(machine.memory)


def ran(recorded: Recorded, timeline: Timeline, until: int) -> None:
    while recorded.machine.now() < until:
        recorded.run(min(until, recorded.machine.now() + 50 * MILLISECOND))
        timeline._rested_at = 0.0
        if timeline.due(recorded.machine):
            timeline.take(recorded.machine, lambda: sent(recorded))


def sent(recorded: Recorded) -> dict[str, int]:
    recorded.pump()
    return {id: len(data) for id, data in recorded.output.items()}


@pytest.mark.parametrize("window", [0, 60 * SECOND], ids=["from the start", "from a checkpoint"])
def test_rewound_machine_is_the_machine_it_was(
    recorded: Recorded, tmp_path: Path, window: int
) -> None:
    timeline = Timeline(Store(tmp_path / "store"), window)
    ran(recorded, timeline, 1 * SECOND)
    recorded.type("u\r")
    ran(recorded, timeline, 2500 * MILLISECOND)
    was, said = state(recorded.machine), sent(recorded)
    then = recorded.machine.now()
    recorded.type("m\r")
    ran(recorded, timeline, 4 * SECOND)
    log = read(recorded.recorder.log.path)

    back = timeline.back_to(then, log.header, log.entries, dict.fromkeys(said, 0))

    assert state(back.machine) == was
    assert back.sent == said
    assert back.machine.inputs.last_at is None
    assert (back.start is None) == (window == 0)
    assert all(entry.at <= then for entry in back.entries)


def test_checkpoints_are_dense_lately_and_bounded(recorded: Recorded, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    timeline = Timeline(store, 60 * SECOND)
    for second in range(1, 40):
        recorded.machine.run(second * SECOND)
        timeline.take(recorded.machine, lambda: {})

    times = [item.at for item in timeline.kept]
    distances = [b - a for a, b in pairwise(times)]

    assert len(times) <= 3 * DENSE
    assert max(distances[-DENSE + 1 :]) < 1.1 * SECOND
    assert sorted(distances, reverse=True)[0] <= 8 * SECOND
    assert len(store.tags()) == len(times)
    timeline.clear()
    assert store.tags() == []


def test_time_before_the_record_is_refused(recorded: Recorded, tmp_path: Path) -> None:
    timeline = Timeline(Store(tmp_path / "store"), 0)
    log = read(recorded.recorder.log.path)
    object.__setattr__(log.header.start, "at", 5)

    with pytest.raises(UsageError, match="record begins"):
        timeline.back_to(3, log.header, log.entries, {})


def test_way_back_that_differs_is_refused(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeline = Timeline(Store(tmp_path / "store"), 0)
    recorded.run(1 * SECOND)
    log = read(recorded.recorder.log.path)
    monkeypatch.setattr(digests, "joined", lambda records: b"something else")

    with pytest.raises(SnapshotMismatchError, match="cannot be reproduced"):
        timeline.back_to(900 * MILLISECOND, log.header, log.entries, {"lpc.com1": 0, "slots.4": 0})


def test_step_back_finds_the_inputs(recorded: Recorded) -> None:
    for number in range(1, 4):
        recorded.run(number * 100 * MILLISECOND)
        recorded.type("x")
    recorded.run(400 * MILLISECOND)
    entries = read(recorded.recorder.log.path).entries

    now = recorded.machine.now()
    assert 299 * MILLISECOND < input_before(entries, now, 1) <= 301 * MILLISECOND
    assert 99 * MILLISECOND < input_before(entries, now, 3) <= 101 * MILLISECOND
    with pytest.raises(UsageError, match="only 3"):
        input_before(entries, now, 4)
