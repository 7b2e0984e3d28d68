# SPDX-License-Identifier: BSD-2-Clause
"""A machine that is suspended anywhere goes on as if nothing had happened, or it is told where not.

The injected faults live in a worker of their own: new processes, as for an honest machine.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from manager.graph.nodes import Graph
from manager.machine.inputs import Input
from manager.replay.processes import Processes
from manager.replay.verify import Plan, Report, Verification

from .conftest import MILLISECOND

pytestmark = pytest.mark.guest

UNTIL = 700 * MILLISECOND
TYPED = (
    Input(300 * MILLISECOND, "data", "lpc.com1", b"u"),
    Input(350 * MILLISECOND + 77, "data", "lpc.com1", b"\rm\r"),
)

PEEKS_AT_THE_HOSTS_CLOCK = """
import time
from manager.devices.pic.device import Pic
from manager.devices.rtc.device import Rtc
honest, save = Pic.acknowledge, Rtc.save
count = 0
def acknowledge(self):
    global count
    count += 1
    return honest(self)
def tampered(self):
    record = save(self)
    if count >= 20:
        record.cmos[100:108] = time.time_ns().to_bytes(8, "little")
    return record
Pic.acknowledge, Rtc.save = acknowledge, tampered
"""
FORGETS_A_FIELD_AT_RESTORE = """
from manager.devices.pit.device import Pit
honest = Pit.load
def load(self, record):
    record.counters[2].reload ^= 0x100
    honest(self, record)
Pit.load = load
"""


def verified(
    graph: Graph, folder: Path, *, fault: str = "", points: int = 3, seed: int = 4
) -> Report:
    worker = folder / "worker.py"
    worker.write_text(f"{fault}\nfrom manager.replay.worker import main\nmain()\n")
    processes = Processes(2, (sys.executable, str(worker)))
    plan = Plan(graph, UNTIL, points, seed, TYPED)
    return Verification(plan, folder / "states", processes).run()


def test_hello_suspended_at_random_points_is_the_same(hello: Graph, tmp_path: Path) -> None:
    report = verified(hello, tmp_path, points=6)

    assert report.mismatch is None
    assert report.points == 6
    assert report.processes == 2 + 6 + 2


def test_points_follow_from_the_seed(hello: Graph) -> None:
    one, two = Plan(hello, UNTIL, 5, 1), Plan(hello, UNTIL, 5, 2)

    assert one.cuts() == one.cuts() != two.cuts()
    assert all(0 < cut < UNTIL for cut in one.cuts())


def test_device_that_peeks_at_the_hosts_clock_is_caught(hello: Graph, tmp_path: Path) -> None:
    report = verified(hello, tmp_path, fault=PEEKS_AT_THE_HOSTS_CLOCK)

    assert report.mismatch is not None
    assert any("board.rtc" in item.where for item in report.mismatch.differences)
    assert report.mismatch.at - report.mismatch.after <= 1
    assert 10 * MILLISECOND < report.mismatch.at < UNTIL
    assert report.mismatch.states is not None
    assert all((path / "snapshot.vmms").exists() for path in report.mismatch.states)


def test_device_that_forgets_a_field_is_located(hello: Graph, tmp_path: Path) -> None:
    report = verified(hello, tmp_path, fault=FORGETS_A_FIELD_AT_RESTORE)

    assert report.mismatch is not None
    assert [item.where for item in report.mismatch.differences][:1] == [
        "board.pit.counters[2].reload"
    ]


def test_worker_that_fails_is_an_error_with_its_reason(hello: Graph, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="no such luck"):
        verified(hello, tmp_path, fault="raise SystemExit('no such luck')")
