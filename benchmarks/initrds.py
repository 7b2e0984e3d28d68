# SPDX-License-Identifier: BSD-2-Clause
"""Initramfs of Debian's busybox with one script of ours, which the kernel runs: rdinit=/bench."""

from __future__ import annotations

import gzip
import importlib
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.row import AbsentError

EXAMPLES = Path(__file__).parent.parent / "examples"

_SCRIPT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t devtmpfs dev /dev; mount -t sysfs sys /sys
exec </dev/console >/dev/console 2>&1
for module in /modules/*.ko; do insmod $module; done
{part}
sleep 1000000
"""


def write(
    path: Path,
    base: Path,
    part: str,
    programs: Mapping[str, bytes] | None = None,
    modules: Iterable[Path] = (),
) -> None:
    """`base` and a script that loads /modules/*.ko, does its `part` and then sleeps.

    Programs go to /, and modules, in this order, to where the script loads them.
    """
    sys.path.append(str(EXAMPLES / "linux"))
    initramfs = importlib.import_module("initramfs")
    entry = initramfs.Entry
    entries = [entry("bench", 0o100755, _SCRIPT.format(part=part).encode())]
    entries += [entry(name, 0o100755, data) for name, data in (programs or {}).items()]
    loaded = [path.read_bytes() for path in modules]
    if loaded:
        entries.append(entry("modules", 0o040755))
    entries += [entry(f"modules/{n:02}.ko", 0o100644, data) for n, data in enumerate(loaded)]
    more = gzip.compress(initramfs.archive(entries), 1, mtime=0)
    path.write_bytes(base.read_bytes() + more)


def require(paths: Iterable[Path], remedy: str) -> None:
    """Raises AbsentError if one of the files is missing; the remedy is a command that gets it."""
    for path in paths:
        if not path.exists():
            raise AbsentError(f"{path.name} is missing; {remedy} gets it")


def assembled(source: str) -> bytes:
    """A program. Raises AbsentError."""
    with tempfile.TemporaryDirectory() as folder:
        text, unlinked, program = (Path(folder) / name for name in ("a.s", "a.o", "a"))
        text.write_text(source)
        try:
            subprocess.run(["as", "--64", "-o", unlinked, text], check=True)
            subprocess.run(["ld", "-o", program, unlinked], check=True)
        except FileNotFoundError as error:
            raise AbsentError(f"{error.filename} is not installed") from None
        return program.read_bytes()
