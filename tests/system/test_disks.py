# SPDX-License-Identifier: BSD-2-Clause
"""Debian's kernel on an NVMe disk: what it writes outlives suspends, power-off and SIGKILL."""

from __future__ import annotations

import json
import os
import select
import signal
from pathlib import Path

import pytest
from support.linux import IMAGES
from support.vmmgr import Vmmgr

pytestmark = [pytest.mark.usefixtures("linux"), pytest.mark.guest]

MACHINE = f"""
schema = 1
name = "disky"
[memory]
size = "128M"
[clock]
mode = "paced"
[boot]
kernel = "{IMAGES}/vmlinuz"
initrd = "{IMAGES}/initrd.img"
cmdline = "console=ttyS0 quiet"
[disks.root]
size = "1G"
[slots.0]
device = "hostbridge"
[slots.5]
device = "nvme"
disk = "root"
[slots.31]
device = "lpc"
[lpc.com1]
backend = "null"
[ready]
port = "com1"
wait-for = "/ # $"
"""
DROP = "echo 3 > /proc/sys/vm/drop_caches"


class Disky:
    def __init__(self, vmmgr: Vmmgr, folder: Path) -> None:
        self.vmmgr = vmmgr
        self.file = folder / "disky.toml"
        self.file.write_text(MACHINE)
        self.marks = 0

    def up(self) -> None:
        self.vmmgr("up", "-d", self.file)

    def shell(self, command: str) -> str:
        """What a command prints."""
        self.marks += 1
        mark = f"done-{self.marks}"
        self.vmmgr("send", "disky", f"{command}; echo {mark[:-1]}''{mark[-1]}\\n")
        while True:
            text = self.vmmgr("logs", "disky").stdout
            if f"{mark}\n" in text:
                before = text[: text.rindex(f"{mark}\n")]
                return before[before.rindex("/ #") :].partition("\n")[2].strip()

    def write(self, text: str) -> None:
        self.shell(f"echo {text} > /dev/nvme0n1; sync")

    def read(self) -> str:
        return self.shell(f"{DROP}; head -c 7 /dev/nvme0n1")

    @property
    def pid(self) -> int:
        found: int = json.loads(self.vmmgr("status", "disky", "--json").stdout)["pid"]
        return found


@pytest.fixture
def disky(vmmgr: Vmmgr, tmp_path: Path) -> Disky:
    machine = Disky(vmmgr, tmp_path)
    machine.up()
    return machine


def test_a_disk_outlives_suspend_power_off_and_sigkill(disky: Disky) -> None:
    disky.write("one-one")
    disky.vmmgr("suspend", "disky")
    disky.vmmgr("resume", "-d", "disky")
    assert disky.read() == "one-one"
    disky.write("two-two")
    disky.vmmgr("down", "disky")
    disky.up()
    assert disky.read() == "two-two"
    disky.write("three-3")
    owner = os.pidfd_open(disky.pid)
    signal.pidfd_send_signal(owner, signal.SIGKILL)
    select.select([owner], [], [])
    os.close(owner)
    disky.up()
    assert disky.read() == "three-3"


def test_a_disk_goes_back_with_its_machine(disky: Disky) -> None:
    disky.write("one-one")
    disky.vmmgr("snapshot", "save", "disky", "before")
    disky.write("two-two")
    disky.vmmgr("suspend", "disky")
    disky.vmmgr("snapshot", "restore", "disky", "before")
    disky.vmmgr("resume", "-d", "disky")

    assert disky.read() == "one-one"


def test_a_run_with_disk_writes_is_replayed_from_the_disk_it_began_with(disky: Disky) -> None:
    disky.write("one-one")
    disky.vmmgr("down", "disky")
    disky.up()
    assert disky.read() == "one-one"
    disky.write("two-two")
    disky.vmmgr("down", "disky")

    assert "the same" in disky.vmmgr("replay", "disky").stderr
