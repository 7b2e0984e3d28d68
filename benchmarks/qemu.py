# SPDX-License-Identifier: BSD-2-Clause
"""QEMU's command lines, without a window, a network or anything else that takes time."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.guests import END, EXIT_PORT, START, Guest
from benchmarks.process import Child, output_of

BINARY = "qemu-system-x86_64"
TCG = "QEMU TCG"
TCG_ICOUNT = "QEMU TCG, -icount"
ICOUNT = ("-icount", "shift=0,sleep=off")
"""Virtual time by counted instructions, idle time skipped: what vmmgr does, in QEMU's way."""


def version() -> str:
    """QEMU's own words. Raises AbsentError when it is not installed."""
    return output_of([BINARY, "--version"]).splitlines()[0].removeprefix("QEMU emulator ")


def pc(memory: int, *, machine: str = "pc", serial: Sequence[str] = ("stdio",)) -> list[str]:
    """The start of a command line: a PC with `memory` MiB and these serial ports."""
    command = [BINARY, "-machine", machine, "-accel", "tcg", "-m", str(memory), "-nodefaults"]
    command += ["-display", "none", "-no-reboot"]
    for port in serial:
        command += ["-serial", port]
    return command


def booting(sector: Path) -> list[str]:
    """Options that boot a sector from a floppy disk and let it end QEMU."""
    return [
        "-drive", f"if=floppy,format=raw,readonly=on,file={sector}",
        "-device", f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=1",
    ]  # fmt: skip


def work_of(
    guest: Guest, *, com1: str = "null", options: Sequence[str] = ()
) -> Callable[[], float]:
    """An attempt: the seconds between the guest's two marks."""

    def attempt() -> float:
        with tempfile.TemporaryDirectory() as folder:
            sector = Path(folder) / "sector.bin"
            sector.write_bytes(guest.image)
            command = [*pc(64, serial=(com1, "stdio")), *booting(sector), *options]
            with Child(command) as child:
                began = child.wait_for(START)
                return child.wait_for(END) - began

    return attempt
