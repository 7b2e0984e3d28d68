# SPDX-License-Identifier: BSD-2-Clause
"""Suspend and restore: how long, how many bytes. `python -m benchmarks.snapshots [MIB ...]`.

A machine with a quarter of its RAM filled with random bytes is saved in full, restored, saved
again after 0 and after 1000 pages have changed. Times are medians, caches are warm, and every save
is durable when its clock stops.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.row import FULL, VMMGR, Effort, Row

NAME = "snapshots"
PEERS = ()
PAGE = 4096
SIZES = (96, 256, 1024)
CHANGED_PAGES = 1000

MACHINE = """\
schema = 1
[memory]
size = "{size}M"
[clock]
mode = "virtual"
[boot]
image = "spin.bin"
load = 0x7c00
entry = 0x7c00
bits = 16
[slots.0]
device = "hostbridge"
[slots.4]
device = "uart"
backend = "null"
[slots.31]
device = "lpc"
[lpc.com1]
backend = "null"
"""
SPIN = b"\xeb\xfe"


def bench(size: int, place: Path, rounds: int) -> dict[str, Any]:
    """All figures for a machine with `size` MiB, in ms and bytes."""
    from manager.graph.build import load_graph
    from manager.machine.machine import Machine
    from manager.snapshot.read import open_snapshot, verify_snapshot
    from manager.snapshot.store import Store

    (place / "spin.bin").write_bytes(SPIN)
    (place / "machine.toml").write_text(MACHINE.format(size=size))
    graph = load_graph(place / "machine.toml")
    store = Store(place / "snapshots")
    figures: dict[str, Any] = {"ram_mib": size}

    machine = Machine.power_on(graph)
    chance = random.Random(size)
    pages = [page for region in machine.memory.regions for page in _pages_of(region)]
    for page in chance.sample(pages, len(pages) // 4):
        machine.memory.write(page, chance.randbytes(PAGE))
    machine.run(machine.now() + 1000)
    figures["full_ms"], path = _timed(partial(_save, store, machine, "base"))
    figures["full_bytes"] = _disk(path)

    def restored(tag: str = "base") -> Machine:
        saved = store.path(tag)
        assert saved is not None
        again = Machine.restore(graph, open_snapshot(saved))
        again.run(again.now() + 1)
        return again

    del machine
    times = []
    for _ in range(max(rounds, 11)):
        elapsed, machine = _timed(restored)
        times.append(elapsed)
        del machine
    figures["restore_ms"] = statistics.median(times)
    for name, count in (("unchanged", 0), ("changed", CHANGED_PAGES)):
        times, written = [], []
        for _ in range(rounds):
            machine = restored()
            for page in chance.sample(pages, count):
                machine.memory.write(page, chance.randbytes(8))
            elapsed, path = _timed(partial(_save, store, machine, "current"))
            times.append(elapsed)
            written.append(_new_bytes(path))
            del machine
        figures[f"{name}_ms"] = statistics.median(times)
        figures[f"{name}_bytes"] = statistics.median(written)
    times = []
    for _ in range(max(rounds, 11)):
        elapsed, machine = _timed(partial(restored, "current"))
        times.append(elapsed)
        del machine
    figures["restore_delta_ms"] = statistics.median(times)
    figures["verify_ms"], _ = _timed(lambda: verify_snapshot(path))
    return figures


FIGURES = {
    "full_ms": "full suspend",
    "unchanged_ms": "suspend, nothing changed",
    "changed_ms": f"suspend, {CHANGED_PAGES} pages changed",
    "restore_ms": "restore to the first instruction",
    "restore_delta_ms": f"restore with a delta of {CHANGED_PAGES} pages",
    "verify_ms": "verify",
}


def measure(effort: Effort = FULL) -> list[Row]:
    """Ours alone, by size of RAM; benchmarks/resume.py has the peers."""
    rows = []
    for size in SIZES[1:]:
        with tempfile.TemporaryDirectory() as place:
            figures = bench(size, Path(place), effort.rounds)
            os.sync()
        rows += [
            Row(f"{what}, {size} MiB, a quarter of it in use", VMMGR, "ms", (figures[key],))
            for key, what in FIGURES.items()
        ]
    return rows


def _pages_of(region: Any) -> range:
    first = max(region.base, 0x10000)
    return range(first, region.end, PAGE)


def _save(store: Any, machine: Any, tag: str) -> Path:
    path: Path = store.commit(machine.run_to_image(), tag)
    return path


def _timed(action: Any) -> tuple[float, Any]:
    began = time.perf_counter()
    result = action()
    return (time.perf_counter() - began) * 1000, result


def _disk(path: Path) -> int:
    return sum(entry.stat().st_blocks * 512 for entry in path.iterdir())


def _new_bytes(path: Path) -> int:
    """Bytes of the files that no earlier snapshot had."""
    began = (path / "snapshot.vmms").stat().st_mtime
    files = [entry.stat() for entry in path.iterdir()]
    return sum(one.st_blocks * 512 for one in files if abs(one.st_mtime - began) < 0.5)


def main() -> int:
    """Measure and print, as a table or as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES, metavar="MIB")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--directory", help="where to write; default: a temporary place")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    results = []
    for size in args.sizes:
        with tempfile.TemporaryDirectory(dir=args.directory) as place:
            results.append(bench(size, Path(place), args.rounds))
            os.sync()
    if args.json:
        print(json.dumps(results, indent=2))
        return 0
    names = list(results[0])
    print(" ".join(f"{name:>17}" for name in names))
    for figures in results:
        print(" ".join(f"{figures[name]:>17.2f}" for name in names))
    return 0


if __name__ == "__main__":
    sys.exit(main())
