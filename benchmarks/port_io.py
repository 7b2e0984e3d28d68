# SPDX-License-Identifier: BSD-2-Clause
"""How many single port accesses a second: sending through a uart, and polling its line status."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import ours, qemu
from benchmarks.contest import Attempt, contest
from benchmarks.guests import Guest, port_reads, port_writes
from benchmarks.row import FULL, VMMGR, AbsentError, Effort, Row

NAME = "port-io"
PEERS = (qemu.TCG,)
THR, LSR = 0x3F8, 0x3FD
ACCESSES = 1_000_000
SENT, KEPT, READ = "OUT to THR, null backend", "OUT to THR, file backend", "IN from LSR"


def measure(effort: Effort = FULL) -> list[Row]:
    """Two contests of writing, one of reading."""
    count = effort.of(ACCESSES)
    try:
        writes, reads = port_writes(THR, count), port_reads(LSR, count)
    except AbsentError as error:
        return [Row(name, VMMGR, "1/s", absent=str(error)) for name in (SENT, KEPT, READ)]
    with tempfile.TemporaryDirectory() as folder:
        sink = Path(folder) / "com1.out"
        to_file: dict[str, Attempt] = {
            VMMGR: _counted(ours.work_of(writes, com1=str(sink)), count, sink),
            qemu.TCG: _counted(qemu.work_of(writes, com1=f"file:{sink}"), count, sink),
        }
        return [
            *_rates(SENT, _both(writes), count, effort),
            *_rates(KEPT, to_file, count, effort),
            *_rates(READ, _both(reads), count, effort),
        ]


def _both(guest: Guest) -> dict[str, Attempt]:
    return {VMMGR: ours.work_of(guest), qemu.TCG: qemu.work_of(guest)}


def _counted(attempt: Attempt, count: int, sink: Path) -> Attempt:
    """The attempt, provided that every byte got into the file."""

    def checked() -> float:
        sink.unlink(missing_ok=True)
        seconds = attempt()
        kept = sink.stat().st_size
        if kept != count:
            raise AbsentError(f"only {kept} of {count} bytes are in the file")
        return seconds

    return checked


def _rates(name: str, attempts: dict[str, Attempt], count: int, effort: Effort) -> list[Row]:
    def rate(attempt: Attempt) -> Callable[[], float]:
        return lambda: count / attempt()

    rates = {contestant: rate(attempt) for contestant, attempt in attempts.items()}
    return contest(name, "1/s", rates, effort.rounds, more_is_better=True)
