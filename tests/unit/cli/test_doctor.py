# SPDX-License-Identifier: BSD-2-Clause
"""The doctor says what it found and what that means."""

from __future__ import annotations

import json
import resource

import pytest

from manager.cli.main import main
from manager.cli.verbs import doctor


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("VMMGR_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def findings(capsys: pytest.CaptureFixture[str], status: int) -> dict[str, dict[str, str]]:
    assert main(["doctor", "--json"]) == status
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == 1
    return {finding["check"]: finding for finding in told["findings"]}


def test_all_is_well_here(capsys) -> None:
    found = findings(capsys, 0)

    assert found["engine"]["found"] == "self-test passed"
    assert {"Python", "Unicorn", "userfaultfd", "open files", "state", "sockets"} <= found.keys()


def test_looking_leaves_no_machine_behind(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("VMMGR_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)

    findings(capsys, 0)

    assert list(tmp_path.iterdir()) == []


def test_a_broken_engine_is_exit_code_1(capsys, monkeypatch) -> None:
    monkeypatch.setattr(doctor, "_run_guest", lambda: (41, 7))

    found = findings(capsys, 1)

    assert found["engine"]["verdict"] == "error"
    assert "no machine can run" in found["engine"]["meaning"]


def test_a_state_directory_that_cannot_be_used(capsys, monkeypatch) -> None:
    monkeypatch.setenv("VMMGR_STATE_HOME", "/proc/1")
    monkeypatch.setattr("os.access", lambda path, mode: False)

    found = findings(capsys, 1)

    assert found["state"]["found"] == "/proc/1 is not writable"


def test_few_descriptors_are_a_warning(capsys, monkeypatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda what: (64, 64))

    assert findings(capsys, 0)["open files"]["verdict"] == "warning"


def test_people_read_lines(capsys) -> None:
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("ok       Python")
