# SPDX-License-Identifier: BSD-2-Clause
"""How many single accesses a second to a device's registers in memory, and beside it to a port.

The registers are the local APIC's version and its task priority; the port is COM1's scratch
register. A card's BARs go the same way as the local APIC.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import ours, qemu
from benchmarks.contest import contest
from benchmarks.guests import Guest, memory_reads, memory_writes, port_reads, port_writes
from benchmarks.row import FULL, VMMGR, AbsentError, Effort, Row

NAME = "memory-io"
PEERS = (qemu.TCG,)
VERSION, PRIORITY = 0xFEE0_0030, 0xFEE0_0080
SCRATCH = 0x3FF
ACCESSES = 1_000_000
CONTESTS: dict[str, Callable[[int], Guest]] = {
    "load from a register in memory": lambda count: memory_reads(VERSION, count),
    "store to a register in memory": lambda count: memory_writes(PRIORITY, count),
    "IN from a scratch register": lambda count: port_reads(SCRATCH, count),
    "OUT to a scratch register": lambda count: port_writes(SCRATCH, count),
}


def measure(effort: Effort = FULL) -> list[Row]:
    """Two contests in memory, two on ports."""
    count = effort.of(ACCESSES)
    rows = []
    for name, make in CONTESTS.items():
        try:
            work = make(count)
        except AbsentError as error:
            rows.append(Row(name, VMMGR, "1/s", absent=str(error)))
            continue
        attempts = {VMMGR: ours.work_of(work), qemu.TCG: qemu.work_of(work)}
        rates = {who: _rate(attempt, count) for who, attempt in attempts.items()}
        rows += contest(name, "1/s", rates, effort.rounds, more_is_better=True)
    return rows


def _rate(attempt: Callable[[], float], count: int) -> Callable[[], float]:
    return lambda: count / attempt()
