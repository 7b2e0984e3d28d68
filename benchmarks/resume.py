# SPDX-License-Identifier: BSD-2-Clause
"""Suspending a machine, and how soon it goes on. A quarter of its RAM is random bytes."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import bare_unicorn, ours, qemu
from benchmarks.bare_unicorn import BARE
from benchmarks.contest import Attempt, Figures, contest, contests
from benchmarks.guests import HEARTBEAT, heartbeat
from benchmarks.process import Child, output_of
from benchmarks.qmp import Qmp
from benchmarks.row import FULL, VMMGR, AbsentError, Effort, Row

if TYPE_CHECKING:
    from manager.graph.nodes import Graph
    from manager.snapshot.store import Store

NAME = "resume"
FLOOR = "python -c 'import unicorn'"
MAPPED = "QEMU TCG, RAM in a shared file"
PEERS = (BARE, FLOOR, qemu.TCG, MAPPED)
SIZES = (128, 1024)
"""MiB of RAM."""
SMALLEST = 16
NOTES = {
    BARE: "no state: a new CPU and empty RAM, to the end of the first instruction",
    FLOOR: "does nothing; what any start with Python and Unicorn costs",
    qemu.TCG: "migration to a file and back, its bandwidth limit lifted",
    MAPPED: "x-ignore-shared; the resumed guest writes into its own snapshot",
}


def measure(effort: Effort = FULL) -> list[Row]:
    """Four contests for each size of RAM."""
    ours.compile_modules()
    rows = []
    for size in SIZES:
        mib = max(SMALLEST, effort.of(size))
        try:
            rows += _restoring(mib, effort) + _lives(mib, effort)
        except AbsentError as error:
            rows.append(Row(f"resume, {mib} MiB", VMMGR, "ms", absent=str(error)))
    return rows


def _restoring(mib: int, effort: Effort) -> list[Row]:
    from manager.graph.build import load_graph
    from manager.machine.machine import Machine
    from manager.snapshot.store import Store

    with tempfile.TemporaryDirectory() as folder:
        graph = load_graph(ours.write_machine(Path(folder), heartbeat(mib), memory=mib))
        store = Store(Path(folder) / "snapshots")
        machine = Machine.power_on(graph)
        while not machine.ports["lpc.com1"].take_output():
            machine.run(machine.now() + 10_000_000)
        store.commit(machine.run_to_image())
        machine.close()
        del machine
        attempts: dict[str, Attempt] = {
            VMMGR: partial(_restored, graph, store),
            BARE: bare_unicorn.start_of(mib),
        }
        name = f"restore to the first block, in a running process, {mib} MiB"
        return contest(name, "ms", attempts, max(effort.rounds, 5), notes=NOTES)


def _restored(graph: Graph, store: Store) -> float:
    from manager.machine.machine import Machine
    from manager.snapshot.read import open_snapshot

    path = store.current()
    assert path is not None
    began = time.perf_counter()
    machine = Machine.restore(graph, open_snapshot(path))
    machine.run(machine.now() + 1)
    elapsed = time.perf_counter() - began
    machine.close()
    return elapsed * 1000


def _lives(mib: int, effort: Effort) -> list[Row]:
    """Whole lives: started, suspended, resumed in a new process, suspended again."""
    suspend = f"suspend, on disk, {mib} MiB"
    again = f"suspend again after a resume, on disk, {mib} MiB"
    resume = f"resume in a new process to its first output, {mib} MiB"
    names = [suspend, resume, again]
    lives: dict[str, Callable[[], Figures]] = {
        VMMGR: lambda: dict(zip(names, _our_life(mib), strict=True)),
        FLOOR: lambda: {resume: _importing()},
        qemu.TCG: lambda: dict(zip(names, _qemu_life(mib, mapped=False), strict=True)),
        MAPPED: lambda: dict(zip(names, _qemu_life(mib, mapped=True), strict=True)),
    }
    return contests(names, "ms", lives, effort.rounds, notes=NOTES)


def _our_life(mib: int) -> tuple[float, float, float]:
    with tempfile.TemporaryDirectory() as folder:
        home = {"VMMGR_STATE_HOME": folder}
        file = ours.write_machine(Path(folder), heartbeat(mib), memory=mib, com1="stdio")
        dot = f"\\x{HEARTBEAT[0]:02x}"
        output_of([*ours.COMMAND, "up", file, "--detach", "--wait-for", dot], home)

        def suspend() -> float:
            answer = json.loads(output_of([*ours.COMMAND, "suspend", "bench", "--json"], home))
            return float(answer["seconds"]) * 1000

        suspended = suspend()
        with Child([*ours.COMMAND, "resume", file], home) as child:
            resumed = child.wait_for(HEARTBEAT) - child.began
            suspended_again = suspend()
            child.wait_for_end()
        return suspended, resumed * 1000, suspended_again


def _importing() -> float:
    with Child([sys.executable, "-c", "import unicorn; print('x', flush=True)"]) as child:
        return (child.wait_for(b"x") - child.began) * 1000


def _qemu_life(mib: int, *, mapped: bool) -> tuple[float, float, float]:
    with tempfile.TemporaryDirectory() as folder:
        sector, state, socket, ram = (Path(folder) / name for name in ("s", "state", "qmp", "ram"))
        sector.write_bytes(heartbeat(mib).image)
        machine = "pc,memory-backend=ram" if mapped else "pc"
        command = [*qemu.pc(mib, machine=machine, serial=("stdio", "null"))]
        command += [*qemu.booting(sector), "-qmp", f"unix:{socket},server=on,wait=off"]
        if mapped:
            backend = f"memory-backend-file,id=ram,size={mib}M,mem-path={ram},share=on"
            command += ["-object", backend]

        def suspend() -> float:
            with Qmp(socket) as qmp:
                if mapped:
                    qmp.share_ram()
                return qmp.save(state, ram if mapped else None) * 1000

        with Child(command) as child:
            child.wait_for(HEARTBEAT)
            suspended = suspend()
        socket.unlink(missing_ok=True)
        load = f"exec:cat {state}"
        with Child([*command, "-incoming", "defer" if mapped else load]) as child:
            if mapped:
                with Qmp(socket) as qmp:
                    qmp.share_ram()
                    qmp.ask("migrate-incoming", uri=load)
            resumed = child.wait_for(HEARTBEAT) - child.began
            suspended_again = suspend()
        return suspended, resumed * 1000, suspended_again
