# SPDX-License-Identifier: BSD-2-Clause
"""How fast guest code runs: tight loops, in millions of guest instructions a second."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import bare_unicorn, ours, qemu
from benchmarks.bare_unicorn import BARE
from benchmarks.contest import contest
from benchmarks.guests import LOOPS, Loop
from benchmarks.row import FULL, VMMGR, AbsentError, Effort, Row

NAME = "efficiency"
PEERS = (BARE, qemu.TCG, qemu.TCG_ICOUNT)
INSTRUCTIONS = 400_000_000
"""Of each loop and repetition."""
NOTES = {
    VMMGR: "counts executed code as virtual time; the same result every run",
    BARE: "no time, no devices, no interrupts; its stock Python binding, a process of its own",
    qemu.TCG_ICOUNT: "counts instructions as virtual time",
}


def measure(effort: Effort = FULL) -> list[Row]:
    """One contest for each loop."""
    rows = []
    for loop in LOOPS:
        try:
            rows += _loop(loop, effort)
        except AbsentError as error:
            rows.append(Row(loop.name, VMMGR, "MIPS", absent=str(error)))
    return rows


def _loop(loop: Loop, effort: Effort) -> list[Row]:
    iterations = effort.of(INSTRUCTIONS // loop.instructions)
    guest = loop.guest(iterations)
    executed = iterations * loop.instructions

    def mips(attempt: Callable[[], float]) -> Callable[[], float]:
        return lambda: executed / attempt() / 1e6

    attempts = {
        VMMGR: mips(ours.work_of(guest)),
        BARE: mips(bare_unicorn.work_of(guest)),
        qemu.TCG: mips(qemu.work_of(guest)),
        qemu.TCG_ICOUNT: mips(qemu.work_of(guest, options=qemu.ICOUNT)),
    }
    return contest(loop.name, "MIPS", attempts, effort.rounds, more_is_better=True, notes=NOTES)
