# SPDX-License-Identifier: BSD-2-Clause
"""What vmmgr keeps is its owner's alone, whatever the umask that it was started with."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.vmmgr import ROOT, Vmmgr

from manager.storage.write_back import Intent

MACHINE = """
schema = 1
[memory]
size = "2M"
[boot]
image = "{root}/machines/hello/hello.bin"
load = 0x7c00
entry = 0x7c00
bits = 16
[disks.root]
image = "disk.img"
[disks.scratch]
size = "1M"
[slots.0]
device = "hostbridge"
[slots.4]
device = "uart"
backend = "pty"
[slots.31]
device = "lpc"
[slots."31.1"]
device = "ide"
primary-master = "root"
primary-slave = "scratch"
[lpc.com1]
backend = "stdio"
[lpc.com2]
backend = {{ type = "unix", listen = "com2.sock" }}
[debug]
trace = ["ports"]
[ready]
port = "com1"
wait-for = "> $"
cache = true
"""


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> list[str]:
    """What in it can be read or changed by others; links have no mode of their own."""
    return [
        f"{stat.filemode(status.st_mode)} {path.relative_to(folder)}"
        for path in sorted(folder.rglob("*"))
        if not stat.S_ISLNK((status := path.lstat()).st_mode) and status.st_mode & 0o077
    ]


def names(folder: Path) -> str:
    return "\n".join(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.usefixtures("open_umask")
def test_of_a_machine(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file = tmp_path / "hello.toml"
    file.write_text(MACHINE.format(root=ROOT))
    (tmp_path / "disk.img").write_bytes(bytes(1 << 20))
    copied = tmp_path / "copy.vmms.tar.zst"
    known = {file, tmp_path / "disk.img"}

    vmmgr("up", file, "-d")
    vmmgr("send", "hello", "h\n")
    while_it_runs = open_to_others(vmmgr.home / "run") + open_to_others(vmmgr.home / "state")
    kept = names(vmmgr.home / "state")
    vmmgr("snapshot", "save", "hello", "first")
    vmmgr("snapshot", "export", "hello:first", copied)
    vmmgr("suspend", "hello")
    vmmgr("snapshot", "import", copied, "other", "imported")
    vmmgr("explore", file, "--seeds", "1-2", "--until", "> $", "--set", "cpu.count=2")

    assert while_it_runs == []
    for name in ("machine.lock", "machine.json", "owner.log", "lpc.com1.log", "trace.log",
                 "recordings/", "root.data", ".images/", ".graphs/", ".ready/"):  # fmt: skip
        assert name in kept, kept
    assert open_to_others(vmmgr.home / "state") == []
    made = {path for path in tmp_path.iterdir() if path.is_file() or path.is_socket()} - known
    assert [path for path in made if path.lstat().st_mode & 0o077] == []
    assert copied in made


@pytest.mark.usefixtures("open_umask")
def test_of_an_image_that_is_being_written(tmp_path: Path) -> None:
    """An intent to write an image is on disk for as long as that takes."""
    path = tmp_path / "root.intent"

    Intent(tmp_path / "disk.img", bytes(32), bytes(32)).write(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["root.intent"]
