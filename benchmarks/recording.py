# SPDX-License-Identifier: BSD-2-Clause
"""What it costs to record: a boot of Linux with and without the input log, in seconds of CPU."""

from __future__ import annotations

import gc
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.contest import Attempt, contest
from benchmarks.linux_boot import INITRD, KERNEL, MACHINES
from benchmarks.row import FULL, VMMGR, Effort, Row

NAME = "recording"
BARE = "vmmgr, not recorded"
PEERS = (BARE,)
UNTIL = 1_500_000_000
"""Virtual ns: a boot to the shell, which prints all the way."""
TYPED_EVERY = 50_000_000
SLICE = 5_000_000


def measure(effort: Effort = FULL) -> list[Row]:
    """One contest. The amount of work is fixed."""
    name = "boot Linux and type at it, CPU time"
    if not (KERNEL.exists() and INITRD.exists()):
        return [Row(name, VMMGR, "s", absent="examples/linux/fetch.sh gets the kernel")]
    attempts: dict[str, Attempt] = {
        VMMGR: partial(boot, recorded=True),
        BARE: partial(boot, recorded=False),
    }
    notes = {VMMGR: "records input, and checks after output"}
    return contest(name, "s", attempts, effort.rounds, notes=notes)


def boot(*, recorded: bool) -> float:
    """Seconds of CPU that the run takes."""
    from manager.graph.build import load_graph
    from manager.machine.machine import Machine
    from manager.replay import recordings
    from manager.replay.entries import Start
    from manager.replay.recorder import Recorder, header_of

    graph = load_graph(MACHINES / "linux.toml")
    with tempfile.TemporaryDirectory() as folder:
        gc.collect()
        began = time.process_time()
        machine = Machine.power_on(graph)
        recorder: Recorder | None = None
        if recorded:
            log = recordings.begin(Path(folder) / "log", header_of(machine, Start()))
            recorder = Recorder(machine, log)
        typed_at = 0
        while machine.now() < UNTIL:
            machine.run(machine.now() + SLICE)
            for port in machine.ports.values():
                port.take_output()
            if machine.now() - typed_at > TYPED_EVERY:
                machine.ports["lpc.com1"].feed(b"x")
                typed_at = machine.now()
        if recorder is not None:
            recorder.end("down")
        elapsed = time.process_time() - began
        machine.close()
    return elapsed
