# SPDX-License-Identifier: BSD-2-Clause
"""The disks and shares of a lab's machines go wherever the lab goes, in space and in time."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from support.disk_writer import writer, written
from support.vmmgr import Vmmgr

SHARE = """
[shares.src]
folder = "src"
mode = "overlay"
[slots.7]
device = "virtio-9p"
share = "src"
"""
LAB = """\
schema = 1
[machines.one]
file = "writer.toml"
[machines.two]
file = "writer.toml"
[links.unused]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A lab, each machine of which writes to its disk; and a link that no card is on."""
    machine = writer(tmp_path, 'image = "disk.img"')
    machine.write_text(machine.read_text() + SHARE)
    (tmp_path / "disk.img").write_bytes(bytes(64 * 512))
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "old").write_text("old\n")
    (tmp_path / "duo.toml").write_text(LAB)
    return tmp_path / "duo.toml"


def test_what_is_on_a_disk_and_in_a_share_follows_the_lab(
    vmmgr: Vmmgr, file: Path, tmp_path: Path
) -> None:
    new, out, packed = tmp_path / "new", tmp_path / "out", tmp_path / "duo.zst"
    new.write_text("new\n")
    vmmgr("up", file, "-d")
    before = json.loads(vmmgr("status", "duo", "--json").stdout)["virtual_time_ns"]
    vmmgr("cp", new, "duo/one:/undone")
    vmmgr("rewind", "duo", f"@{before}ns")
    assert "No such file" in vmmgr("cp", "duo/one:/undone", out, status=1).stderr
    vmmgr("cp", new, "duo/one:/in")
    assert "No such file" in vmmgr("cp", "duo/two:/in", out, status=1).stderr
    vmmgr("suspend", "duo")
    vmmgr("resume", "duo", "-d")
    vmmgr("cp", new, "duo/two:/late")
    assert "the same" in vmmgr("replay", "duo").stderr  # while it runs
    vmmgr("suspend", "duo")
    vmmgr("snapshot", "export", "duo", packed)

    image = tmp_path / "disk.img"
    away = image.rename(tmp_path / "away.img")
    with tempfile.TemporaryDirectory(prefix="vmmgr-") as folder:
        elsewhere = Vmmgr(Path(folder))
        elsewhere("snapshot", "import", packed, "moved")
        refused = elsewhere("resume", "moved", "-d", status=1).stderr
        assert f"disk image {image}: No such file" in refused
        assert "put it there" in refused
        away.rename(image)
        elsewhere("resume", "moved", "-d")
        try:
            for name in ("one:/in", "two:/late", "two:/old"):
                elsewhere("cp", f"moved/{name}", out)
                assert out.read_text() == ("old\n" if "old" in name else "new\n")
            elsewhere("suspend", "moved")
            elsewhere("snapshot", "disk", "moved/two", "root", "-o", tmp_path / "disk")
            assert (tmp_path / "disk").read_bytes()[: 8 * 512] == written()
        finally:
            elsewhere.any("down", "moved")


def test_a_lab_with_disks_and_shares_is_verified(vmmgr: Vmmgr, file: Path) -> None:
    verified = vmmgr("verify", file, "--points", "1", "--until", "2ms", "--seed", "1", "-j", "1")

    assert "1 point held" in verified.stdout.replace("points", "point")
