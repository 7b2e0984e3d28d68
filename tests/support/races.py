# SPDX-License-Identifier: BSD-2-Clause
"""The small kernels in tests/guests/races, each with one planted bug."""

from __future__ import annotations

from pathlib import Path

from support import suite

KERNELS = sorted(path.stem for path in (suite.GUESTS / "races").glob("*.S"))
WANTED = ("--until", "^ok", "--fail-on", "^FAIL", "--max-time", "3ms")
"""What a run of one is to show. One that hangs does so in virtual microseconds."""


def machine_file(folder: Path, name: str, *, schedule: str = "") -> Path:
    """A machine that boots the kernel, NAME.toml, with its symbols in NAME.elf beside."""
    cpus = 1 if name == "interrupt" else 2
    (folder / f"{name}.bin").write_bytes(suite.binary(f"races/{name}", 64))
    (folder / f"{name}.elf").write_bytes(suite.elf(f"races/{name}", 64))
    path = folder / f"{name}.toml"
    path.write_text(
        suite.MACHINE.format(
            name=name,
            model="qemu64",
            image=f"{name}.bin",
            load=suite.LOAD[64],
            bits=64,
            cpu=f"count = {cpus}\n{schedule}",
            extra="",
        )
    )
    return path
