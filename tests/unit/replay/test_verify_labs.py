# SPDX-License-Identifier: BSD-2-Clause
"""A lab that is suspended anywhere goes on as if nothing had happened, or it is told where not."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.small_lab import ANSWERER, counter, lab

from manager.bus.record import Record
from manager.devices.pit.device import Pit
from manager.graph.lab import Lab
from manager.graph.labs import load_lab
from manager.lab.cables import Cable, CableState
from manager.machine.inputs import DATA, Input
from manager.replay.verify import Plan, Report, Verification

from .conftest import MILLISECOND
from .test_verify_any_machine import Here

pytestmark = pytest.mark.guest

UNTIL = 4 * MILLISECOND
TYPED = (Input(MILLISECOND, DATA, "one/lpc.com1", b"x"),)
STEP = 100_000
POWER_OFF = """mov ax, 0x2000
        mov dx, 0x604
        out dx, ax
        jmp rest
"""


def verified(plan: Plan, folder: Path) -> Report:
    return Verification(plan, folder / "states", Here(2)).run()


def duo(folder: Path, **sources: str) -> Lab:
    sources = sources or {"one": counter(300), "two": ANSWERER}
    return load_lab(lab(folder, **sources))


def test_points_are_ends_of_quanta(tmp_path: Path) -> None:
    plan = Plan(duo(tmp_path), UNTIL + 77, 12, 1)

    assert plan.end == UNTIL
    assert len(set(plan.cuts())) == 12
    assert all(cut % STEP == 0 and 0 < cut < UNTIL for cut in plan.cuts())


def test_a_lab_suspended_at_random_points_is_the_same(tmp_path: Path) -> None:
    report = verified(Plan(duo(tmp_path), UNTIL, 8, 4, TYPED), tmp_path)

    assert report.mismatch is None, report.mismatch
    assert report.points == 8


def test_a_lab_whose_machines_end_one_by_one_is_the_same(tmp_path: Path) -> None:
    sources = {"one": counter(3, POWER_OFF), "two": ANSWERER.replace("jmp wait", "hlt", 1)}
    report = verified(Plan(duo(tmp_path, **sources), UNTIL, 8, 4, TYPED), tmp_path)

    assert report.mismatch is None, report.mismatch


def test_a_cable_that_forgets_what_it_carries_is_located(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Cable.load

    def forgetful(self: Cable, state: CableState) -> None:
        for end in state.ends:
            end.flying.clear()
        honest(self, state)

    monkeypatch.setattr(Cable, "load", forgetful)
    report = verified(Plan(duo(tmp_path), UNTIL, 8, 4, TYPED), tmp_path)

    assert report.mismatch is not None
    assert report.mismatch.at - report.mismatch.after == STEP
    assert any(item.where.startswith("cables.modem") for item in report.mismatch.differences)


def test_a_device_of_a_machine_that_forgets_a_field_is_located(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Pit.load

    def forgetful(self: Pit, record: Record) -> None:
        record.counters[2].reload ^= 0x100
        honest(self, record)

    monkeypatch.setattr(Pit, "load", forgetful)
    report = verified(Plan(duo(tmp_path), UNTIL, 3, 4, TYPED), tmp_path)

    assert report.mismatch is not None
    assert [item.where for item in report.mismatch.differences][:1] == [
        "one/board.pit.counters[2].reload"
    ]
    assert report.mismatch.states is not None
    assert all((path / "snapshot.vmms").exists() for path in report.mismatch.states)
