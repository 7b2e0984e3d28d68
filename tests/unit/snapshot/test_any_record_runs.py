# SPDX-License-Identifier: BSD-2-Clause
"""Right hashes, hostile values: whatever a record says, it is refused or it runs.

Fields of saved machines are changed to anything that their ranges allow. What can still be read
then runs for a virtual second, comes back often enough to answer a client, and can be saved again.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from manager.bus.clock import SECOND
from manager.bus.record import NEVER, Record, from_plain, spec_of, to_plain
from manager.errors import SnapshotCorruptError
from manager.graph.build import load_graph
from manager.graph.nodes import Graph
from manager.machine.machine import Machine
from manager.snapshot.read import Snapshot, open_snapshot
from manager.snapshot.write import write_snapshot

ROOT = Path(__file__).parents[3]
SEEDS = int(os.environ.get("VMMGR_FUZZ_ROUNDS", "40"))
MILLISECOND = 1_000_000
SAVED_AT = 300 * MILLISECOND
PATIENCE = 6.0
"""Seconds for the virtual second: a storm of interrupts makes it a long one."""
SHARE = 2.0
"""Seconds after which a client must have had its turn, on a host with other things to do."""
PLACES = (0, 1, SAVED_AT, SAVED_AT + SECOND, 1 << 40, 1 << 61, NEVER)
"""Numbers that are more interesting than others."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A machine that was saved, and where all that can be changed in its records is."""

    graph: Graph
    path: Path
    places: list[Place]


@dataclass(frozen=True, slots=True)
class Place:
    """A number, a truth or a byte string: where it is, and what it may be."""

    device: str
    steps: tuple[str | int, ...]
    low: int
    high: int
    """Of the value, or of the length of bytes."""


def places(device: str, kind: type[Record], at: tuple[str | int, ...] = ()) -> Iterator[Place]:
    for item in fields(kind):
        spec, here = spec_of(item), (*at, item.name)
        if spec.kind == "record":
            assert spec.item is not None
            yield from places(device, spec.item, here)
        elif spec.kind == "list":
            assert spec.item is not None
            for n in range(spec.low):
                yield from places(device, spec.item, (*here, n))
        elif spec.kind == "ints":
            for n in range(spec.low):
                yield Place(device, (*here, n), 0, spec.high)
        elif spec.kind != "str":
            yield Place(device, here, spec.low, spec.high)


def holder(snapshot: Snapshot, place: Place) -> Any:
    """The list or map in which the value is."""
    found: Any = snapshot.states[place.device].fields
    for step in place.steps[:-1]:
        found = found[step]
    return found


def change(snapshot: Snapshot, place: Place, choose: random.Random) -> None:
    """Make the value another one that its range allows."""
    into, key = holder(snapshot, place), place.steps[-1]
    if isinstance(into[key], bool):
        into[key] = choose.random() < 0.5
    elif isinstance(into[key], bytes):
        length = min(max(place.low, choose.choice((0, len(into[key]), 300))), place.high)
        into[key] = choose.choice((bytes(length), b"\xff" * length, choose.randbytes(length)))
    else:
        near = choose.choice(PLACES) + choose.randrange(-2, 3)
        anywhere = choose.randint(place.low, place.high)
        value = choose.choice((place.low, place.high, near, anywhere, choose.randrange(300)))
        into[key] = min(max(value, place.low), place.high)


def run_for_a_second(machine: Machine) -> None:
    """As its owner does, who looks at the socket in between."""
    end, give_up = machine.now() + SECOND, time.monotonic() + PATIENCE
    while machine.now() < end and time.monotonic() < give_up:
        before, began = machine.now(), time.monotonic()
        if machine.run(min(end, before + 5 * MILLISECOND), yielding=True) is not None:
            return
        assert time.monotonic() - began < SHARE
        for port in machine.ports.values():
            port.take_output()


