# SPDX-License-Identifier: BSD-2-Clause
"""Programs for several CPUs, on a whole machine: see tests/guests/smp.S."""

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
