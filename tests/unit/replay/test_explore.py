# SPDX-License-Identifier: BSD-2-Clause
"""An exploration's processes and its results in a file."""

from __future__ import annotations

import json
import shlex
import stat
from dataclasses import asdict
from pathlib import Path

import pytest
from support import races

from manager.files import UnfitFileError
from manager.graph.build import load_graph
from manager.machine.expectation import Until
from manager.machine.machine import Machine
from manager.machine.trial import Trial, Tried
from manager.replay import digests, subjects
from manager.replay.explore import WORKER, Exploration, Journal
from manager.replay.seeds import Laboratory, Result, Task
from manager.snapshot.read import open_snapshot
from manager.snapshot.write import write_snapshot
from manager.text.pattern import compile_pattern

GOOD = Result(3, Tried("matched", 0, "ok", 1000), 0.5)


def line(**changes: object) -> bytes:
    """A line of the file, some of it changed; `tried_` goes before what is in `tried`."""
    plain = asdict(GOOD)
    for key, value in changes.items():
        place = plain["tried"] if key.startswith("tried_") else plain
        place[key.removeprefix("tried_")] = value
    return json.dumps(plain).encode() + b"\n"


def test_what_was_written_down_is_known(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "results"
    first = Journal(path, goes_on=False)
    first.add(GOOD)
    first.close()

    again = Journal(path, goes_on=True)
    again.add(Result(4, GOOD.tried, 0.5))
    again.close()
    third = Journal(path, goes_on=True)
    third.close()
    anew = Journal(path, goes_on=False)
    anew.close()

    assert again.known == {3: GOOD}
    assert sorted(third.known) == [3, 4]
    assert anew.known == {}
    assert path.read_bytes() == b""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "wrong",
    [
        b"[]\n",
        b"7\n",
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
        b'{"seed": 1}\n',
        line(seed="3"),
        line(seed=-1),
        line(seed=True),
        line(seconds=None),
        line(tried_outcome="lost"),
        line(tried_outcome=[]),
        line(tried_status="8"),
        line(tried_detail=7),
        line(tried_more=7),
        line()[:-5],
    ],
)
def test_a_line_that_is_none_is_left_out(tmp_path: Path, wrong: bytes) -> None:
    path = tmp_path / "results"
    path.write_bytes(line(seed=5) + wrong)

    journal = Journal(path, goes_on=True)
    journal.add(GOOD)
    journal.close()
    again = Journal(path, goes_on=True)
    again.close()

    assert list(journal.known) == [5]
    assert list(again.known) == [5, 3]


def test_results_are_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("mine")
    (tmp_path / "results").symlink_to("other")

    for goes_on in (False, True):
        with pytest.raises(UnfitFileError, match="symbolic link"):
            Journal(tmp_path / "results", goes_on=goes_on)

    assert (tmp_path / "other").read_text() == "mine"


def test_no_process_begins_without_a_seed_for_it(tmp_path: Path) -> None:
    file = races.machine_file(tmp_path, "missing-lock", schedule="schedule = { seed = 0 }")
    subjects.write(tmp_path / "machine", load_graph(file), ())
    task = Task(str(tmp_path / "machine"), Trial([], None, 1_000_000, "").to_plain())
    worker = ("sh", "-c", f'echo >>"$0"; exec {shlex.join(WORKER)}', str(tmp_path / "begun"))

    found = list(Exploration(task, [4, 6], 50, worker=worker).results())

    assert sorted(result.seed for result in found) == [4, 6]
    assert (tmp_path / "begun").stat().st_size == 2


@pytest.mark.guest
def test_a_seed_after_others_is_as_with_a_machine_of_its_own(tmp_path: Path) -> None:
    graph = load_graph(
        races.machine_file(tmp_path, "missing-lock", schedule="schedule = { seed = 0 }")
    )
    trial = Trial([Until(compile_pattern("^ok"))], compile_pattern("^FAIL"), 3_000_000, "lpc.com1")
    begun = Machine.power_on(graph)
    begun.run(5_000)
    write_snapshot(tmp_path / "start", begun.run_to_image())
    start = open_snapshot(tmp_path / "start")
    laboratory = Laboratory(graph, trial, start)

    kept = set()
    for seed in (3, 0, 7, 1, 3, 2**64 - 1):
        tried = laboratory.attempt(seed).tried
        alone = Laboratory(graph, trial, start)
        assert tried == alone.attempt(seed).tried
        machine, other = laboratory.kept, alone.kept
        assert machine is not None
        assert other is not None
        assert machine.records() == other.records()
        assert digests.of_ram(machine.memory) == digests.of_ram(other.memory)
        assert machine.engine.breaks == other.engine.breaks
        assert machine.graph == other.graph
        kept.add(machine)
    assert len(kept) == 1


@pytest.mark.guest
def test_a_seed_from_power_on_has_a_machine_of_its_own(tmp_path: Path) -> None:
    graph = load_graph(
        races.machine_file(tmp_path, "interrupt", schedule="schedule = { seed = 0 }")
    )
    laboratory = Laboratory(graph, Trial([], None, 1_000_000, ""))

    laboratory.attempt(1)

    assert laboratory.kept is None
