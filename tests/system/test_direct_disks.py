# SPDX-License-Identifier: BSD-2-Clause
"""`mode = "direct"`: the image itself is written, when the machine is over."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
from pathlib import Path

import pytest
from support import kills
from support.disk_writer import OFF, writer, written
from support.needs import needs
from support.vmmgr import ROOT, Vmmgr
from support.write_back import finish, prepare

DIRECT = 'image = "disk.img"\nmode = "direct"'
SECTORS = 64
BEFORE = b"\xaa" * 512


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(BEFORE * SECTORS)
    return path


AFTER = written() + BEFORE * (SECTORS - 8)


def test_the_image_is_written_when_the_machine_is_powered_off(
    vmmgr: Vmmgr, image: Path, tmp_path: Path
) -> None:
    vmmgr("up", "-d", writer(tmp_path, DIRECT))
    assert image.read_bytes() == BEFORE * SECTORS
    vmmgr("suspend", "writer")
    vmmgr("resume", "-d", "writer")
    assert image.read_bytes() == BEFORE * SECTORS

    vmmgr("down", "writer")

    assert image.read_bytes() == AFTER
    vmmgr("up", "-d", writer(tmp_path, DIRECT, first=8, fill=0x2222))
    vmmgr("down", "writer")
    assert image.read_bytes() == written() + written(8, 8, 0x2222) + BEFORE * (SECTORS - 16)


def test_the_image_is_written_when_the_guest_ends_the_machine(
    vmmgr: Vmmgr, image: Path, tmp_path: Path
) -> None:
    vmmgr.any("up", writer(tmp_path, DIRECT, end=OFF))

    assert image.read_bytes() == AFTER


def test_what_a_killed_machine_wrote_is_in_the_image_after_the_next_run(
    vmmgr: Vmmgr, image: Path, tmp_path: Path
) -> None:
    vmmgr("up", "-d", writer(tmp_path, DIRECT))
    kill_owner(vmmgr)
    assert image.read_bytes() == BEFORE * SECTORS

    vmmgr("up", "-d", writer(tmp_path, DIRECT, first=20, count=1))
    vmmgr("down", "writer")

    assert image.read_bytes()[: 8 * 512] == written()
    assert image.read_bytes()[20 * 512 : 21 * 512] == written(20, 1)


def kill_owner(vmmgr: Vmmgr) -> None:
    owner = os.pidfd_open(json.loads(vmmgr("status", "writer", "--json").stdout)["pid"])
    signal.pidfd_send_signal(owner, signal.SIGKILL)
    select.select([owner], [], [])
    os.close(owner)


def test_a_second_user_is_refused(vmmgr: Vmmgr, image: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "disk.img").hardlink_to(image)
    vmmgr("up", "-d", writer(tmp_path, DIRECT))
    overlay = writer(other, 'image = "disk.img"')
    overlay.write_text(overlay.read_text().replace('"writer"', '"second"'))

    refused = vmmgr("up", "-d", overlay, status=4)
    vmmgr("down", "writer")
    vmmgr("up", "-d", overlay)
    refused_too = vmmgr("up", "-d", writer(tmp_path, DIRECT), status=4)

    assert 'is in use by a machine that writes it (mode = "direct")' in refused.stderr
    assert "is in use by another machine" in refused_too.stderr
    vmmgr("down", "second")


def test_a_change_behind_our_back_is_refused_at_resume(
    vmmgr: Vmmgr, image: Path, tmp_path: Path
) -> None:
    vmmgr("up", "-d", writer(tmp_path, DIRECT))
    vmmgr("suspend", "writer")
    with image.open("r+b") as file:
        file.write(b"x")

    refused = vmmgr("resume", "-d", "writer", status=5)

    assert "disk.img has changed since the machine was saved: its content is another" in (
        refused.stderr
    )
    assert "it was written at 2" in refused.stderr


def test_a_snapshot_keeps_the_image_as_it_needs_it(
    vmmgr: Vmmgr, image: Path, tmp_path: Path
) -> None:
    vmmgr("up", "-d", writer(tmp_path, DIRECT))
    vmmgr("snapshot", "save", "writer", "before")

    vmmgr("down", "writer")

    assert image.read_bytes() == BEFORE * SECTORS
    log = (vmmgr.home / "state" / "writer" / "owner.log").read_text()
    assert "is not written, because snapshots need it as it is: before" in log
    vmmgr("snapshot", "rm", "writer", "before")
    vmmgr("up", "-d", writer(tmp_path, DIRECT))
    vmmgr("down", "writer")
    assert image.read_bytes() == AFTER


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"QFI\xfb" + bytes(508), "qcow2"), (b"", "is empty"), (bytes(100), "100 bytes")],
)
def test_what_cannot_be_written_directly_is_refused(
    vmmgr: Vmmgr, tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "disk.img").write_bytes(content)

    assert message in vmmgr("up", "-d", writer(tmp_path, DIRECT), status=2).stderr


CALLS = "pwrite64,fsync,rename,unlink,ftruncate,symlink,link"
KILLS = 7
SCRIPT = ROOT / "tests" / "support" / "write_back.py"


@needs("strace")
def test_a_kill_at_any_system_call_of_writing_the_image_loses_nothing(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = writer(tmp_path, DIRECT)
    home, content, begun = tmp_path / "state", written(0, 24), 0
    after = content + BEFORE * (SECTORS - 24)
    monkeypatch.setenv("VMMGR_STATE_HOME", str(home))

    def write_back(at: kills.Point | None) -> list[kills.Point]:
        image.write_bytes(BEFORE * SECTORS)
        shutil.rmtree(home, ignore_errors=True)
        prepare(file, home, content)
        return kills.run(SCRIPT, file, home, calls=CALLS, at=at)

    calls = write_back(None)
    assert image.read_bytes() == after
    places = [n for n, call in enumerate(calls) if "root.writing" in call.line]
    chosen = calls[places[0] - 1 : places[-1] + 1]  # from the intent's fsync on
    for call in chosen[:: len(chosen) // KILLS or 1]:
        write_back(call)
        begun += (home / "writer" / "disks" / "root.writing").exists()
        finish(file, home)
        assert image.read_bytes() == after, call
    assert begun > KILLS // 2, "the kills did not fall into the writing"
