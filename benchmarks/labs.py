# SPDX-License-Identifier: BSD-2-Clause
"""Labs: what ten idle machines on links cost the host, and what a quantum of virtual time costs."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

from benchmarks import qemu
from benchmarks.contest import contest
from benchmarks.guests import LOAD, SECTOR, START
from benchmarks.ours import COMMAND
from benchmarks.process import Child, output_of
from benchmarks.row import FULL, VMMGR, AbsentError, Effort, Row

NAME = "labs"
PEERS = (qemu.TCG,)
COUNT = 10
QUANTA = 20_000
SECONDS = 3.0
"""Of the host's time, that idle machines are watched."""
LEAST = 1.5
NOTES = {
    VMMGR: "one process; the state of all is one",
    qemu.TCG: "ten processes in a chain, -netdev stream over UNIX sockets",
}
IDLE = bytes.fromhex("fa baf802 b053 ee b0ff e621 e6a1 fb f4 ebfc")
"""cli; mov dx, 0x2f8; mov al, 'S'; out dx, al; all interrupts masked; again: sti; hlt; jmp."""
BUSY = bytes.fromhex("fa ebfe")
"""cli; jmp to itself."""

_MACHINE = """\
schema = 1
[memory]
size = "16M"
[clock]
mode = "{mode}"
[boot]
image = "sector.bin"
load = {load:#x}
entry = {load:#x}
bits = 16
[slots.0]
device = "hostbridge"
[slots.3]
device = "ne2k"
network = "lan"
[slots.31]
device = "lpc"
[lpc.com1]
[lpc.com2]
"""


def measure(effort: Effort = FULL) -> list[Row]:
    """The cost of idle machines against QEMU's, and that of a quantum."""
    seconds = max(LEAST, SECONDS * effort.scale)
    attempts = {VMMGR: lambda: _ours(seconds), qemu.TCG: lambda: _qemus(seconds)}
    unit = "ms of CPU a second"
    rows = contest(f"{COUNT} idle machines", unit, attempts, effort.rounds, notes=NOTES)
    for count in (2, COUNT):
        name = f"a quantum of {count} machines"
        own = {VMMGR: _quantum_of(count, effort.of(QUANTA))}
        rows += contest(name, "us", own, effort.rounds, notes={VMMGR: "all busy, 1 us each"})
    return rows


def _write_lab(folder: Path, count: int, code: bytes, mode: str, latency: str) -> Path:
    (folder / "sector.bin").write_bytes(_sector(code))
    (folder / "machine.toml").write_text(_MACHINE.format(mode=mode, load=LOAD))
    names = (f'[machines.m{number}]\nfile = "machine.toml"\n' for number in range(count))
    text = "".join(["schema = 1\n", *names, f'[links.lan]\nlatency = "{latency}"\n'])
    (folder / "bench.toml").write_text(text)
    return folder / "bench.toml"


def _sector(code: bytes) -> bytes:
    return code.ljust(SECTOR - 2, b"\0") + b"\x55\xaa"


def _ours(seconds: float) -> float:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = _write_lab(folder, COUNT, IDLE, "paced", "100us")
        environment = {"VMMGR_STATE_HOME": str(folder / "state")}
        output_of([*COMMAND, "up", file, "-d"], environment)
        try:
            status = json.loads(output_of([*COMMAND, "status", "bench", "--json"], environment))
            return _cost([status["pid"]], seconds)
        finally:
            output_of([*COMMAND, "down", "bench"], environment)


def _qemus(seconds: float) -> float:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        sector = folder / "sector.bin"
        sector.write_bytes(_sector(IDLE))
        children = []
        for number in range(COUNT):
            command = [*qemu.pc(16, serial=("null", "stdio")), *qemu.booting(sector)]
            if number:  # to the one before, which listens
                command += _card("to", folder / f"{number - 1}", "off")
            command += _card("from", folder / f"{number}", "on")
            child = stack.enter_context(Child(command))
            child.wait_for(START)
            children.append(child)
        return _cost([child.pid for child in children], seconds)


def _card(id: str, path: Path, server: str) -> list[str]:
    peer = f"stream,id={id},server={server},addr.type=unix,addr.path={path}"
    return ["-netdev", peer, "-device", f"ne2k_pci,netdev={id},romfile="]


def _cost(pids: Iterable[int], seconds: float) -> float:
    """Milliseconds of CPU that processes take in a second."""
    time.sleep(0.5)  # what comes up has come up
    before, began = sum(map(_spent, pids)), time.perf_counter()
    time.sleep(seconds)
    spent, took = sum(map(_spent, pids)) - before, time.perf_counter() - began
    return spent / took / 1e6


def _spent(pid: int) -> int:
    """Ns of CPU that all threads of a process have had."""
    try:
        threads = Path(f"/proc/{pid}/task").iterdir()
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)
    except (OSError, ValueError):
        raise AbsentError("this kernel does not tell what CPU time a thread had") from None


def _quantum_of(count: int, quanta: int) -> Callable[[], float]:
    """An attempt: us of the host for each quantum of a lab of busy machines."""

    def attempt() -> float:
        from manager.graph.labs import load_lab
        from manager.lab.run import LabRun

        with tempfile.TemporaryDirectory() as name:
            lab = LabRun.power_on(load_lab(_write_lab(Path(name), count, BUSY, "virtual", "1us")))
            try:
                lab.run(100 * lab.step)
                began = time.perf_counter()
                lab.run(lab.now() + quanta * lab.step)
                return (time.perf_counter() - began) / quanta * 1e6
            finally:
                lab.free()

    return attempt
