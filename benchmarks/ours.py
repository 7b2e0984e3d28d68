# SPDX-License-Identifier: BSD-2-Clause
"""vmmgr as a contestant: machines in this process, run the way `vmmgr run` runs them."""

from __future__ import annotations

import contextlib
import gc
import selectors
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import manager
from benchmarks.guests import END, EXIT_PORT, LOAD, START, Guest
from benchmarks.process import output_of
from benchmarks.row import AbsentError

COMMAND = (sys.executable, "-m", "manager")
"""`vmmgr`, whether or not its script is in the path."""
MARKS = "lpc.com2"

_MACHINE = """\
schema = 1
name = "bench"
[memory]
size = "{memory}M"
[clock]
mode = "virtual"
[boot]
image = "{name}.bin"
load = {load:#x}
entry = {load:#x}
bits = 16
[slots.0]
device = "hostbridge"
[slots.31]
device = "lpc"
[lpc.com1]
backend = {com1}
[lpc.com2]
backend = "{marks}"
[lpc.debug-exit]
port = {exit_port:#x}
"""


def compile_modules() -> None:
    """Have all modules compiled, as an installer does, so that no first start has to."""
    command = (sys.executable, "-m", "compileall", "-q", str(Path(manager.__file__).parent))
    with contextlib.suppress(AbsentError):
        output_of(command)


def write_machine(
    folder: Path,
    guest: Guest,
    *,
    memory: int = 64,
    com1: str = "null",
    marks: str = "null",
    name: str = "bench",
) -> Path:
    """A machine file in `folder` that boots a sector, with `memory` MiB.

    `com1` is "null", "stdio", or a path for the file backend; `marks`, COM2, "null" or "stdio".
    """
    (folder / f"{name}.bin").write_bytes(guest.image)
    backend = f'"{com1}"' if com1 in ("null", "stdio") else f'{{ type = "file", path = "{com1}" }}'
    path = folder / f"{name}.toml"
    path.write_text(
        _MACHINE.format(
            memory=memory, name=name, load=LOAD, com1=backend, marks=marks, exit_port=EXIT_PORT
        )
    )
    return path


def work_of(guest: Guest, *, com1: str = "null") -> Callable[[], float]:
    """An attempt: the seconds between the guest's two marks."""

    def attempt() -> float:
        with tempfile.TemporaryDirectory() as folder:
            marks = run_to_end(write_machine(Path(folder), guest, com1=com1))
        gc.collect()
        return marks[END] - marks[START]

    return attempt


def run_to_end(machine_file: Path) -> dict[bytes, float]:
    """Run a machine until its guest ends it; the time of each mark (time.perf_counter)."""
    from manager.backends import factory
    from manager.graph.build import load_graph
    from manager.machine.machine import Machine
    from manager.vmm.connections import SerialConnections
    from manager.vmm.loop import EventLoop
    from manager.vmm.running import RunningMachine

    graph = load_graph(machine_file)
    machine = Machine.power_on(graph)
    marks: dict[bytes, float] = {}
    port = machine.ports[MARKS]

    def heard(mark: bytes) -> None:
        marks[mark] = time.perf_counter()

    port.listeners.add(heard, port.take_output)
    connections = SerialConnections(machine.ports, None)
    with selectors.DefaultSelector() as selector:
        loop = EventLoop(RunningMachine(machine, connections), selector, paced=False)
        try:
            for node in graph.serial_ports():
                assert node.backend is not None
                connections.connect(node.id, factory.make(node.backend), selector)
            loop.run()
        finally:
            connections.close()
            machine.close()
    return marks
