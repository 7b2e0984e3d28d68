# SPDX-License-Identifier: BSD-2-Clause
"""Building the programs in tests/guests and running them on a whole machine, in this process."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from manager.bus.record import to_plain
from manager.graph.build import load_graph
from manager.graph.nodes import Graph
from manager.machine.ended import Ended
from manager.machine.machine import Machine
from manager.snapshot.read import open_snapshot
from manager.snapshot.write import write_snapshot
from support.vmmgr import ROOT

GUESTS = ROOT / "tests" / "guests"
LOAD = {16: 0x7C00, 32: 0x100000, 64: 0x100000}
PASSED = 1
"""The exit status of a guest without failures: (0 << 1) | 1."""
SECOND = 1_000_000_000

MACHINE = """
schema = 1
name = "{name}"
[cpu]
model = "{model}"
{cpu}
[memory]
size = "16M"
[clock]
mode = "virtual"
[boot]
image = "{image}"
load = {load}
entry = {load}
bits = {bits}
[slots.0]
device = "hostbridge"
[slots.31]
device = "lpc"
[lpc.com1]
backend = "null"
[lpc.debug-exit]
port = 0xf4
{extra}
"""


@cache
def binary(name: str, bits: int) -> bytes:
    """The flat image of tests/guests/NAME.S, preprocessed with BITS."""
    return _built(name, bits, "--oformat=binary")


@cache
def elf(name: str, bits: int) -> bytes:
    """The same with its symbols."""
    return _built(name, bits)


def _built(name: str, bits: int, *options: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        object_, image = Path(folder) / "guest.o", Path(folder) / "guest"
        compile_ = ["cc", "-c", "-m64", f"-DBITS={bits}", f"-I{GUESTS}", "-o", object_]
        subprocess.run([*compile_, GUESTS / f"{name}.S"], check=True)
        link = ["ld", "-m", "elf_x86_64", "-e", "_start", "-T", GUESTS / "flat.ld"]
        where = f"--defsym=load={LOAD[bits]:#x}"
        subprocess.run([*link, where, *options, "-o", image, object_], check=True)
        return image.read_bytes()


def machine_file(
    folder: Path, name: str, bits: int, *, model: str = "qemu64", cpu: str = "", extra: str = ""
) -> Path:
    """A machine file in `folder` that boots the guest; `cpu` is more of its [cpu] table."""
    image = folder / f"{name}-{bits}.bin"
    image.write_bytes(binary(name, bits))
    path = folder / f"{name}-{bits}.toml"
    text = MACHINE.format(
        name=f"{name}-{bits}", model=model, image=image.name, load=LOAD[bits], bits=bits,
        cpu=cpu, extra=extra,
    )  # fmt: skip
    path.write_text(text)
    return path


@dataclass(slots=True)
class Outcome:
    """What came of a run."""

    ended: Ended | None
    output: dict[str, bytearray] = field(default_factory=dict)
    """What each port sent."""
    time: int = 0
    """Virtual time at the end, ns."""
    records: dict[str, str] = field(default_factory=dict)
    """Every state record, as text that can be compared."""
    ram: str = ""
    """A digest of all RAM."""

    @property
    def lines(self) -> list[str]:
        """COM1's output."""
        return self.output["lpc.com1"].decode(errors="replace").splitlines()

    def told(self, words: str) -> int:
        """The number that the guest told under that name."""
        told = dict(line.rsplit(" ", 1) for line in self.lines if " " in line)
        return int(told[words])


def run(machine: Machine, *, limit: int = 5 * SECOND, slice_: int | None = None) -> Outcome:
    """Run to the end, or for `limit` ns of virtual time."""
    outcome = Outcome(None, {id: bytearray() for id in machine.ports})
    end = machine.now() + limit
    while outcome.ended is None and machine.now() < end:
        outcome.ended = machine.run(min(end, machine.now() + (slice_ or limit)))
        for id, port in machine.ports.items():
            outcome.output[id] += port.take_output()
    outcome.time = machine.now()
    image = machine.run_to_image()
    outcome.records = {id: repr(to_plain(record)) for id, record in image.records.items()}
    ram = hashlib.sha256()
    for region in machine.memory.everything:
        ram.update(region.memory)
    outcome.ram = ram.hexdigest()
    return outcome


def start(
    folder: Path, name: str, bits: int, *, model: str = "qemu64", cpu: str = "", extra: str = ""
) -> Machine:
    """The guest's machine, just powered on."""
    return Machine.power_on(graph(folder, name, bits, model=model, cpu=cpu, extra=extra))


def graph(
    folder: Path, name: str, bits: int, *, model: str = "qemu64", cpu: str = "", extra: str = ""
) -> Graph:
    """The guest's device graph."""
    return load_graph(machine_file(folder, name, bits, model=model, cpu=cpu, extra=extra))


def passes(outcome: Outcome, *, checks: int) -> None:
    """Hold a guest to its word: no failure, at least `checks` checks, a proper end."""
    failures = [line for line in outcome.lines if line.startswith("FAIL")]
    assert not failures, "\n".join(failures)
    assert outcome.ended is not None, f"it did not end; it said {outcome.lines[-5:]}"
    assert outcome.ended.status == PASSED, f"{outcome.ended}; it said {outcome.lines[-5:]}"
    assert sum(line.startswith("ok ") for line in outcome.lines) >= checks


def through_snapshot(machine: Machine, path: Path) -> Machine:
    """The same machine in another engine, by way of a snapshot."""
    write_snapshot(path, machine.run_to_image())
    return Machine.restore(machine.graph, open_snapshot(path))
