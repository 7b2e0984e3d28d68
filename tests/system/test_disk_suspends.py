# SPDX-License-Identifier: BSD-2-Clause
"""A guest that writes to its disk is suspended at random moments: nothing is lost or done twice.

The number of suspends is small here; with `VMMGR_THOROUGH=1` it is that of the documentation, 200.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from support.disk_writer import writer, written

from manager.bus.memory import Ram
from manager.graph.build import load_graph
from manager.graph.nodes import Graph
from manager.machine.machine import Machine
from manager.snapshot.read import open_snapshot, verify_snapshot
from manager.snapshot.store import Store

THOROUGH = os.environ.get("VMMGR_THOROUGH") == "1"
SUSPENDS = 200 if THOROUGH else 24
SECTORS = 400
STEP = 1_000_000


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    return load_graph(writer(tmp_path, 'size = "1M"', count=SECTORS))


def output_of(machine: Machine) -> bytes:
    found: bytes = machine.ports["lpc.com1"].take_output()
    return found


def test_random_suspends_leave_the_disk_of_a_run_without_any(graph: Graph, tmp_path: Path) -> None:
    """Half of them incremental; each resume has nothing but the snapshot."""
    whole = Machine.power_on(graph)
    output = b""
    while b"." not in output:
        whole.run(whole.now() + STEP)
        output += output_of(whole)
    length = whole.now()
    expected = b"".join(whole.disks["root"].content())
    whole.disks.close()
    assert expected[: SECTORS * 512] == written(0, SECTORS)

    chance = random.Random(13)
    store = Store(tmp_path / "store")
    machine = Machine.power_on(graph)
    again, partial = b"", 0
    for moment in sorted(chance.sample(range(1, length), SUSPENDS)):
        machine.run(max(moment, machine.now()))
        again += output_of(machine)
        if chance.random() < 0.5:
            for region in machine.memory.regions:
                if isinstance(region.memory, Ram):
                    region.memory.backing = None
        path = store.commit(machine.run_to_image())
        again += output_of(machine)
        machine.disks.close()
        partial += 0 < len(again) < SECTORS
        machine = Machine.restore(graph, open_snapshot(path))
    verify_snapshot(path)
    machine.run(length)
    again += output_of(machine)

    assert b"".join(machine.disks["root"].content()) == expected
    assert again == output
    assert machine.now() == length
    assert partial > SUSPENDS // 2, "the suspends did not fall into the writing"
    machine.disks.close()
