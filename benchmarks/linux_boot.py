# SPDX-License-Identifier: BSD-2-Clause
"""How long Linux takes to its shell prompt, from the start of the process, as a user would."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import ours, qemu
from benchmarks.contest import Attempt, contest
from benchmarks.process import Child
from benchmarks.row import FULL, VMMGR, Effort, Row

NAME = "linux-boot"
MICROVM = "QEMU TCG, microvm"
PEERS = (qemu.TCG, MICROVM, qemu.TCG_ICOUNT)

MACHINES = Path(__file__).parent.parent / "machines"
KERNEL = MACHINES / "linux" / "vmlinuz"
INITRD = MACHINES / "linux" / "initrd.img"
MIB = 256
PROMPT = b"/ # "
LONGEST = 60.0
"""Seconds for a boot; a kernel that found no timer would try for ever."""

CASES = {
    "PIC and PIT": "console=ttyS0 acpi=off noapic nolapic",
    "ACPI and APICs": "console=ttyS0",
}
"""What the kernel is to use, and the command line that makes it."""

_MACHINE = """\
schema = 1
extends = ["{base}"]
name = "bench-linux"
[boot]
cmdline = "{cmdline}"
"""
MICROVM_NOTE = "no BIOS, no PCI, and its own way to boot; uses its APICs"


def measure(effort: Effort = FULL) -> list[Row]:
    """One contest for each command line. The amount of work is fixed."""
    for path in (KERNEL, INITRD):
        if not path.exists():
            why = f"{path.name} is missing; examples/linux/fetch.sh gets it"
            return [Row(_contest(case), VMMGR, "s", absent=why) for case in CASES]
    ours.compile_modules()
    rows = []
    for case, cmdline in CASES.items():
        rows += boots(_contest(case), cmdline, effort.rounds)
    return rows


def boots(name: str, cmdline: str, rounds: int) -> list[Row]:
    """The contest for one command line. The microvm cannot do without its APICs."""
    attempts: dict[str, Attempt] = {
        VMMGR: lambda: by_vmmgr(cmdline),
        qemu.TCG: by_qemu(cmdline),
        MICROVM: by_qemu(CASES["ACPI and APICs"], machine="microvm,acpi=off"),
        qemu.TCG_ICOUNT: by_qemu(cmdline, options=qemu.ICOUNT),
    }
    return contest(name, "s", attempts, rounds, notes={MICROVM: MICROVM_NOTE})


def _contest(case: str) -> str:
    return f"Debian 6.1 to a shell prompt, {MIB} MiB; {case}"


def by_vmmgr(cmdline: str, settings: Sequence[str] = ()) -> float:
    """Seconds to the prompt; `settings` are those of `--set`."""
    with tempfile.TemporaryDirectory() as folder:
        machine = Path(folder) / "bench-linux.toml"
        base = os.path.relpath(MACHINES / "linux.toml", folder)
        machine.write_text(_MACHINE.format(base=base, cmdline=cmdline))
        options = [word for setting in settings for word in ("--set", setting)]
        return _prompt([*ours.COMMAND, "run", str(machine), "--until", "/ # $", *options])


def by_qemu(cmdline: str, machine: str = "pc", options: Sequence[str] = ()) -> Callable[[], float]:
    """An attempt: the same under QEMU."""
    command = [*qemu.pc(MIB, machine=machine), *options]
    command += ["-kernel", str(KERNEL), "-initrd", str(INITRD), "-append", cmdline]
    return lambda: _prompt(command)


def _prompt(command: Sequence[str]) -> float:
    with Child(command, longest=LONGEST) as child:
        return child.wait_for(PROMPT) - child.began
