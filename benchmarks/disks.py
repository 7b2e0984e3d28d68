# SPDX-License-Identifier: BSD-2-Clause
"""Disks: what Linux reads and writes in a second, and what a suspend costs after it has.

The guest is Debian's kernel with one program of ours as its init. It opens the disk past the page
cache and says when it begins each part. The same program runs on QEMU, with the same kind of disk,
over a raw image that begins as a hole.
"""

from __future__ import annotations

import gzip
import importlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import initrds, ours, qemu
from benchmarks.contest import Figures, contests
from benchmarks.linux_boot import KERNEL, LONGEST
from benchmarks.process import Child
from benchmarks.row import FULL, VMMGR, AbsentError, Effort, Row

if TYPE_CHECKING:
    from manager.machine.machine import Machine
    from manager.snapshot.store import Store

NAME = "disks"
PEERS = (qemu.TCG,)
MODULES = KERNEL.parent / "modules"
DRIVERS = {
    "virtio-blk": (
        "virtio_ring", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio", "virtio_pci",
        "virtio_blk",
    ),
    "nvme": (),
}  # fmt: skip
"""The modules of each kind of disk, in the order in which Linux takes them."""
_QEMU = {"virtio-blk": "virtio-blk-pci,drive=d", "nvme": "nvme,serial=bench,drive=d"}
PIECES = 64
"""MiB that are written and read one after the other."""
RANDOM = 4000
"""Requests of 4 KiB, at places that a generator of random numbers draws."""
DIRTY = (1, 64, 1024)
SNAPSHOTS = 20
MIB = 1 << 20

# Init: loads /0.ko and so on, waits for a disk, and then works: %rbx is the disk.
_INIT = """
        .equ    PIECES, {pieces}
        .equ    RANDOM, {random}
        .macro  call_kernel number
        mov     eax, \\number
        syscall
        .endm
        .macro  say text
        mov     edi, 1
        lea     rsi, \\text[rip]
        mov     edx, 8
        call_kernel 1
        .endm
        .text
_start: lea     rdi, devtmpfs[rip]              # mount("devtmpfs", "/dev", "devtmpfs", 0, 0)
        mov     rdx, rdi
        lea     rsi, dev[rip]
        xor     r10d, r10d
        xor     r8d, r8d
        call_kernel 165
1:      lea     rdi, module[rip]
        xor     esi, esi
        call_kernel 2                           # open
        test    eax, eax
        js      2f
        mov     edi, eax
        lea     rsi, empty[rip]
        xor     edx, edx
        call_kernel 313                         # finit_module
        inc     byte ptr module[rip + 1]
        jmp     1b
2:      lea     rdi, vda[rip]
        call    open_disk
        jns     3f
        lea     rdi, nvme[rip]
        call    open_disk
        jns     3f
        lea     rdi, moment[rip]
        xor     esi, esi
        call_kernel 35                          # nanosleep
        jmp     2b
3:      mov     ebx, eax
        say     write
        mov     r12d, 18                        # pwrite64
        call    in_sequence
        say     read
        mov     r12d, 17                        # pread64
        call    in_sequence
        say     random_read
        call    at_random
        say     random_write
        mov     r12d, 18
        call    at_random
        say     over
4:      lea     rdi, moment[rip]
        xor     esi, esi
        call_kernel 35
        jmp     4b

open_disk:
        mov     esi, 0x4002                     # O_RDWR | O_DIRECT
        call_kernel 2
        test    eax, eax
        ret

in_sequence:
        xor     r13d, r13d
1:      mov     r10, r13
        shl     r10, 20
        mov     edx, 1 << 20
        call    move
        inc     r13d
        cmp     r13d, PIECES
        jb      1b
        ret

at_random:
        mov     r13d, RANDOM
        mov     r14d, 1
1:      imul    r14d, r14d, 1664525
        add     r14d, 1013904223
        mov     r10d, r14d
        shr     r10d, 8
        xor     edx, edx
        mov     eax, r10d
        mov     ecx, PIECES << 8
        div     ecx
        mov     r10d, edx
        shl     r10, 12
        mov     edx, 4096
        call    move
        dec     r13d
        jnz     1b
        ret

move:   mov     edi, ebx
        lea     rsi, buffer[rip]
        mov     eax, r12d
        syscall
        test    rax, rax
        jle     failed
        mov     byte ptr buffer[rip], r13b      # another content each time
        ret
failed: say     error
        jmp     4b

        .data
devtmpfs: .asciz "devtmpfs"
dev:    .asciz  "/dev"
module: .asciz  "/0.ko"
empty:  .asciz  ""
vda:    .asciz  "/dev/vda"
nvme:   .asciz  "/dev/nvme0n1"
write:  .ascii  "[write]\\n"
read:   .ascii  "[read]\\n "
random_read: .ascii "[rread]\\n"
random_write: .ascii "[rwrite]"
over:   .ascii  "[over]\\n "
error:  .ascii  "[error]\\n"
moment: .quad   0, 1000000
        .bss
        .balign 4096
buffer: .skip   1 << 20
"""
_MACHINE = """
schema = 1
name = "bench-disk"
[memory]
size = "256M"
[clock]
mode = "virtual"
[boot]
kernel = "{kernel}"
initrd = "{initrd}"
cmdline = "{cmdline}"
[disks.root]
image = "{image}"
[slots.0]
device = "hostbridge"
[slots.1]
device = "lpc"
[slots.5]
device = "{kind}"
disk = "root"
[lpc.com1]
"""
_CMDLINE = "console=ttyS0 quiet"
_MARKS = (b"[write]", b"[read]", b"[rread]", b"[rwrite]", b"[over]")


