# SPDX-License-Identifier: BSD-2-Clause
"""Programs that try out the CPU, on a whole machine: see tests/guests."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from support import suite
from support.suite import Outcome

GUESTS = [
    ("exceptions", 32, "qemu64", 66),
    ("exceptions", 64, "qemu64", 64),
    ("exceptions", 64, "haswell", 64),
    ("interrupts", 32, "qemu64", 17),
    ("interrupts", 64, "qemu64", 16),
    ("debug", 32, "qemu64", 31),
    ("debug", 64, "qemu64", 29),
    ("tasks", 32, "qemu64", 35),
    ("v86", 32, "qemu64", 22),
    ("fastcalls", 32, "qemu64", 19),
    ("fastcalls", 32, "core2duo", 12),
    ("fastcalls", 64, "qemu64", 16),
    ("fastcalls", 64, "core2duo", 26),
    ("registers", 32, "qemu64", 50),
    ("registers", 64, "qemu64", 77),
    ("registers", 64, "haswell", 80),
    ("paging", 32, "qemu64", 22),
    ("paging", 64, "qemu64", 19),
    ("paging", 64, "skylake-client", 21),
    ("realmode", 16, "qemu64", 39),
    ("halts", 32, "qemu64", 6),
    ("halts", 64, "qemu64", 6),
    ("fpu", 32, "qemu64", 10),
    ("fpu", 64, "qemu64", 10),
    ("blocks", 32, "qemu64", 2),
    ("blocks", 64, "qemu64", 2),
    ("x87", 32, "qemu64", 19),
    ("x87", 64, "qemu64", 19),
    ("operands", 32, "qemu64", 150),
    ("operands", 64, "haswell", 220),
    ("segments", 32, "qemu64", 55),
    ("segments", 64, "qemu64", 5),
    ("differences", 32, "qemu64", 7),
    ("differences", 64, "qemu64", 7),
]
"""Program, mode, CPU model, how many checks it makes."""
NAMES = [f"{name}-{bits}-{model}" for name, bits, model, _ in GUESTS]


def whole(folder: Path, name: str, bits: int, model: str) -> Outcome:
    """The program in one undisturbed run."""
    return suite.run(suite.start(folder, name, bits, model=model))


def assert_same(one: Outcome, two: Outcome) -> None:
    assert two.lines == one.lines
    assert two.time == one.time
    for id, record in one.records.items():
        assert two.records[id] == record, id
    assert two.ram == one.ram


@pytest.mark.parametrize(("name", "bits", "model", "checks"), GUESTS, ids=NAMES)
def test_cpu_does_what_the_program_expects(
    name: str, bits: int, model: str, checks: int, tmp_path: Path
) -> None:
    suite.passes(whole(tmp_path, name, bits, model), checks=checks)


@pytest.mark.parametrize(("name", "bits", "model", "checks"), GUESTS, ids=NAMES)
def test_slices_of_a_run_cannot_be_seen(
    name: str, bits: int, model: str, checks: int, tmp_path: Path
) -> None:
    undisturbed = whole(tmp_path, name, bits, model)

    for slice_ in (1000, 7777, 100_000):
        sliced = suite.run(suite.start(tmp_path, name, bits, model=model), slice_=slice_)
        assert_same(undisturbed, sliced)


@pytest.mark.parametrize(("name", "bits", "model", "checks"), GUESTS, ids=NAMES)
def test_state_moves_to_a_new_engine_at_any_point(
    name: str, bits: int, model: str, checks: int, tmp_path: Path
) -> None:
    undisturbed = whole(tmp_path, name, bits, model)
    choose = random.Random(f"{name}{bits}")
    machine = suite.start(tmp_path, name, bits, model=model)
    output = bytearray()

    for number, cut in enumerate(sorted(choose.sample(range(undisturbed.time), 5))):
        machine.run(cut)
        output += machine.ports["lpc.com1"].take_output()
        machine = suite.through_snapshot(machine, tmp_path / f"{number}.vms")
    moved = suite.run(machine)
    moved.output["lpc.com1"] = output + moved.output["lpc.com1"]

    assert_same(undisturbed, moved)
