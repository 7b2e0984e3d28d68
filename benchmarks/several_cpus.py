# SPDX-License-Identifier: BSD-2-Clause
"""What several CPUs cost: Linux to its shell prompt, with a seed and without, and a switch."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import ours, qemu
from benchmarks.contest import Attempt, contest
from benchmarks.guests import guest
from benchmarks.linux_boot import CASES, INITRD, KERNEL, MIB, by_qemu, by_vmmgr
from benchmarks.row import FULL, VMMGR, Effort, Row

NAME = "several-cpus"
SEEDED = "vmmgr, seeded"
PEERS = (SEEDED, qemu.TCG, qemu.TCG_ICOUNT)
COUNTS = (1, 2, 4, 8)
NOTES = {
    SEEDED: "turns end between any two instructions, interrupts wait",
    qemu.TCG: "a thread of the host for each CPU",
    qemu.TCG_ICOUNT: "CPUs in turns on one thread, as vmmgr's",
}
ITERATIONS = 20_000_000
SHORT, LONG = 1_000, 100_000
"""Turns, ns."""
TICKS_PER_NS = 4

_ANOTHER_SPINS = """
    mov word ptr [0x8000], 0xfeeb           /* jmp . */
    mov dword ptr [0xfee000f0], 0x1ff
    mov dword ptr [0xfee00300], 0xc4500     /* INIT to all others */
    mov dword ptr [0xfee00300], 0xc4608     /* start at 0x8000 */
"""


def measure(effort: Effort = FULL) -> list[Row]:
    """A contest for each number of CPUs, of fixed work, and the cost of a switch."""
    ours.compile_modules()
    rows: list[Row] = []
    for count in COUNTS:
        name = f"Debian 6.1 to a shell prompt, {MIB} MiB, CPUs: {count}"
        if missing := [path.name for path in (KERNEL, INITRD) if not path.exists()]:
            why = f"{missing[0]} is missing; examples/linux/fetch.sh gets it"
            rows.append(Row(name, VMMGR, "s", absent=why))
            continue
        rows += contest(name, "s", _boots(count), effort.rounds, notes=NOTES)
    switch = partial(_switch, effort.of(ITERATIONS))
    return [
        *rows,
        *contest("a switch between two busy CPUs, CPU time", "us", {VMMGR: switch}, effort.rounds),
    ]


def _boots(count: int) -> dict[str, Attempt]:
    cmdline, smp = CASES["ACPI and APICs"], ("-smp", str(count))

    def of_vmmgr(*schedule: str) -> Callable[[], float]:
        return lambda: by_vmmgr(cmdline, [f"cpu.count={count}", *schedule])

    return {
        VMMGR: of_vmmgr(),
        SEEDED: of_vmmgr("cpu.schedule.seed=1"),
        qemu.TCG: by_qemu(cmdline, options=smp),
        qemu.TCG_ICOUNT: by_qemu(cmdline, options=(*smp, *qemu.ICOUNT)),
    }


def _switch(iterations: int) -> float:
    """Microseconds: the same work with short turns and with long ones, by the switches more."""
    short, virtual = _work(iterations, SHORT)
    long, _ = _work(iterations, LONG)
    return (short - long) * 1e6 / (virtual / SHORT - virtual / LONG)


def _work(iterations: int, quantum: int) -> tuple[float, float]:
    """CPU seconds of the host for the whole run, and the loop's virtual ns, both CPUs'."""
    loop = f"mov ecx, {iterations}\n.balign 16\n1: add eax, ebx\n xor edx, eax\n dec ecx\n jnz 1b"
    with tempfile.TemporaryDirectory() as folder:
        file = ours.write_machine(Path(folder), guest(loop, prepare=_ANOTHER_SPINS))
        file.write_text(f'{file.read_text()}\n[cpu]\ncount = 2\nquantum = "{quantum}ns"\n')
        began = time.process_time()  # of a difference, a busy host would be the most
        ours.run_to_end(file)
        spent = time.process_time() - began
    gc.collect()
    bytes_of_code = 7
    return spent, 2 * iterations * bytes_of_code / TICKS_PER_NS
