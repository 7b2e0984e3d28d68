# SPDX-License-Identifier: BSD-2-Clause
"""Labs of guests of a few instructions, which talk over a serial cable."""

from __future__ import annotations

import json
import time
from pathlib import Path

from support.assembler import assemble
from support.vmmgr import Vmmgr

LOAD = 0x7C00

COUNTER = """
        cli
        mov dx, 0x3fd
start:  in al, dx               /* until a byte comes from the console */
        test al, 1
        jz start
        mov dx, 0x3f8
        in al, dx
        xor ecx, ecx
next:   mov al, cl              /* a number to the other machine ... */
        mov dx, 0x2f8
        out dx, al
        mov dx, 0x2fd
wait:   in al, dx               /* ... and what it answers */
        test al, 1
        jz wait
        mov dx, 0x2f8
        in al, dx
        mov ah, cl
        inc ah
        cmp al, ah
        jne wrong
        test cl, 0x3f           /* a dot for each 64 */
        jnz more
        mov dx, 0x3f8
        mov al, '.'
        out dx, al
more:   inc ecx
        cmp ecx, {COUNT}
        jne next
        mov dx, 0x3f8
        mov al, '!'
        out dx, al
        {END}
wrong:  mov dx, 0x3f8
        mov al, '?'
        out dx, al
rest:   hlt
        jmp rest
"""
ANSWERER = """
        cli
        mov dx, 0x2fd
wait:   in al, dx
        test al, 1
        jz wait
        mov dx, 0x2f8
        in al, dx
        inc al
        out dx, al
        mov dx, 0x2fd
        jmp wait
"""
ASLEEP = "again: sti\n hlt\n jmp again"
FAULTY = """
        cli
        mov dx, 0x3fd
start:  in al, dx
        test al, 1
        jz start
        lidt [nothing]
        ud2
nothing: .word 0, 0, 0
"""
MACHINE = """\
schema = 1
[memory]
size = "1M"
[clock]
mode = "{mode}"
[boot]
image = "{name}.bin"
load = 0x7c00
entry = 0x7c00
bits = 16
[slots.0]
device = "hostbridge"
[slots.31]
device = "lpc"
[lpc.com1]
[lpc.com2]
"""


def machine(folder: Path, name: str, source: str, mode: str = "virtual") -> None:
    (folder / f"{name}.bin").write_bytes(assemble(source, LOAD, 16))
    (folder / f"{name}.toml").write_text(MACHINE.format(name=name, mode=mode))


def counter(count: int, end: str = "sti\n jmp rest") -> str:
    return COUNTER.replace("{COUNT}", str(count)).replace("{END}", end)


def lab(folder: Path, **sources: str) -> Path:
    """A lab of these guests, with a cable between the first two."""
    text = "schema = 1\n"
    for name, source in sources.items():
        machine(folder, name, source)
        text += f'[machines.{name}]\nfile = "{name}.toml"\n'
    one, two = list(sources)[:2]
    text += f'[cables.modem]\nends = ["{one}.com2", "{two}.com2"]\n'
    (folder / "duo.toml").write_text(text)
    return folder / "duo.toml"


def states(vmmgr: Vmmgr) -> dict[str, str]:
    machines = json.loads(vmmgr("ls", "--json").stdout)["machines"]
    return {item["name"]: item["state"] for item in machines}


def until(vmmgr: Vmmgr, name: str, wanted: str, times: int = 1) -> str:
    """The console's log, once it has `wanted` so often."""
    give_up = time.monotonic() + 60
    while times > (log := vmmgr("logs", name).stdout).count(wanted):
        assert time.monotonic() < give_up, log
        assert "?" not in log, log
    return log
