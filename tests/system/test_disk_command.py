# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr disk`: what disks hold, and images of them. Disks are written as a guest would."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.disk_writer import writer, written
from support.vmmgr import Vmmgr
from support.write_back import prepare, stopped

SECTORS = 64
BEFORE = b"\xaa" * 512
CONTENT = written(0, 24)
AFTER = CONTENT + BEFORE * (SECTORS - 24)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(BEFORE * SECTORS)
    return path


@pytest.fixture
def machine(image: Path, vmmgr: Vmmgr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine file; the machine has written and is powered off."""
    home = vmmgr.home / "state"
    monkeypatch.setenv("VMMGR_STATE_HOME", str(home))
    file = writer(tmp_path, 'image = "disk.img"')
    prepare(file, home, CONTENT)
    return file


def test_ls_and_show_tell_what_was_written(vmmgr: Vmmgr, machine: Path, image: Path) -> None:
    listed = vmmgr("disk", "ls").stdout
    shown = vmmgr("disk", "show", "writer").stdout
    [disk] = json.loads(vmmgr("disk", "ls", "writer", "--json").stdout)["disks"]

    assert "writer   root  32 KiB" in listed
    assert str(image) in listed
    assert "layer        8 KiB in" in shown
    assert disk["layers"][0]["blocks"] == 2
    assert disk["image"] == str(image)
    assert not disk["half_written"]


def test_commit_writes_a_copy_and_leaves_the_image(
    vmmgr: Vmmgr, machine: Path, image: Path, tmp_path: Path
) -> None:
    vmmgr("disk", "commit", "writer", "root", "-o", tmp_path / "new.img")
    again = vmmgr("disk", "export", "writer", "root", "-o", tmp_path / "new.img", status=2)

    assert (tmp_path / "new.img").read_bytes() == AFTER
    assert image.read_bytes() == BEFORE * SECTORS
    assert "exists" in again.stderr


def test_commit_writes_the_image_when_asked_to(vmmgr: Vmmgr, machine: Path, image: Path) -> None:
    vmmgr("disk", "commit", machine, "root", "--image")

    assert image.read_bytes() == AFTER
    [disk] = json.loads(vmmgr("disk", "ls", "writer", "--json").stdout)["disks"]
    assert disk["layers"] == []
    with stopped(machine, vmmgr.home / "state") as (_, _, disks):
        assert disks["root"].read(0, len(AFTER)) == AFTER


def test_reset_forgets_what_was_written(vmmgr: Vmmgr, machine: Path, image: Path) -> None:
    image.write_bytes(b"\xbb" * 512 * SECTORS)
    refused = vmmgr("up", "-d", machine, status=5)

    vmmgr("disk", "reset", "writer", "root")

    assert "vmmgr disk reset" in refused.stderr
    with stopped(machine, vmmgr.home / "state") as (_, _, disks):
        assert disks["root"].read(0, 512) == b"\xbb" * 512


def test_commands_refuse_a_running_or_suspended_machine(
    vmmgr: Vmmgr, machine: Path, tmp_path: Path
) -> None:
    vmmgr("up", "-d", machine)
    running = vmmgr("disk", "export", "writer", "root", "-o", tmp_path / "x.img", status=4)
    vmmgr("snapshot", "save", "writer", "now")
    vmmgr("suspend", "writer")
    suspended = vmmgr("disk", "commit", "writer", "root", "--image", status=4)
    vmmgr("disk", "export", "writer", "root", "-o", tmp_path / "x.img")
    vmmgr("discard", "writer")
    needed = vmmgr("disk", "commit", "writer", "root", "--image", status=4)
    vmmgr("disk", "commit", "writer", "root", "--image", "--force")

    assert "vmmgr down writer" in running.stderr
    assert "is suspended" in suspended.stderr
    assert "snapshots of writer need" in needed.stderr
    assert (tmp_path / "x.img").read_bytes()[: 8 * 512] == written()


def test_a_name_that_is_not_there_is_an_error(vmmgr: Vmmgr, machine: Path, tmp_path: Path) -> None:
    other = vmmgr("disk", "export", "writer", "rot", "-o", tmp_path / "x.img", status=2)

    assert 'writer has no disk "rot"' in other.stderr
    vmmgr("disk", "show", "writer", "rot", status=2)
    vmmgr("disk", "ls", "nobody", status=3)


def test_new_makes_images(vmmgr: Vmmgr, tmp_path: Path) -> None:
    folder = tmp_path / "content"
    folder.mkdir()
    (folder / "hello.txt").write_text("hello")

    vmmgr("disk", "new", tmp_path / "empty.img", "1G")
    vmmgr("disk", "new", tmp_path / "root.img", "--folder", folder, "--format", "ext4")

    status = (tmp_path / "empty.img").stat()
    assert (status.st_size, status.st_blocks) == (1 << 30, 0)
    assert (tmp_path / "root.img").read_bytes()[0x438:0x43A] == b"\x53\xef"
    assert "exists" in vmmgr("disk", "new", tmp_path / "root.img", "1G", status=2).stderr
    assert "512" in vmmgr("disk", "new", tmp_path / "odd.img", "1000", status=2).stderr
    assert "needs a size" in vmmgr("disk", "new", tmp_path / "odd.img", status=2).stderr


def test_the_ready_cache_keeps_disks_and_gives_up_nothing_that_was_written(
    vmmgr: Vmmgr, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = vmmgr.home / "state"
    monkeypatch.setenv("VMMGR_STATE_HOME", str(home))
    file = writer(tmp_path, 'image = "disk.img"', count=1)
    file.write_text(file.read_text() + "cache = true\n")

    vmmgr("up", "-d", file)
    vmmgr("down", "writer")
    prepare(file, home, written(0, 24))  # the user goes on and writes
    vmmgr("up", "-d", file)
    vmmgr("down", "writer")

    with stopped(file, home) as (_, _, disks):
        assert disks["root"].read(0, len(AFTER)) == AFTER
    vmmgr("disk", "reset", "writer")
    taken = vmmgr("up", "-d", file)
    vmmgr("down", "writer")
    assert "taken from the ready cache" in taken.stderr
    with stopped(file, home) as (_, _, disks):
        assert disks["root"].read(0, 1024) == written(0, 1) + BEFORE
