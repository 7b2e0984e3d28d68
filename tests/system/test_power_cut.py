# SPDX-License-Identifier: BSD-2-Clause
"""Linux on ext4 loses power while it writes: the journal makes the file system whole again.

And the same with a snapshot instead: the files that changed are named, those in the journal too.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pexpect
import pytest
from support.modules import cloud, write_initrd
from support.needs import needs
from support.vmmgr import Vmmgr

pytestmark = [pytest.mark.guest, needs("mke2fs")]

MACHINE = """
schema = 1
name = "cut"
[memory]
size = "128M"
[clock]
mode = "virtual"
[boot]
kernel = "{kernel}"
initrd = "{initrd}"
cmdline = "console=ttyS0 quiet"
[disks.root]
folder = "tree"
format = "ext4"
size = "32M"
[slots.0]
device = "hostbridge"
[slots.1]
device = "lpc"
[slots.5]
device = "virtio-blk"
disk = "root"
[lpc.com1]
"""
WRITE = (
    "i=0; while :; do i=$((i+1)); cp /bin/busybox /m/f$((i%4)); echo $i > /m/last; "
    "[ $((i%3)) = 0 ] && sync; echo wrote $((i+0)).; done"
)


@pytest.fixture
def machine(tmp_path: Path) -> tuple[Path, str]:
    """A machine file, and the command that mounts its disk at /m."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "hello.txt").write_text("hello from the host\n")
    initrd = tmp_path / "initrd.img"
    loaded = write_initrd(initrd, cloud(), "virtio_pci", "virtio_blk")
    file = tmp_path / "cut.toml"
    file.write_text(MACHINE.format(kernel=cloud().image, initrd=initrd))
    load = "; ".join(f"insmod /mods/{name}.ko" for name in loaded)
    return file, f"{load}; mkdir /m; mount -t ext4 /dev/vda /m"


def fsck(vmmgr: Vmmgr, image: Path) -> int:
    """What e2fsck says of the disk as it is now: 0 is clean."""
    vmmgr("disk", "export", "cut", "root", "-o", image)
    return subprocess.run(["e2fsck", "-fn", image], capture_output=True, check=False).returncode


def test_ext4_is_whole_after_the_power_is_cut(
    vmmgr: Vmmgr, machine: tuple[Path, str], tmp_path: Path
) -> None:
    file, mount = machine
    for number, moment in enumerate((r"wrote 4\.", r"wrote 8\.")):
        console = vmmgr.terminal("up", file)
        console.expect("/ # ")
        console.send(f"{mount}; dmesg | grep -c recovery.complete; {WRITE}\r")
        console.expect(rf"\n{number and 1}\r", timeout=60)
        console.expect(moment)
        vmmgr("down", "cut")
        console.expect(pexpect.EOF)
        console.close()

    console = vmmgr.terminal("up", file)
    console.expect("/ # ")
    console.send(
        f"{mount}; cat /m/hello.txt; sha256sum /m/f0 /bin/busybox; umount /m; echo do''ne\r"
    )
    console.expect("done")
    output = console.before or ""
    vmmgr("down", "cut")
    console.expect(pexpect.EOF)
    console.close()

    assert "hello from the host" in output
    assert not re.search(r"I/O error|EXT4-fs error", output)
    assert fsck(vmmgr, tmp_path / "whole.img") == 0


def test_linux_that_writes_a_disk_is_the_same_however_it_is_suspended(
    vmmgr: Vmmgr, machine: tuple[Path, str]
) -> None:
    file, mount = machine

    told = json.loads(
        vmmgr(
            "verify", file, "--points", "3", "--seed", "13", "--until", "1500ms", "--json",
            "--send", rf"1s:{mount}; {WRITE}\n",
        ).stdout
    )  # fmt: skip

    assert told["same"]
    assert told["points"] == 3


def test_diff_names_the_files_that_linux_changed(vmmgr: Vmmgr, machine: tuple[Path, str]) -> None:
    file, mount = machine
    console = vmmgr.terminal("up", file)
    console.expect("/ # ")
    console.send(
        f"{mount}; mkdir /m/d; cp /bin/busybox /m/d/one; echo a > /m/gone; sync; echo do''ne\r"
    )
    console.expect("done")
    vmmgr("snapshot", "save", "cut", "before")
    console.send(
        "rm /m/gone; mv /m/d/one /m/two; mkdir /m/e; echo b > /m/hello.txt; sync; echo do''ne\r"
    )
    console.expect("done")
    vmmgr("snapshot", "save", "cut", "after")
    vmmgr("down", "cut")
    console.expect(pexpect.EOF)
    console.close()

    lines = vmmgr("snapshot", "diff", "cut:before", "cut:after").stdout.splitlines()
    told = json.loads(vmmgr("snapshot", "diff", "cut:before", "cut:after", "--json").stdout)

    expected = ["removed /d/one", "added /e/", "removed /gone", "changed /hello.txt", "added /two"]
    assert [line for line in lines if re.match("disk root: ", line)] == [
        f"disk root: {line}" for line in expected
    ]
    [volume] = told["disks"][0]["files"]
    assert (volume["partition"], volume["format"], volume["problem"]) == (0, "ext4", None)
    assert [f"{item['change']} {item['path']}" for item in volume["changes"]] == expected
