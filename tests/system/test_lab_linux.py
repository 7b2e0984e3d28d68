# SPDX-License-Identifier: BSD-2-Clause
"""Two Linux machines on a link that loses frames: TCP, suspended in the middle of a transfer.

With `VMMGR_THOROUGH=1` its capture is compared with those of two runs without a suspend, two runs
are compared in all RAM and all records, and the lab is verified at 50 points.
"""

from __future__ import annotations

import gzip
import os
import re
import time
from pathlib import Path

import pytest
from support.modules import FILE, Entry, archive, cloud, write_initrd
from support.vmmgr import Vmmgr

from manager.graph.labs import load_lab
from manager.replay import subjects
from manager.replay.processes import Processes
from manager.replay.worker import Job, Leg

pytestmark = pytest.mark.guest

THOROUGH = os.environ.get("VMMGR_THOROUGH") == "1"
UNDISTURBED = 2 if THOROUGH else 0
"""Runs without a suspend whose captures are compared."""

SCRIPT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
dmesg -n 1
mount -t proc proc /proc; mount -t devtmpfs dev /dev; mount -t sysfs sys /sys
exec </dev/console >/dev/console 2>&1
{load}
ip addr add {address}/24 dev eth0; ip link set eth0 up
{rest}
poweroff -f
"""
CLIENT = """
until ping -c1 -W1 10.0.0.2; do :; done
dd if=/bin/busybox of=/data bs=8192 count=40 2>/dev/null
sha256sum < /data
nc 10.0.0.2 77 < /data
sleep 1
"""
SERVER = """
nc -l -p 77 > /data
sha256sum < /data
"""
MACHINE = """
schema = 1
[memory]
size = "128M"
[clock]
mode = "virtual"
[boot]
kernel = "{kernel}"
initrd = "{name}.img"
cmdline = "console=ttyS0 quiet rdinit=/auto"
[slots.0]
device = "hostbridge"
[slots.1]
device = "lpc"
[slots.6]
device = "virtio-net"
network = "lan"
[lpc.com1]
"""
LAB = """
schema = 1
[machines.client]
file = "client.toml"
[machines.server]
file = "server.toml"
[links.lan]
latency = "200us"
bandwidth = "100M"
loss = 0.02
seed = 3
capture = "lan.pcap"
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A lab file; each machine does its part by itself, and powers off."""
    loaded = write_initrd(tmp_path / "base.img", cloud(), "virtio_pci", "virtio_net")
    load = "; ".join(f"insmod /mods/{name}.ko" for name in loaded)
    parts = {"client": ("10.0.0.1", CLIENT), "server": ("10.0.0.2", SERVER)}
    for name, (address, rest) in parts.items():
        script = SCRIPT.format(load=load, address=address, rest=rest).encode()
        more = gzip.compress(archive([Entry("auto", FILE | 0o111, script)]), 1, mtime=0)
        (tmp_path / f"{name}.img").write_bytes((tmp_path / "base.img").read_bytes() + more)
        (tmp_path / f"{name}.toml").write_text(MACHINE.format(name=name, kernel=cloud().image))
    (tmp_path / "duo.toml").write_text(LAB)
    return tmp_path / "duo.toml"


def sums(vmmgr: Vmmgr) -> list[str]:
    """What both machines say of the data."""
    logs = (vmmgr("logs", f"duo/{name}").stdout for name in ("client", "server"))
    return [found for log in logs for found in re.findall("[0-9a-f]{64}", log)]


def suspended_midway(vmmgr: Vmmgr, lab: Path) -> None:
    """Run the lab, with a suspend when the transfer has begun, to its end."""
    capture = lab.parent / "lan.pcap"
    vmmgr("up", lab, "-d")
    give_up = time.monotonic() + 100
    while not capture.exists() or capture.stat().st_size < 50_000:
        assert time.monotonic() < give_up
        time.sleep(0.02)
    vmmgr("suspend", "duo")
    assert sums(vmmgr)[1:] == [], "the transfer is over already"
    vmmgr("resume", "duo")


def test_a_transfer_goes_on_after_a_suspend_in_another_process(vmmgr: Vmmgr, lab: Path) -> None:
    suspended_midway(vmmgr, lab)

    sent, received = sums(vmmgr)
    assert sent == received
    frames = (lab.parent / "lan.pcap").read_bytes()
    assert len(frames) > 300_000
    for _ in range(UNDISTURBED):
        vmmgr("up", lab)
        assert (lab.parent / "lan.pcap").read_bytes() == frames


if THOROUGH:

    def test_two_runs_are_the_same_in_every_byte(lab: Path, tmp_path: Path) -> None:
        subjects.write(tmp_path / "subject", load_lab(lab), ())
        legs = [Leg(at) for at in (1_000_000_000, 1_500_000_000, 60_000_000_000)]
        job = Job(str(tmp_path / "subject"), legs)

        one, two = Processes().both(job, job)

        assert one == two
        assert one[0].ram.count(", ") == 1, "RAM of two machines"
        assert one[-1].ended
        sent = {port for reached in one for port in reached.output}
        assert {"lan", "client at its end", "server at its end"} <= sent

    def test_fifty_suspends_leave_the_lab_as_it_is(vmmgr: Vmmgr, lab: Path) -> None:
        points = ("--points", "50", "--seed", "1", "--until", "2200ms")
        said = vmmgr("verify", lab, *points, timeout=850).stdout

        assert "50 points held" in said
