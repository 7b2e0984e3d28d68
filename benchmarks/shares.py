# SPDX-License-Identifier: BSD-2-Clause
"""Shares: a walk over small files of the host, and reading a large one, by 9P.

The guest is Debian's ordinary kernel with its 9p driver; what it has mounted keeps no pages.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import initrds, ours, qemu
from benchmarks.contest import Figures, contests
from benchmarks.process import Child
from benchmarks.row import FULL, VMMGR, Effort, Row

NAME = "shares"
PEERS = (qemu.TCG,)
WORKSHOP = initrds.EXAMPLES / "19-edit-and-run"
KERNEL, INITRD = WORKSHOP / "vmlinuz", WORKSHOP / "initrd.img"
FILES = 5000
"""Of 100 bytes each, in 280 folders."""
MIBS = 64
LONGEST = 300.0
BEGIN, MIDDLE, END = b"[begin]", b"[middle]", b"[end]"
NOTES = {VMMGR: "the folder as it was at boot", qemu.TCG: "the folder itself, read-only"}

_PART = """mkdir /m; mount -t 9p -o trans=virtio,version=9p2000.L,ro src /m
echo '[begin]'
ls -lR /m/tree >/dev/null
echo '[middle]'
dd if=/m/large of=/dev/null bs=1M 2>/dev/null
echo '[end]'
"""
_CMDLINE = "console=ttyS0 quiet rdinit=/bench"
_MACHINE = """
schema = 1
[memory]
size = "128M"
[clock]
mode = "virtual"
[boot]
kernel = "{kernel}"
initrd = "initrd.img"
cmdline = "{cmdline}"
[shares.src]
folder = "src"
[slots.0]
device = "hostbridge"
[slots.7]
device = "virtio-9p"
share = "src"
[slots.31]
device = "lpc"
[lpc.com1]
"""


def measure(effort: Effort = FULL) -> list[Row]:
    """Two contests that come out of one boot."""
    ours.compile_modules()
    files, mibs = effort.of(FILES), effort.of(MIBS)
    walk, read = f"ls -lR of {files} files by 9P", f"a file of {mibs} MiB read by 9P"

    def attempt(command_in: Callable[[Path], list[str]]) -> Callable[[], Figures]:
        def figures() -> Figures:
            initrds.require((KERNEL, INITRD), "examples/19-edit-and-run/fetch.sh")
            with tempfile.TemporaryDirectory(prefix="vm-") as name:
                folder = Path(name)
                _write_source(folder / "src", files, mibs)
                initrds.write(folder / "initrd.img", INITRD, _PART)
                state = {"VMMGR_STATE_HOME": str(folder / "s")}
                with Child(command_in(folder), state, LONGEST) as guest:
                    began, middle, ended = (guest.wait_for(mark) for mark in (BEGIN, MIDDLE, END))
            return {walk: files / (middle - began), read: mibs / (ended - middle)}

        return figures

    contestants = {VMMGR: attempt(_vmmgr), qemu.TCG: attempt(_qemu)}
    rows = contests([walk, read], "", contestants, effort.rounds, more_is_better=True, notes=NOTES)
    return [row.of_unit({walk: "files/s", read: "MiB/s"}[row.contest]) for row in rows]


def _write_source(folder: Path, files: int, mibs: int) -> None:
    for number in range(files):
        place = folder / "tree" / f"d{number % 40}" / f"e{number % 7}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"file{number}").write_bytes(b"x" * 100)
    (folder / "large").write_bytes(os.urandom(mibs << 20))


def _vmmgr(folder: Path) -> list[str]:
    (folder / "bench.toml").write_text(_MACHINE.format(kernel=KERNEL, cmdline=_CMDLINE))
    return [*ours.COMMAND, "run", str(folder / "bench.toml"), "--until", "\\[over\\]"]


def _qemu(folder: Path) -> list[str]:
    command = [*qemu.pc(128), "-kernel", str(KERNEL), "-initrd", str(folder / "initrd.img")]
    command += ["-append", _CMDLINE]
    source = f"local,id=src,path={folder / 'src'},security_model=none,readonly=on"
    return [*command, "-fsdev", source, "-device", "virtio-9p-pci,fsdev=src,mount_tag=src"]
