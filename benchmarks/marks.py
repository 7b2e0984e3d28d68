# SPDX-License-Identifier: BSD-2-Clause
"""Back to a point in a running process, by how many pages of RAM were written since."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import bare_unicorn, ours
from benchmarks.bare_unicorn import BARE
from benchmarks.contest import Attempt, contest
from benchmarks.guests import guest
from benchmarks.row import FULL, VMMGR, AbsentError, Effort, Row

if TYPE_CHECKING:
    from manager.machine.machine import Machine

NAME = "marks"
RESTORE = "vmmgr, a fresh restore"
PEERS = (BARE, RESTORE)
PAGES = (8, 64, 512)
RAM = 64
"""MiB."""
TIMES = 300
"""How often a round goes back."""
LEG = 100_000
"""Virtual ns between: some hundred thousand bytes of code, enough for all pages."""
WORK = """
again:
    mov edi, 0x100000
    mov ecx, {pages}
1:  inc byte ptr [edi]
    add edi, 4096
    loop 1b
    jmp again
"""
NOTES = {
    BARE: "no state: a new CPU and empty RAM, to the end of the first instruction",
    RESTORE: "of a snapshot in the page cache, to the first block",
}


def measure(effort: Effort = FULL) -> list[Row]:
    """One contest for each number of pages; the figure is the mean of a round."""
    rows = []
    for pages in PAGES:
        name = f"back to a mark and to the first block, {pages} pages written"
        try:
            rows += _going_back(name, pages, effort)
        except AbsentError as error:
            rows.append(Row(name, VMMGR, "ms", absent=str(error)))
    return rows


def _going_back(name: str, pages: int, effort: Effort) -> list[Row]:
    from manager.graph.build import load_graph
    from manager.machine.machine import Machine
    from manager.snapshot.write import write_snapshot

    with tempfile.TemporaryDirectory() as folder:
        file = ours.write_machine(Path(folder), guest(WORK.format(pages=pages)), memory=RAM)
        machine = Machine.power_on(load_graph(file))
        machine.run(10 * LEG)
        write_snapshot(Path(folder) / "state", machine.run_to_image())
        machine.mark()
        attempts: dict[str, Attempt] = {
            VMMGR: partial(_back, machine, pages, effort.of(TIMES)),
            BARE: bare_unicorn.start_of(RAM),
            RESTORE: _restoring(machine, Path(folder) / "state"),
        }
        try:
            return contest(name, "ms", attempts, max(effort.rounds, 5), notes=NOTES)
        finally:
            machine.free()


def _back(machine: Machine, pages: int, times: int) -> float:
    spent = 0.0
    for _ in range(times):
        machine.run(machine.now() + LEG)
        began = time.perf_counter()
        changed = machine.back()
        machine.run(machine.now() + 1)
        spent += time.perf_counter() - began
        assert changed >= pages
    return spent / times * 1000


def _restoring(machine: Machine, state: Path) -> Callable[[], float]:
    from manager.machine.machine import Machine
    from manager.snapshot.read import open_snapshot

    def attempt() -> float:
        began = time.perf_counter()
        restored = Machine.restore(machine.graph, open_snapshot(state))
        restored.run(restored.now() + 1)
        spent = time.perf_counter() - began
        restored.free()
        return spent * 1000

    return attempt
