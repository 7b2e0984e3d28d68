# SPDX-License-Identifier: BSD-2-Clause
"""The verbs of `vmmgr snapshot` on a machine with a disk that its guest writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.disk_writer import writer, written
from support.vmmgr import Vmmgr

SECTORS = 256
BEFORE = b"\xaa" * 512
ONE = written(0, 8) + BEFORE * (SECTORS - 8)
TWO = ONE[: 100 * 512] + written(100, 2, 0x2222) + ONE[102 * 512 :]


@pytest.fixture
def saved(vmmgr: Vmmgr, tmp_path: Path) -> Path:
    """A machine's folder; its disk was ONE at `one`, and is TWO at `two` and as suspended."""
    (tmp_path / "disk.img").write_bytes(BEFORE * SECTORS)
    disk = 'image = "disk.img"'
    vmmgr("up", "-d", writer(tmp_path, disk))
    vmmgr("snapshot", "save", "writer", "one")
    vmmgr("down", "writer")
    vmmgr("up", "-d", writer(tmp_path, disk, first=100, count=2, fill=0x2222))
    vmmgr("snapshot", "save", "writer", "two")
    vmmgr("suspend", "writer")
    return tmp_path


def disk_of(vmmgr: Vmmgr, snapshot: str | Path, folder: Path) -> bytes:
    path = folder / "out.img"
    path.unlink(missing_ok=True)
    vmmgr("snapshot", "disk", snapshot, "root", "-o", path)
    return path.read_bytes()


def test_disk_writes_it_as_it_was_and_diff_names_what_changed(vmmgr: Vmmgr, saved: Path) -> None:
    assert disk_of(vmmgr, "writer:one", saved) == ONE
    assert disk_of(vmmgr, "writer:two", saved) == TWO
    assert disk_of(vmmgr, "writer", saved) == TWO
    changes = vmmgr("snapshot", "diff", "writer:one", "writer").stdout
    assert "disk root sectors 96-103: 4 KiB" in changes
    same = json.loads(vmmgr("snapshot", "diff", "writer:two", "writer", "--json").stdout)
    assert same["disks"] == []
    shown = vmmgr("snapshot", "show", "writer:one").stdout
    assert "disk      root, 128 KiB, over an image" in shown
    assert "4 KiB written to disks" in vmmgr("snapshot", "verify", "writer:one").stdout

    exists = vmmgr("snapshot", "disk", "writer", "root", "-o", saved / "out.img", status=2)
    other = vmmgr("snapshot", "disk", "writer", "rot", "-o", saved / "no.img", status=2)
    assert "exists" in exists.stderr
    assert 'it has no disk "rot"' in other.stderr
    assert "its disks: root" in other.stderr
    (saved / "disk.img").write_bytes(bytes(SECTORS * 512))
    changed = vmmgr("snapshot", "disk", "writer", "root", "-o", saved / "no.img", status=5)
    assert "disk.img has changed since the machine was saved" in changed.stderr
    assert not (saved / "no.img").exists()


@pytest.mark.parametrize("fate", ["missing", "changed"])
def test_diff_without_the_image_still_tells_of_the_rest(
    vmmgr: Vmmgr, saved: Path, fate: str
) -> None:
    image = saved / "disk.img"
    image.unlink() if fate == "missing" else image.write_bytes(bytes(SECTORS * 512))

    changes = vmmgr("snapshot", "diff", "writer:one", "writer:two").stdout.splitlines()
    told = json.loads(vmmgr("snapshot", "diff", "writer:one", "writer:two", "--json").stdout)

    [line] = [line for line in changes if line.startswith("disk")]
    assert line.startswith("disk root is not compared: ")
    assert "disk.img" in line
    assert any(line.startswith("RAM ") for line in changes)
    assert told["ram"]
    assert told["disks"] == []
    assert not told["equal"]
    [unread] = told["not_compared"]
    assert unread["disk"] == "root"
    assert unread["problem"] in line


def test_a_snapshot_that_is_stored_otherwise_has_the_same_disk(vmmgr: Vmmgr, saved: Path) -> None:
    vmmgr("snapshot", "flatten", "writer", "--output", saved / "flat")
    vmmgr("snapshot", "rebase", "writer", "writer:one", "--output", saved / "based")
    vmmgr("snapshot", "export", "writer", saved / "x.vmms.tar.zst")
    vmmgr("snapshot", "import", saved / "x.vmms.tar.zst", "other")
    vmmgr("snapshot", "clone", "writer", "copy")
    vmmgr("snapshot", "rm", "writer", "one")
    vmmgr("discard", "writer")
    vmmgr("snapshot", "gc")

    for snapshot in (saved / "flat", saved / "based", "other", "copy", "writer:two"):
        vmmgr("snapshot", "verify", snapshot)
        assert disk_of(vmmgr, snapshot, saved) == TWO, snapshot


def test_a_clone_and_its_original_write_to_disks_of_their_own(vmmgr: Vmmgr, saved: Path) -> None:
    vmmgr("snapshot", "clone", "writer", "copy")
    vmmgr("resume", "-d", "copy")
    vmmgr("down", "copy")
    file = writer(saved, 'image = "disk.img"', first=7, count=1, fill=0x3333)
    vmmgr("up", "-d", file, "--set", 'name="copy"')
    vmmgr("suspend", "copy")

    copied = TWO[: 7 * 512] + written(7, 1, 0x3333) + TWO[8 * 512 :]
    assert disk_of(vmmgr, "copy", saved) == copied
    assert disk_of(vmmgr, "writer", saved) == TWO
