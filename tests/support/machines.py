# SPDX-License-Identifier: BSD-2-Clause
"""Whole machines around a few lines of assembly."""

from __future__ import annotations

from pathlib import Path

from manager.graph.build import load_graph
from manager.machine.ended import Ended
from manager.machine.machine import Machine
from support.assembler import assemble

LOAD = 0x8000

PC = """
schema = 1
[memory]
size = "4M"
[boot]
image = "guest.bin"
load = 0x8000
entry = 0x8000
bits = {bits}
[slots.0]
device = "hostbridge"
[slots.4]
device = "uart"
backend = "null"
[slots.31]
device = "lpc"
[lpc.com1]
backend = "null"
[lpc.debug-exit]
"""


def build(folder: Path, source: str, bits: int = 32, extra: str = "") -> Machine:
    """A PC whose guest is `source`; `extra` goes at the end of its machine file."""
    (folder / "guest.bin").write_bytes(assemble(source, LOAD, bits))
    file = folder / "guest.toml"
    file.write_text(PC.format(bits=bits) + extra)
    return Machine.power_on(load_graph(file))


def finish(machine: Machine, limit: int = 1_000_000_000) -> Ended:
    """Run to the guest's own end, within `limit` ns."""
    ended = machine.run(machine.now() + limit)
    assert ended is not None, "the guest does not end"
    return ended
