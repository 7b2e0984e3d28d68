# SPDX-License-Identifier: BSD-2-Clause
"""A state goes on in the machine that it was saved of, and in no other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.vmmgr import ROOT, Vmmgr

import manager
from manager.errors import SnapshotMismatchError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A machine file with an image of its own beside it."""
    (tmp_path / "hello.bin").write_bytes((ROOT / "machines/hello/hello.bin").read_bytes())
    file = tmp_path / "web.toml"
    text = (ROOT / "machines/hello.toml").read_text()
    file.write_text(text.replace("hello/hello.bin", "hello.bin"))
    return file


def rebuild(project: Path) -> None:
    """Another content, the same size."""
    image = project.with_name("hello.bin")
    image.write_bytes(image.read_bytes().replace(b"Hello from", b"Hallo from"))


@pytest.mark.parametrize("verb", [("up",), ("resume",)])
def test_a_machine_is_not_resumed_after_its_image_changed(
    vmmgr: Vmmgr, project: Path, verb: tuple[str, ...]
) -> None:
    vmmgr("up", project, "-d")
    vmmgr("suspend", project)
    rebuild(project)

    result = vmmgr(*verb, project, "-d", status=5)

    assert f"boot.image: {project.parent}/hello.bin is not the file" in result.stderr
    assert json.loads(vmmgr("status", project, "--json").stdout)["state"] == "suspended"
    vmmgr("up", project, "-d", "--fresh", "-y")
    assert "Hallo from" in vmmgr("logs", project).stdout


def test_what_was_booted_counts_not_what_was_there_at_the_suspend(
    vmmgr: Vmmgr, project: Path
) -> None:
    original = project.with_name("hello.bin").read_bytes()
    vmmgr("up", project, "-d")
    rebuild(project)
    vmmgr("suspend", project)

    vmmgr("resume", project, "-d", status=5)
    project.with_name("hello.bin").write_bytes(original)
    vmmgr("resume", project, "-d")
    rebuild(project)
    vmmgr("suspend", project)
    vmmgr("resume", project, "-d", status=5)


def test_a_file_that_was_only_touched_is_the_same(vmmgr: Vmmgr, project: Path) -> None:
    vmmgr("up", project, "-d")
    vmmgr("suspend", project)
    project.with_name("hello.bin").touch()

    vmmgr("resume", project, "-d")


def test_the_python_api_compares_too(project: Path, tmp_path: Path) -> None:
    definition = manager.load(project)
    with definition.boot() as machine:
        machine.run_for("1ms")
        machine.snapshot(tmp_path / "saved")
    rebuild(project)

    with pytest.raises(SnapshotMismatchError, match="booted from something else"):
        definition.resume(tmp_path / "saved")


def test_up_of_a_running_machine_says_what_has_changed(vmmgr: Vmmgr, project: Path) -> None:
    vmmgr("up", project, "-d")
    assert "has changed" not in vmmgr("up", project, "-d").stderr
    rebuild(project)
    project.write_text(project.read_text().replace('size = "16M"', 'size = "32M"'))

    said = vmmgr("up", project, "-d").stderr

    assert f"{project} has changed since web was booted:" in said
    assert "  ~ memory.size: 16 MiB -> 32 MiB" in said
    assert f"~ boot.image: the content of {project.parent}/hello.bin has changed" in said
    assert "vmmgr restart web" in said


def test_an_import_does_not_go_over_a_machine(vmmgr: Vmmgr, project: Path, tmp_path: Path) -> None:
    archive = tmp_path / "saved.vmmz"
    vmmgr("up", project, "-d")
    vmmgr("snapshot", "save", "web", "before")
    vmmgr("snapshot", "export", "web:before", archive)

    assert "is running" in vmmgr("snapshot", "import", archive, "web", status=4).stderr
    vmmgr("suspend", "web")
    vmmgr("snapshot", "import", archive, "web", status=2)
    vmmgr("snapshot", "import", archive, "web", "again")
    assert json.loads(vmmgr("status", "web", "--json").stdout)["state"] == "suspended"


@pytest.mark.parametrize("file_is_there", [True, False])
def test_a_snapshot_imported_under_another_name_can_be_resumed(
    vmmgr: Vmmgr, project: Path, tmp_path: Path, file_is_there: bool
) -> None:
    archive = tmp_path / "saved.vmmz"
    vmmgr("up", project, "-d")
    vmmgr("suspend", project)
    vmmgr("snapshot", "export", "web", archive)
    vmmgr("discard", "web")
    vmmgr("snapshot", "import", archive, "other")
    if not file_is_there:
        project.unlink()

    vmmgr("resume", "other", "-d")
    vmmgr("send", "other", r"u\r")
    vmmgr("suspend", "other")
    vmmgr("resume", "other", "-d")

    status = json.loads(vmmgr("status", "other", "--json").stdout)
    assert (status["state"], status["name"]) == ("running", "other")
