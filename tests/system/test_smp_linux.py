# SPDX-License-Identifier: BSD-2-Clause
"""Debian's own kernel, unmodified, on several CPUs.

With `VMMGR_THOROUGH=1` its boot is suspended at 100 points instead of 2.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from support.debian import package
from support.linux import IMAGES
from support.vmmgr import Vmmgr

from manager.graph.build import load_graph
from manager.replay import subjects
from manager.replay.processes import WORKER
from manager.replay.worker import Job, Leg

pytestmark = pytest.mark.usefixtures("linux")

POINTS = 100 if os.environ.get("VMMGR_THOROUGH") == "1" else 2
PROMPT = "/ # $"
CPU1 = "/sys/devices/system/cpu/cpu1/online"
WARNINGS = ("WARNING:", "BUG:", "TSC warp", "unstable", "stall", "not responding", "failed to")
"""What a kernel says that does not like its CPUs."""
FIRMWARE = {
    "seabios": ("seabios", "usr/share/seabios/bios-256k.bin"),
    "ovmf": ("ovmf", "usr/share/ovmf/OVMF.fd"),
}


def machine(folder: Path, cpus: str, firmware: Path | None = None) -> Path:
    """A machine file named smp.toml; `cpus` is its [cpu] table."""
    path = folder / "smp.toml"
    path.write_text(f"""
schema = 1
[cpu]
{cpus}
[memory]
size = "256M"
[clock]
mode = "virtual"
[boot]
{f'firmware = "{firmware}"' if firmware else ""}
kernel = "{IMAGES / "vmlinuz"}"
initrd = "{IMAGES / "initrd.img"}"
cmdline = "console=ttyS0"
[slots.0]
device = "hostbridge"
[slots.31]
device = "lpc"
[lpc.com1]
""")
    return path


def assert_content(said: str, count: int) -> None:
    """The kernel found `count` CPUs and has nothing against them."""
    word = "CPU" if count == 1 else "CPUs"
    assert f"smp: Brought up 1 node, {count} {word}" in said
    assert not [line for line in said.splitlines() if any(word in line for word in WARNINGS)]


@pytest.mark.parametrize("count", [2, 4, 8])
def test_linux_finds_and_uses_all_cpus(vmmgr: Vmmgr, tmp_path: Path, count: int) -> None:
    commands = (
        r"nproc; cat /proc/interrupts; "
        r"for mask in 1 2; do taskset $mask sh -c 'cut -d\\  -f39 /proc/self/stat'; done; "
        r"(for n in 1 2 3 4 5 6 7 8; do (echo $n | md5sum >/$n) & done; wait); "
        r"cat /? | wc -l; echo e''nd\n"
    )

    said = vmmgr(
        "run", machine(tmp_path, f"count = {count}"),
        "--until", PROMPT, "--send", commands, "--until", "^end", "--max-time", "20s",
    ).stdout  # fmt: skip

    assert_content(said, count)
    answer = said[said.rindex("e''nd") :].replace("\r", "").partition("/ # ")[0]
    assert f"\n{count}\n" in answer
    assert answer.endswith("0\n1\n8\nend\n")  # the CPU of each mask; the files of all jobs
    timer = re.search(r"LOC:((?: +\d+)+) ", answer)
    resched = re.search(r"RES:((?: +\d+)+) ", answer)
    assert timer is not None
    assert resched is not None
    assert all(int(ticks) > 10 for ticks in timer[1].split())
    assert len(timer[1].split()) == count
    assert sum(map(int, resched[1].split())) > 0


def test_a_cpu_goes_and_comes_back_in_another_process(vmmgr: Vmmgr, tmp_path: Path) -> None:
    console = vmmgr.terminal("up", machine(tmp_path, "count = 2"))
    console.expect_exact("/ # ")
    console.send(f"echo 0 > {CPU1}; echo `nproc` off''line\r")
    console.expect_exact("1 offline")
    vmmgr("suspend", "smp")
    console.wait()

    console = vmmgr.terminal("resume", "smp")
    console.send(f"echo 1 > {CPU1}; echo `nproc` on''line\r")
    console.expect_exact("2 online")
    console.send("taskset 2 poweroff -f\r")
    console.wait()

    said = vmmgr("logs", "smp").stdout.replace("\r", "")
    assert_content(said, 2)
    replayed = json.loads(vmmgr("replay", "smp", "--json").stdout)
    assert replayed["same"]


@pytest.mark.parametrize("schedule", ['"fair"', "{ seed = 7 }"])
def test_suspends_and_slices_of_a_boot_on_several_cpus_cannot_be_seen(
    vmmgr: Vmmgr, tmp_path: Path, schedule: str
) -> None:
    file = machine(tmp_path, f"count = 3\nschedule = {schedule}")
    arguments = ("--seed", "1", "--until", "0.35s", "--jobs", "2", "--json")

    said = vmmgr("verify", file, "--points", str(POINTS), *arguments, timeout=60 * POINTS).stdout

    found = json.loads(said)
    assert found["same"], found
    assert found["points"] == POINTS


def test_the_host_has_no_part_in_whose_turn_it_is(tmp_path: Path) -> None:
    graph = load_graph(machine(tmp_path, "count = 4\nschedule = { seed = 3 }"))
    subjects.write(tmp_path / "machine", graph, ())
    job = json.dumps(asdict(Job(str(tmp_path / "machine"), [Leg(200_000_000)])))
    cores = sorted(os.sched_getaffinity(0))

    def reached(on: list[int]) -> object:
        command = ["taskset", "-c", ",".join(map(str, on)), *WORKER]
        said = subprocess.run(command, input=job, capture_output=True, text=True, check=True)
        return json.loads(said.stdout)

    at_ease = reached(cores)
    busy = [
        subprocess.Popen(["taskset", "-c", str(cores[0]), sys.executable, "-c", "while True: pass"])
        for _ in range(2)
    ]
    try:
        in_a_crowd = reached(cores[:1])
    finally:
        for process in busy:
            process.kill()
            process.wait()

    assert in_a_crowd == at_ease  # the state of all devices, all RAM, what was printed


@pytest.mark.parametrize("name", FIRMWARE)
def test_firmware_starts_the_other_cpus_before_linux_does(
    vmmgr: Vmmgr, tmp_path: Path, name: str
) -> None:
    debian, path = FIRMWARE[name]
    file = machine(tmp_path, "count = 4", package(debian) / path)

    said = vmmgr("run", file, "--until", PROMPT, "--max-time", "60s", timeout=300).stdout

    assert_content(said, 4)