def measure(effort: Effort = FULL) -> list[Row]:
    """Two kinds of disk against QEMU's, then ours alone: suspends and snapshots."""
    ours.compile_modules()
    rows = []
    for kind in DRIVERS:
        rows += _speeds(kind, effort)
    return rows + suspends(effort) + [twenty_snapshots()]


def _speeds(kind: str, effort: Effort) -> list[Row]:
    pieces, requests = effort.of(PIECES), effort.of(RANDOM)
    units = {
        f"{kind}: write {pieces} MiB in pieces of 1 MiB": (pieces, "MiB/s"),
        f"{kind}: read {pieces} MiB in pieces of 1 MiB": (pieces, "MiB/s"),
        f"{kind}: read 4 KiB at random places": (requests, "1/s"),
        f"{kind}: write 4 KiB at random places": (requests, "1/s"),
    }
    runs = {VMMGR: _vmmgr, qemu.TCG: _qemu}

    def attempt(run: _Run) -> Callable[[], Figures]:
        def figures() -> Figures:
            with tempfile.TemporaryDirectory() as folder:
                command = run(kind, Path(folder), pieces, requests)
                seconds = _parts(command)
            amounts = [amount for amount, _ in units.values()]
            return {
                name: amount / spent
                for name, amount, spent in zip(units, amounts, seconds, strict=True)
            }

        return figures

    contestants = {name: attempt(run) for name, run in runs.items()}
    rows = []
    found = contests(list(units), "", contestants, effort.rounds, more_is_better=True)
    for row in found:
        rows.append(row.of_unit(units[row.contest][1]))
    return rows


_Run = Callable[[str, Path, int, int], list[str]]


def _parts(command: Sequence[str]) -> list[float]:
    with Child(command, longest=LONGEST) as child:
        times = [child.wait_for(mark) for mark in _MARKS]
    return [end - start for start, end in pairwise(times)]


def _files(kind: str, folder: Path, pieces: int, requests: int) -> tuple[Path, Path]:
    """The initrd and the image. Raises AbsentError."""
    if not KERNEL.exists():
        raise AbsentError(f"{KERNEL.name} is missing; examples/linux/fetch.sh gets it")
    names = [MODULES / f"{name}.ko" for name in DRIVERS[kind]]
    if missing := [name for name in names if not name.exists()]:
        raise AbsentError(f"{missing[0].name} is missing; examples/linux/fetch.sh --force gets it")
    initrd, image = folder / "initrd.img", folder / "disk.img"
    initrd.write_bytes(_initrd(names, pieces, requests))
    with image.open("wb") as file:
        file.truncate(pieces * MIB)
    return initrd, image