def assert_refused_or_runs(saved: Saved, opened: Snapshot) -> bool:
    """Whether it runs."""
    try:
        machine = Machine.restore(saved.graph, opened)
    except SnapshotCorruptError:
        return False
    run_for_a_second(machine)
    for id, record in machine.run_to_image().records.items():
        from_plain(type(record), to_plain(record), record.VERSION, id)
    machine.close()
    return True


EXTRA = """
[lpc.com2]
backend = "null"
pace = "baud"
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    folder = tmp_path_factory.mktemp("records")
    text = (ROOT / "machines/hello.toml").read_text()
    text = text.replace("hello/hello.bin", str(ROOT / "machines/hello/hello.bin"))
    (folder / "hello.toml").write_text(text + EXTRA)
    graph = load_graph(folder / "hello.toml")
    machine = Machine.power_on(graph)
    machine.run(SAVED_AT)
    write_snapshot(folder / "saved", machine.run_to_image())
    # What a CPU may be is any guest's choice: that is for tests of the engine.
    known = [
        place
        for id, record in machine.records().items()
        if not id.startswith("cpu")
        for place in places(id, type(record))
    ]
    machine.close()
    return Saved(graph, folder / "saved", known)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_any_record_that_can_be_read_runs(seed: int, saved: Saved) -> None:
    choose = random.Random(seed)
    devices = sorted({place.device for place in saved.places})
    chosen = set(choose.sample(devices, choose.choice((1, 3, len(devices)))))
    pool = [place for place in saved.places if place.device in chosen]
    opened = open_snapshot(saved.path)

    for place in choose.sample(pool, min(len(pool), choose.choice((1, 2, 5, 30, 1000)))):
        change(opened, place, choose)

    assert_refused_or_runs(saved, opened)


def test_what_is_changed_runs_often_enough_to_say_something(saved: Saved) -> None:
    ran = 0
    for seed in range(10):
        choose = random.Random(seed)
        opened = open_snapshot(saved.path)
        change(opened, choose.choice(saved.places), choose)
        ran += assert_refused_or_runs(saved, opened)

    assert ran >= 5


HOSTILE: dict[str, dict[tuple[str, tuple[str | int, ...]], Any]] = {
    "a time at the end of all time": {("time", ("ticks",)): (1 << 64) - 1},
    "a time that was not spent": {("time", ("charged",)): (1 << 62) - 1},
    "a character being sent that there is not": {("lpc.com2", ("sent_at",)): 0},
    "characters to send that never go": {("lpc.com2", ("sending",)): b"abc"},
    "a level-triggered timer": {("board.pic", ("master", "elcr")): 0xFF},
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_records_that_contradict_themselves_are_refused(kind: str, saved: Saved) -> None:
    opened = open_snapshot(saved.path)
    for (device, steps), value in HOSTILE[kind].items():
        holder(opened, Place(device, steps, 0, 0))[steps[-1]] = value

    with pytest.raises(SnapshotCorruptError):
        Machine.restore(saved.graph, opened)


ODD: dict[str, dict[tuple[str, tuple[str | int, ...]], Any]] = {
    "one of the latest times there are": {
        ("time", ("ticks",)): (1 << 62) - 8 * SECOND,
        ("time", ("charged",)): 0,
    },
    "a clock that begins when all ends": {("board.rtc", ("since",)): NEVER},
    "a clock in antiquity": {
        ("board.rtc", ("since",)): NEVER,
        ("board.rtc", ("second",)): -59_011_459_200,
    },
    "a timer that was due at power-on": {("board.pit", ("irq_deadline",)): 0},
    "a counter that starts when all ends": {("board.pit", ("counters", 0, "start")): NEVER},
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_times_run(kind: str, saved: Saved) -> None:
    opened = open_snapshot(saved.path)
    for (device, steps), value in ODD[kind].items():
        holder(opened, Place(device, steps, 0, 0))[steps[-1]] = value

    assert assert_refused_or_runs(saved, opened)
