# SPDX-License-Identifier: BSD-2-Clause
"""Going back to a mark: every guest of ours, and Linux, as if they had never gone on."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from support import suite
from support.suite import Outcome
from support.vmmgr import ROOT

from manager.graph.build import load_graph
from manager.machine.machine import Machine
from manager.replay import subjects
from manager.replay.processes import Processes
from manager.replay.worker import Job, Leg, Reached, run_leg
from manager.snapshot.write import write_snapshot

CUTS = 8 if os.environ.get("VMMGR_THOROUGH") else 2
MILLISECOND = 1_000_000
GUESTS = [
    ("exceptions", 64, ""),
    ("interrupts", 32, ""),
    ("debug", 32, ""),
    ("debug", 64, ""),
    ("tasks", 32, ""),
    ("v86", 32, ""),
    ("fastcalls", 64, ""),
    ("paging", 32, ""),
    ("paging", 64, ""),
    ("realmode", 16, ""),
    ("halts", 64, ""),
    ("operands", 64, ""),
    ("segments", 32, ""),
    ("routing", 32, ""),
    ("timers", 32, ""),
    ("smp", 64, "count = 4"),
    ("smp", 64, "count = 3\nschedule = { seed = 2 }"),
    ("unlocked", 64, "count = 2\nschedule = { seed = 5 }"),
]
"""Program, mode, more of its [cpu] table."""


def same(one: Outcome, two: Outcome) -> None:
    assert two.lines == one.lines
    assert two.time == one.time
    for id, record in one.records.items():
        assert two.records[id] == record, id
    assert two.ram == one.ram


@pytest.mark.parametrize(("name", "bits", "cpu"), GUESTS)
def test_a_machine_that_went_back_runs_on_as_if_it_had_not(
    name: str, bits: int, cpu: str, tmp_path: Path
) -> None:
    undisturbed = suite.run(suite.start(tmp_path, name, bits, cpu=cpu))
    choose = random.Random(f"{name}{bits}{cpu}")
    machine = suite.start(tmp_path, name, bits, cpu=cpu)
    output = bytearray()

    for cut in sorted(choose.sample(range(undisturbed.time), CUTS)):
        machine.run(cut)
        output += machine.ports["lpc.com1"].take_output()
        machine.mark()
        for _ in range(2):
            machine.run(cut + choose.randrange(undisturbed.time))
            machine.back()
    went_back = suite.run(machine)
    went_back.output["lpc.com1"] = output + went_back.output["lpc.com1"]

    same(undisturbed, went_back)


LINUX = """
[cpu]
count = 2
[disks.root]
size = "8M"
[slots.7]
device = "virtio-blk"
disk = "root"
"""


@pytest.mark.usefixtures("linux")
def test_linux_on_two_cpus_with_a_disk_runs_on_as_a_fresh_restore_does(tmp_path: Path) -> None:
    text = (ROOT / "machines" / "linux.toml").read_text().replace('"256M"', '"128M"')
    file = tmp_path / "linux.toml"
    file.write_text(text.replace('"linux/', f'"{ROOT}/machines/linux/') + LINUX)
    graph = load_graph(file)
    machine = Machine.power_on(graph)
    subjects.write(tmp_path / "machine", graph, [])

    def leg(until: int) -> Reached:
        return run_leg(subjects.OneMachine(machine), Leg(until))

    for number, at in enumerate((60, 900)):
        machine.run(at * MILLISECOND)
        until = machine.now() + 150 * MILLISECOND
        write_snapshot(tmp_path / str(number), machine.run_to_image())
        job = Job(str(tmp_path / "machine"), [Leg(until)], start=str(tmp_path / str(number)))
        [fresh] = Processes().run(job)
        for port in machine.ports.values():
            port.take_output()

        machine.mark()
        for further in (machine.now() + 1, until + 100 * MILLISECOND):
            machine.run(further)
            machine.back()
        assert leg(until) == fresh
