# SPDX-License-Identifier: BSD-2-Clause
"""From `vmmgr up` to an answered command: from the ready cache, booted, and QEMU's boot."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks import ours, qemu
from benchmarks.contest import Attempt, contest
from benchmarks.linux_boot import INITRD, KERNEL, LONGEST, MACHINES, MIB, PROMPT
from benchmarks.process import Child
from benchmarks.row import FULL, VMMGR, AbsentError, Effort, Row

NAME = "ready-cache"
BOOTED = "vmmgr, booted"
PEERS = (BOOTED, qemu.TCG)
CMDLINE = "console=ttyS0"

_MACHINE = """\
schema = 1
extends = ["{base}"]
name = "bench-ready"
[ready]
cache = true
"""
NOTES = {
    VMMGR: "`up -d` of a machine that was up before, then a command and its answer",
    BOOTED: "the same with --no-cache",
    qemu.TCG: "to its shell prompt only: no command",
}


def measure(effort: Effort = FULL) -> list[Row]:
    """One contest. The amount of work is fixed."""
    name = "Debian 6.1, up to an answered command"
    if not (KERNEL.exists() and INITRD.exists()):
        return [Row(name, VMMGR, "s", absent="examples/linux/fetch.sh gets the kernel")]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        place = Path(folder)
        base = os.path.relpath(MACHINES / "linux.toml", place)
        (place / "bench-ready.toml").write_text(_MACHINE.format(base=base))
        _answered(place)  # which keeps the machine
        attempts: dict[str, Attempt] = {
            VMMGR: partial(_answered, place),
            BOOTED: partial(_answered, place, "--no-cache"),
            qemu.TCG: _qemu,
        }
        return contest(name, "s", attempts, effort.rounds, notes=NOTES)


def _answered(place: Path, *options: str) -> float:
    log = place / "state" / "bench-ready" / "lpc.com1.log"
    began = time.perf_counter()
    _vmmgr(place, "up", str(place / "bench-ready.toml"), "-d", *options)
    _vmmgr(place, "send", "bench-ready", r"echo $((6*7))\n")
    while b"\n42\r" not in log.read_bytes():
        if time.perf_counter() - began > LONGEST:
            raise AbsentError("the command was never answered")
        time.sleep(0.001)
    elapsed = time.perf_counter() - began
    _vmmgr(place, "down", "bench-ready")
    return elapsed


def _vmmgr(place: Path, *arguments: str) -> None:
    environment = {
        **os.environ,
        "VMMGR_STATE_HOME": str(place / "state"),
        "PYTHONPATH": str(MACHINES.parent),
    }
    done = subprocess.run(
        [*ours.COMMAND, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise AbsentError(f"vmmgr {arguments[0]} failed: {done.stderr.strip()[-200:]}")


def _qemu() -> float:
    command = [*qemu.pc(MIB), "-kernel", str(KERNEL), "-initrd", str(INITRD), "-append", CMDLINE]
    with Child(command, longest=LONGEST) as child:
        return child.wait_for(PROMPT) - child.began
