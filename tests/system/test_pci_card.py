# SPDX-License-Identifier: BSD-2-Clause
"""A PCI card on a whole machine, driven by a program of our own: see tests/guests/pci-card.S."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from support import suite
from support.pci_card import plugged
from support.suite import Outcome
from support.vmmgr import ROOT

from manager.machine.machine import Machine
from manager.snapshot.read import open_snapshot
from manager.snapshot.write import write_snapshot

CHECKS = {32: 60, 64: 62}
POINTS = 12
IN_ANOTHER_PROCESS = """
import sys
from pathlib import Path
from test_pci_card import as_json, finished, restored
print(as_json(finished(restored(Path(sys.argv[1]), Path(sys.argv[2])))))
"""


def machine(folder: Path, bits: int = 64) -> Machine:
    return Machine.power_on(plugged(suite.graph(folder, "pci-card", bits)))


def restored(folder: Path, snapshot: Path) -> Machine:
    return Machine.restore(plugged(suite.graph(folder, "pci-card", 64)), open_snapshot(snapshot))


def finished(running: Machine) -> Outcome:
    return suite.run(running)


def as_json(outcome: Outcome) -> str:
    return json.dumps(asdict(outcome), default=lambda data: data.hex())


def later(first: Outcome, second: Outcome) -> Outcome:
    """What came of both parts of a run."""
    for port, output in first.output.items():
        second.output[port] = output + second.output[port]
    return second


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The run without a break."""
    return finished(machine(tmp_path_factory.mktemp("straight")))


@pytest.mark.parametrize("bits", [32, 64])
def test_driver_of_the_card_finds_nothing_wrong(bits: int, tmp_path: Path) -> None:
    suite.passes(finished(machine(tmp_path, bits)), checks=CHECKS[bits])


def test_slices_of_a_run_cannot_be_seen(straight: Outcome, tmp_path: Path) -> None:
    assert suite.run(machine(tmp_path), slice_=3_000) == straight


@pytest.mark.parametrize("point", range(POINTS))
def test_a_suspend_anywhere_cannot_be_seen(straight: Outcome, point: int, tmp_path: Path) -> None:
    begun = machine(tmp_path)
    at = random.Random(point).randrange(straight.time)

    first = suite.run(begun, limit=at)
    second = finished(suite.through_snapshot(begun, tmp_path / "snapshot"))

    assert later(first, second) == straight


def test_a_machine_with_moved_bars_goes_on_in_another_process(
    straight: Outcome, tmp_path: Path
) -> None:
    begun = machine(tmp_path)
    first = suite.run(begun, limit=straight.time * 2 // 3)
    write_snapshot(tmp_path / "snapshot", begun.run_to_image())

    done = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS, tmp_path, tmp_path / "snapshot"],
        env={"PYTHONPATH": f"{ROOT}:{ROOT}/tests:{Path(__file__).parent}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=True,
        text=True,
    )

    second = json.loads(done.stdout)
    second["output"] = {
        port: first.output[port].hex() + text for port, text in second["output"].items()
    }
    assert second == json.loads(as_json(straight))
