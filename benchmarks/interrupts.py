# SPDX-License-Identifier: BSD-2-Clause
"""How many timer interrupts a second of the host's time: 8254 at 10 kHz, HLT, handler, EOI."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import ours, qemu
from benchmarks.contest import Attempt, contest
from benchmarks.guests import INTERRUPT_RATE, timer_interrupts
from benchmarks.row import FULL, VMMGR, AbsentError, Effort, Row

NAME = "interrupts"
PEERS = (qemu.TCG_ICOUNT, qemu.TCG)
CONTEST = f"timer interrupts, {INTERRUPT_RATE} Hz of guest time, CPU halted between"
INTERRUPTS = 40_000
NOTES = {
    qemu.TCG: f"keeps to the host's time, so {INTERRUPT_RATE} is all it can have",
    qemu.TCG_ICOUNT: "skips idle time, as vmmgr does",
}


def measure(effort: Effort = FULL) -> list[Row]:
    """One contest."""
    count = effort.of(INTERRUPTS)
    try:
        guest = timer_interrupts(count)
    except AbsentError as error:
        return [Row(CONTEST, VMMGR, "1/s", absent=str(error))]

    def rate(attempt: Attempt) -> Callable[[], float]:
        return lambda: count / attempt()

    attempts = {
        VMMGR: rate(ours.work_of(guest)),
        qemu.TCG_ICOUNT: rate(qemu.work_of(guest, options=qemu.ICOUNT)),
        qemu.TCG: rate(qemu.work_of(guest)),
    }
    return contest(CONTEST, "1/s", attempts, effort.rounds, more_is_better=True, notes=NOTES)
