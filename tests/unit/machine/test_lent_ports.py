# SPDX-License-Identifier: BSD-2-Clause
"""A disk's data port served from its buffer: to the guest and in snapshots the same as without."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace
from pathlib import Path

import pytest
from support.assembler import assemble

from manager.bus.record import to_plain
from manager.graph.build import load_graph
from manager.graph.nodes import Debug
from manager.machine import state
from manager.machine.ended import Ended
from manager.machine.machine import Machine

SECTOR = 512
MACHINE = """
[boot]
image = "guest.bin"
load = 0x7c00
entry = 0x7c00
bits = 16
[disks.one]
image = "disk.img"
[slots.0]
device = "hostbridge"
[slots.1]
device = "lpc"
[slots."1.1"]
device = "ide"
primary-master = "one"
[lpc.debug-exit]
port = 0xf4
"""
GUEST = """
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7c00
    cld
    mov bp, 0
again:
    mov al, 0x20                # read a sector in all the ways there are
    call command
    mov di, 0x8000
    mov dx, 0x1f0
    mov cx, 100
    rep insw
    mov dx, 0x3f6               # a look at the drive in between
    in al, dx
    mov dx, 0x1f0
    mov cx, 10
    rep insd
    in al, dx
    stosb
    in al, dx
    stosb
    mov cx, 134
    rep insw
    in ax, dx
    stosw
    mov dx, 0x1f4               # a register that a command needs not
    mov al, 0x55
    out dx, al
    inc word ptr [0x8000]
    add bp, 8
    mov al, 0x30                # write it behind
    call command
    mov si, 0x8000
    mov dx, 0x1f0
    mov cx, 17
    rep outsw
    mov dx, 0x1f7
    in al, dx
    mov dx, 0x1f0
    mov cx, 59
    rep outsd
    lodsw
    out dx, ax
    lodsw
    out dx, ax
    mov cx, 119
    rep outsw
    sub bp, 7
    cmp bp, 6
    jne again
    mov al, 0x20                # and leave one half read
    call command
    mov cx, 40
    mov dx, 0x1f0
    rep insw
    xor al, al
    out 0xf4, al

command:                        # AL on sector BP
    push ax
    call ready
    mov dx, 0x1f2
    mov al, 1
    out dx, al
    inc dx
    mov ax, bp
    out dx, al
    inc dx
    xor al, al
    out dx, al
    inc dx
    out dx, al
    inc dx
    mov al, 0xe0
    out dx, al
    inc dx
    pop ax
    out dx, al
1:  in al, dx
    and al, 0x88
    cmp al, 0x08
    jne 1b
    ret
ready:
    mov dx, 0x1f7
2:  in al, dx
    test al, 0x80
    jnz 2b
    ret
"""


def run(folder: Path, *, lending: bool, seed: int = 0) -> tuple[str, bytes, int]:
    """What a machine is at its end, run in slices by `seed`: records and RAM, disk, time."""
    (folder / "guest.bin").write_bytes(assemble(GUEST, 0x7C00, 16))
    chance = random.Random(7)
    (folder / "disk.img").write_bytes(chance.randbytes(64 * SECTOR) + bytes(1 << 20))
    (folder / "pc.toml").write_text(MACHINE)
    graph = load_graph(folder / "pc.toml")
    # Whoever traces ports sees each access, so nothing is lent.
    machine = Machine.power_on(replace(graph, debug=Debug(trace=() if lending else ("ports",))))
    slices = random.Random(seed)
    digest = hashlib.sha256()
    ended: Ended | None = None
    while ended is None:
        assert machine.now() < 1_000_000_000
        ended = machine.run(machine.now() + (slices.randrange(1, 40_000) if seed else 1_000_000))
    records = state.save(machine.engine, machine.rom, machine._board)
    digest.update(repr({id: to_plain(record) for id, record in records.items()}).encode())
    for region in machine.memory.regions:
        digest.update(region.memory[:])
    disk = b"".join(machine.disks["one"].content())
    time = machine.now()
    machine.close()
    return digest.hexdigest(), disk[: 64 * SECTOR], time


def test_what_the_guest_reads_and_writes_is_right(tmp_path: Path) -> None:
    _, disk, _ = run(tmp_path, lending=True)

    before = random.Random(7).randbytes(64 * SECTOR)
    for sector in range(6):
        source = before[sector * SECTOR : (sector + 1) * SECTOR]
        first = (int.from_bytes(source[:2], "little") + 1) & 0xFFFF
        at = (sector + 8) * SECTOR
        assert disk[at : at + SECTOR] == first.to_bytes(2, "little") + source[2:]


@pytest.mark.parametrize("seed", range(6))
def test_lending_changes_nothing(tmp_path: Path, seed: int) -> None:
    assert run(tmp_path, lending=True, seed=seed) == run(tmp_path, lending=False)
