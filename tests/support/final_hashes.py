# SPDX-License-Identifier: BSD-2-Clause
"""Runs guests in this process, on a host that is made to look like another: prints how they end.

usage: final_hashes.py [--cores N] [--rounding DIRECTION] [--old-processor] GUEST...

A guest is `hello` or NAME-BITS-MODEL of tests/guests. One line for each: its name, and a digest of
RAM, every record, what was sent and the virtual time.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import os
import platform
import tempfile
from pathlib import Path

from manager.cpu.unicorn import library
from manager.graph.build import load_graph
from manager.machine.machine import Machine
from support import suite
from support.vmmgr import ROOT

DIRECTIONS = {
    "x86_64": {"down": 0x400, "up": 0x800, "zero": 0xC00},
    "aarch64": {"up": 0x400000, "down": 0x800000, "zero": 0xC00000},
}
"""What fesetround() takes."""
ADVANCED = ("have_avx1", "have_avx2", "have_bmi1", "have_popcnt")
"""What the translator asks of an x86-64 processor before it writes code for it."""


def power_on(guest: str, folder: Path) -> Machine:
    """Its machine; our own small guest has something typed at it."""
    if guest == "hello":
        machine = Machine.power_on(load_graph(ROOT / "machines" / "hello.toml"))
        machine.ports["lpc.com1"].feed(b"hello\n")
        return machine
    name, bits, model = guest.split("-", 2)
    return suite.start(folder, name, int(bits), model=model)


def forget_advanced() -> None:
    """Has the translator write code for an x86-64 processor of 2003, whatever it has found."""
    if platform.machine() != "x86_64":
        return
    engine = ctypes.CDLL(str(library.find()))
    for name in ADVANCED:
        ctypes.c_bool.in_dll(engine, f"{name}_x86_64").value = False


def final_hash(outcome: suite.Outcome) -> str:
    """Everything that came of a run."""
    everything = (outcome.time, outcome.ram, outcome.records, outcome.output)
    return hashlib.sha256(repr(everything).encode()).hexdigest()


def main() -> None:
    """Run them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cores", type=int)
    parser.add_argument("--rounding", choices=("up", "down", "zero"))
    parser.add_argument("--old-processor", action="store_true")
    parser.add_argument("guests", nargs="+")
    options = parser.parse_args()
    if options.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    if options.rounding:
        direction = DIRECTIONS[platform.machine()][options.rounding]
        assert ctypes.CDLL("libm.so.6").fesetround(direction) == 0
    with tempfile.TemporaryDirectory() as folder:
        for guest in options.guests:
            machine = power_on(guest, Path(folder))
            if options.old_processor:
                forget_advanced()
            print(guest, final_hash(suite.run(machine, limit=2 * suite.SECOND)), flush=True)


if __name__ == "__main__":
    main()
