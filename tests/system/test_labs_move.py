# SPDX-License-Identifier: BSD-2-Clause
"""A lab as one file, elsewhere, under another name; and what snapshot's verbs say of labs."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.small_lab import ANSWERER, ASLEEP, counter, lab, states, until
from support.vmmgr import COMMAND, Vmmgr

COUNT = 2000
DOTS = COUNT // 64 + 1


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """The files of a lab, and a home in which it is suspended in the middle of what it does.

    One of its machines is over; all ran when its snapshot `before` was taken.
    """
    files = tmp_path_factory.mktemp("files")
    with tempfile.TemporaryDirectory(prefix="vmmgr-") as folder:
        vmmgr = Vmmgr(Path(folder))
        file = lab(files, asks=counter(COUNT), answers=ANSWERER, idle=ASLEEP)
        vmmgr("up", file, "-d")
        vmmgr("snapshot", "save", "duo", "before")
        vmmgr("down", "duo/idle")
        vmmgr("send", "duo/asks", "x")
        vmmgr("suspend", "duo")
        yield files, vmmgr.home


@pytest.fixture
def saved(vmmgr: Vmmgr, made: tuple[Path, Path]) -> Path:
    """The file of that lab, whose state is in the home of `vmmgr`."""
    files, home = made
    shutil.copytree(home / "state", vmmgr.home / "state", symlinks=True)
    return files / "duo.toml"


@pytest.fixture
def elsewhere() -> Iterator[Vmmgr]:
    """A user that has nothing of the lab."""
    with tempfile.TemporaryDirectory(prefix="vmmgr-") as folder:
        command = Vmmgr(Path(folder))
        yield command
        command.terminal("down", "--all").wait()


@pytest.fixture
def packed(vmmgr: Vmmgr, saved: Path, tmp_path: Path) -> Path:
    vmmgr("snapshot", "export", "duo", tmp_path / "duo.zst")
    return tmp_path / "duo.zst"


@pytest.fixture
def gone(made: tuple[Path, Path]) -> Iterator[None]:
    """The files of the lab are not there."""
    files, _ = made
    away = files.rename(files.with_name("away"))
    yield
    away.rename(files)


@pytest.mark.usefixtures("gone")
def test_a_lab_goes_on_elsewhere_from_one_file_and_its_transfer_completes(
    vmmgr: Vmmgr, elsewhere: Vmmgr, packed: Path
) -> None:
    before = vmmgr("logs", "duo/asks").stdout.count(".")
    assert before < DOTS
    elsewhere("snapshot", "import", packed, "moved")
    assert states(elsewhere)["moved"] == "suspended"
    elsewhere("snapshot", "verify", "moved")
    elsewhere("resume", "moved", "-d", "--verify")
    elsewhere("suspend", "moved")  # what was made as it was saved can be saved again
    elsewhere("resume", "moved", "-d")

    log = until(elsewhere, "moved/asks", "!")
    assert before + log.count(".") == DOTS
    status = json.loads(elsewhere("status", "moved", "--json").stdout)
    assert {one["name"]: one["state"] for one in status["machines"]}["moved/idle"] == "stopped"
    assert status["cables"][0]["ends"][0]["sent"] == COUNT


def test_a_snapshot_by_tag_is_exported_and_taken_in_beside_what_is_there(
    vmmgr: Vmmgr, saved: Path, tmp_path: Path
) -> None:
    vmmgr("snapshot", "export", "duo:before", tmp_path / "duo.zst")
    vmmgr("discard", "duo")
    vmmgr("snapshot", "import", tmp_path / "duo.zst", "duo", "again")
    vmmgr("snapshot", "restore", "duo", "again")
    vmmgr("snapshot", "rm", "duo", "before")
    vmmgr("snapshot", "rm", "duo", "again")

    vmmgr("resume", "duo", "-d")
    assert states(vmmgr)["duo/idle"] == "running"


def test_a_clone_runs_beside_its_original(vmmgr: Vmmgr, saved: Path) -> None:
    vmmgr("snapshot", "clone", "duo", "other")
    assert "already" in vmmgr("snapshot", "clone", "duo:before", "other", status=4).stderr

    for name in ("duo", "other"):
        vmmgr("resume", name, "-d")
    until(vmmgr, "other/asks", "!")
    assert states(vmmgr)["other/answers"] == "running"
    assert str(saved) in vmmgr("ls").stdout
    vmmgr("down", "other")
    assert states(vmmgr)["duo"] == "running"


def test_a_file_that_is_named_for_a_resume_has_to_be_there(
    vmmgr: Vmmgr, saved: Path, tmp_path: Path
) -> None:
    here = tmp_path / "duo"
    shutil.copytree(saved.parent, here)
    vmmgr("up", here / "duo.toml", "-d", "--set", "name=third")
    vmmgr("suspend", "third")
    shutil.rmtree(here)

    said = vmmgr("resume", here / "duo.toml", "-d", status=2).stderr

    assert f"third: there is no lab file {here / 'duo.toml'}" in said
    assert states(vmmgr)["third"] == "suspended"


def test_a_lab_is_compared_with_its_file(vmmgr: Vmmgr, saved: Path) -> None:
    other = ("--set", "machines.asks.memory.size=2M")

    for state in ("suspended", "running"):
        assert "no difference" in vmmgr("diff", "duo", saved).stdout
        told = vmmgr("diff", "duo", saved, *other, status=1).stdout
        assert f"--- duo ({state})" in told
        assert "asks: memory.size" in told
        if state == "suspended":
            vmmgr("resume", "duo", "-d")
    assert "is a lab" in vmmgr("diff", "duo", "duo/asks", status=2).stderr
    assert "changed" not in vmmgr("up", saved, "-d").stderr
    told = vmmgr("up", saved, "-d", *other).stderr
    assert "has changed since duo was booted" in told
    assert "asks: memory.size" in told
    vmmgr("down", "duo")
    assert "nothing to compare with" in vmmgr("diff", "duo", saved, status=4).stderr


def test_snapshot_verbs_take_a_lab_or_say_why_not(
    vmmgr: Vmmgr, saved: Path, tmp_path: Path
) -> None:
    whole = vmmgr("snapshot", "show", "duo").stdout
    assert "duo/asks" in whole
    assert "modem" in whole
    told = json.loads(vmmgr("snapshot", "show", "duo:before", "--json").stdout)
    assert [one["name"] for one in told["machines"]] == ["duo/answers", "duo/asks", "duo/idle"]
    assert "2 machines" in vmmgr("snapshot", "verify", "duo").stdout
    assert "duo:before" in vmmgr("snapshot", "tree", "duo").stdout

    differences = vmmgr("snapshot", "diff", "duo:before", "duo").stdout
    assert "lab: virtual time" in differences
    assert "asks: lpc.com1" in differences
    assert "idle: only in A" in differences
    assert "equal" in vmmgr("snapshot", "diff", "duo", "duo").stdout
    assert not json.loads(vmmgr("snapshot", "diff", "duo", "duo:before", "--json").stdout)["equal"]

    part = vmmgr("snapshot", "show", "duo/asks:before").stdout
    assert "machine   duo/asks" in part
    vmmgr("snapshot", "diff", "duo/asks:before", "duo/asks")
    assert "duo/asks" in vmmgr("snapshot", "tree", "duo/asks").stdout
    assert "was over" in vmmgr("snapshot", "show", "duo/idle", status=4).stderr

    for status, why, command in (
        (2, "names those of its machines", ("show", "duo", "--config")),
        (2, "the other is none", ("diff", "duo", "duo/asks")),
        (2, "duo is a lab", ("flatten", "duo")),
        (2, "duo is a lab", ("disk", "duo", "hd", "-o", tmp_path / "hd")),
        (2, "part of a lab's", ("flatten", "duo/asks")),
        (2, "there is no snapshot", ("export", "duo:never", tmp_path / "x")),
        (4, "part of the lab duo", ("clone", "duo/asks", "alone")),
        (4, "part of the lab duo", ("clone", "duo", "duo/asks")),
        (4, "part of the lab duo", ("restore", "duo/asks", "before")),
        (4, "part of the lab duo", ("rm", "duo/asks", "lab-000001")),
        (3, "there is no machine", ("show", "duo/none")),
    ):
        assert why in vmmgr("snapshot", *command, status=status).stderr, command
    vmmgr("snapshot", "gc")
    vmmgr("prune", "--force")
    assert "part of the lab duo" in vmmgr("rm", "duo/asks", status=4).stderr
    vmmgr("snapshot", "verify", "duo:before")


def test_an_archive_is_for_what_it_holds(vmmgr: Vmmgr, packed: Path, tmp_path: Path) -> None:
    part = tmp_path / "part.zst"
    vmmgr("snapshot", "export", "duo/asks", part)

    assert "duo is a lab" in vmmgr("snapshot", "import", part, "duo", "x", status=2).stderr
    assert "part of the lab" in vmmgr("snapshot", "import", part, "duo/asks", status=4).stderr
    vmmgr("snapshot", "import", part, "alone")
    assert (
        "alone is a machine" in vmmgr("snapshot", "import", packed, "alone", "x", status=2).stderr
    )
    assert "already" in vmmgr("snapshot", "import", packed, "duo", status=2).stderr
    assert (
        "not one directory"
        in vmmgr("snapshot", "convert", packed, tmp_path / "folder", status=2).stderr
    )


def test_a_damaged_archive_leaves_nothing_and_one_that_is_killed_nothing_that_counts(
    elsewhere: Vmmgr, packed: Path, tmp_path: Path
) -> None:
    short = tmp_path / "short.zst"
    short.write_bytes(packed.read_bytes()[:-100])
    assert "short.zst" in elsewhere("snapshot", "import", short, "moved", status=7).stderr
    assert not (elsewhere.home / "state" / "moved").exists()

    for call, nth in (("rename", 1), ("symlink", 3)):
        import_killed_at(elsewhere, packed, call, nth)
        assert set(states(elsewhere).values()) <= {"stopped"}, (call, nth)
        assert elsewhere.any("resume", "moved", "-d").returncode in (3, 4)
    elsewhere("snapshot", "import", packed, "moved")
    elsewhere("resume", "moved", "-d")
    stores = (elsewhere.home / "state" / "moved").rglob("snapshots/*")
    assert not [entry for entry in stores if ".tmp-" in entry.name]


def import_killed_at(vmmgr: Vmmgr, file: Path, call: str, nth: int) -> None:
    inject = ["-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={nth}"]
    command = ["snapshot", "import", str(file), "moved"]
    done = subprocess.run(
        ["strace", "-f", "-qq", "-o", "/dev/null", *inject, *COMMAND, *command],
        env=vmmgr.env,
        cwd=vmmgr.tree,
        check=False,
        capture_output=True,
    )
    assert done.returncode in (-9, 137), done.stderr