def _initrd(modules: Sequence[Path], pieces: int, requests: int) -> bytes:
    sys.path.append(str(KERNEL.parent.parent.parent / "examples" / "linux"))
    initramfs = importlib.import_module("initramfs")
    entry = initramfs.Entry

    head = ".intel_syntax noprefix\n.globl _start\n"
    program = initrds.assembled(head + _INIT.format(pieces=pieces, random=requests))
    entries = [entry("dev", 0o040755), entry("init", 0o100755, program)]
    entries += [entry(f"{n}.ko", 0o100644, path.read_bytes()) for n, path in enumerate(modules)]
    entries += [entry("dev/console", 0o020600, device=(5, 1))]
    return gzip.compress(initramfs.archive(entries), 1, mtime=0)


def _vmmgr(kind: str, folder: Path, pieces: int, requests: int) -> list[str]:
    initrd, image = _files(kind, folder, pieces, requests)
    machine = folder / "bench.toml"
    machine.write_text(
        _MACHINE.format(kind=kind, kernel=KERNEL, initrd=initrd, image=image, cmdline=_CMDLINE)
    )
    return [*ours.COMMAND, "run", str(machine), "--until", "\\[over\\]"]


def _qemu(kind: str, folder: Path, pieces: int, requests: int) -> list[str]:
    initrd, image = _files(kind, folder, pieces, requests)
    command = [*qemu.pc(256), "-kernel", str(KERNEL), "-initrd", str(initrd), "-append", _CMDLINE]
    command += ["-drive", f"if=none,id=d,format=raw,file={image}", "-device", _QEMU[kind]]
    return command


# -- suspends -------------------------------------------------------------------------------------


_QUIET = """\
schema = 1
[memory]
size = "16M"
[boot]
image = "spin.bin"
load = 0x7c00
entry = 0x7c00
bits = 16
[disks.root]
size = "2G"
[slots.0]
device = "hostbridge"
[slots.5]
device = "virtio-blk"
disk = "root"
[slots.31]
device = "lpc"
[lpc.com1]
backend = "null"
"""


def suspends(effort: Effort = FULL) -> list[Row]:
    """How long a suspend takes after so many MiB have been written to a disk."""
    rows = []
    for dirty in DIRTY:
        amount = effort.of(dirty)
        times = []
        for _ in range(effort.rounds):
            with tempfile.TemporaryDirectory() as folder:
                machine, store = _quiet(Path(folder))
                store.commit(machine.run_to_image(), goes_on=True)
                for n in range(amount):
                    machine.disks["root"].write(n * MIB, os.urandom(MIB))
                began = time.perf_counter()
                store.commit(machine.run_to_image(), goes_on=True)
                times.append((time.perf_counter() - began) * 1000)
                machine.disks.close()
        rows.append(Row(f"suspend, {amount} MiB written to a disk", VMMGR, "ms", tuple(times)))
    return rows


def twenty_snapshots() -> Row:
    """What 20 snapshots take, between each of which 4 MiB of a disk of 64 MiB were written."""
    with tempfile.TemporaryDirectory() as folder:
        machine, store = _quiet(Path(folder))
        for n in range(64):
            machine.disks["root"].write(n * MIB, os.urandom(MIB))
        for number in range(SNAPSHOTS):
            for n in range(4):
                machine.disks["root"].write((number * 3 + n) * MIB, os.urandom(MIB))
            store.commit(machine.run_to_image(), f"s{number}", goes_on=True)
        machine.disks.close()
        files = {
            status.st_ino: status.st_blocks * 512
            for path in store.root.rglob("*")
            if path.is_file() and (status := path.stat())
        }
    note = f"64 MiB of random bytes at first, then 4 MiB before each; {64 + 80} MiB were written"
    size = (sum(files.values()) / MIB,)
    return Row(f"{SNAPSHOTS} snapshots of one machine, on disk", VMMGR, "MiB", size, note=note)


def _quiet(folder: Path) -> tuple[Machine, Store]:
    """A machine with an empty disk, whose guest does nothing."""
    from manager.graph.build import load_graph
    from manager.machine.machine import Machine
    from manager.snapshot.store import Store

    (folder / "spin.bin").write_bytes(b"\xeb\xfe")
    (folder / "machine.toml").write_text(_QUIET)
    machine = Machine.power_on(load_graph(folder / "machine.toml"))
    machine.run(machine.now() + 1000)
    return machine, Store(folder / "snapshots")
