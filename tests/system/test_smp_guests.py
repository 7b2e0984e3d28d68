# SPDX-License-Identifier: BSD-2-Clause
"""Programs for several CPUs, on a whole machine: tests/guests/smp.S and unlocked.S."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from support import suite
from support.suite import Outcome

from manager.machine.machine import Machine

MACHINES = [(64, 2), (64, 4), (64, 15), (32, 2), (32, 3)]
CHECKS = 20
SOME = [(64, 2, None), (64, 4, None), (32, 3, None), (64, 2, 1), (64, 3, 2), (32, 2, 3)]
"""Mode, CPUs, seed."""


def start(folder: Path, bits: int, count: int, seed: int | None = None) -> Machine:
    schedule = f"\nschedule = {{ seed = {seed} }}" if seed is not None else ""
    return suite.start(folder, "smp", bits, cpu=f"count = {count}{schedule}")


def assert_same(one: Outcome, two: Outcome) -> None:
    assert two.lines == one.lines
    assert two.time == one.time
    assert two.records == one.records
    assert two.ram == one.ram


@pytest.mark.parametrize(("bits", "count"), MACHINES)
def test_cpus_do_what_the_program_expects(bits: int, count: int, tmp_path: Path) -> None:
    suite.passes(suite.run(start(tmp_path, bits, count)), checks=CHECKS)


@pytest.mark.parametrize("seed", range(8))
def test_cpus_do_it_under_any_schedule(seed: int, tmp_path: Path) -> None:
    suite.passes(suite.run(start(tmp_path, 64, 2 + seed % 3, seed)), checks=CHECKS)


@pytest.mark.parametrize(("bits", "count", "seed"), SOME)
def test_slices_of_a_run_cannot_be_seen(
    bits: int, count: int, seed: int | None, tmp_path: Path
) -> None:
    undisturbed = suite.run(start(tmp_path, bits, count, seed))

    for slice_ in (1000, 7777, 100_000):
        assert_same(undisturbed, suite.run(start(tmp_path, bits, count, seed), slice_=slice_))


@pytest.mark.parametrize(("bits", "count", "seed"), SOME)
def test_state_moves_to_a_new_engine_at_any_point(
    bits: int, count: int, seed: int | None, tmp_path: Path
) -> None:
    undisturbed = suite.run(start(tmp_path, bits, count, seed))
    choose = random.Random(f"{bits} {count} {seed}")
    machine = start(tmp_path, bits, count, seed)
    output = bytearray()

    for number, cut in enumerate(sorted(choose.sample(range(undisturbed.time), 12))):
        machine.run(cut)
        output += machine.ports["lpc.com1"].take_output()
        machine = suite.through_snapshot(machine, tmp_path / f"{number}.vms")
    moved = suite.run(machine)
    moved.output["lpc.com1"] = output + moved.output["lpc.com1"]

    assert_same(undisturbed, moved)


def lost(folder: Path, bits: int, schedule: str) -> set[str]:
    """Which ways of changing a variable of two CPUs have lost changes."""
    cpu = f'count = 2\nquantum = "2us"\nschedule = {schedule}'
    lines = suite.run(suite.start(folder, "unlocked", bits, cpu=cpu)).lines
    assert len([line for line in lines if line.startswith(("ok ", "FAIL "))]) == 6, lines
    return {line.split()[1].rstrip(":") for line in lines if line.startswith("FAIL ")}


@pytest.mark.parametrize("bits", [32, 64])
def test_changes_without_lock_are_lost_under_some_seeds_and_those_with_lock_never(
    bits: int, tmp_path: Path
) -> None:
    found = set.union(*(lost(tmp_path, bits, f"{{ seed = {seed} }}") for seed in range(6)))

    assert found == {"INC", "ADD", "XADD"}


@pytest.mark.parametrize("schedule", ['"fair"', "{ seed = 1, tear = false }"])
def test_an_instruction_is_whole_where_none_is_torn(schedule: str, tmp_path: Path) -> None:
    assert lost(tmp_path, 64, schedule) == set()
