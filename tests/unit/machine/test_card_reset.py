# SPDX-License-Identifier: BSD-2-Clause
"""What a reset of the machine does to a card: BARs in their first place, its memory cleared."""

from __future__ import annotations

from pathlib import Path

from support.assembler import assemble
from support.machines import LOAD, PC, finish
from support.pci_card import plugged

from manager.graph.build import load_graph
from manager.machine.machine import Machine

GUEST = """
    .macro  say                         # EAX
        mov     edx, 0x3f8
        .rept   4
        out     dx, al
        shr     eax, 8
        .endr
    .endm
    mov     esp, 0x7000
    mov     eax, [0xe0010000]           # memory of the card in slot 5
    mov     ebx, eax
    say
    mov     eax, [0xe0000000]           # its registers
    say
    mov     dword ptr [0xe0010000], 0x00c340b0      # mov al, 0x40; ret
    mov     eax, 0xe0010000
    call    eax
    mov     edx, 0xcf8                  # BAR 0 elsewhere
    mov     eax, 0x80002810
    out     dx, eax
    mov     edx, 0xcfc
    mov     eax, 0xe0800000
    out     dx, eax
    mov     edx, 0x70                   # CMOS keeps what a reset does not clear
    mov     al, 0x40
    out     dx, al
    inc     edx
    in      al, dx
    cmp     al, 0x5a
    je      2f
    mov     al, 0x5a
    out     dx, al
    mov     edx, 0xcf9
    mov     al, 6
    out     dx, al
1:  hlt
    jmp     1b
2:  mov     edx, 0xf4
    xor     eax, eax
    out     dx, al
    jmp     2b
"""


def test_bars_are_back_and_memory_is_clear(tmp_path: Path) -> None:
    (tmp_path / "guest.bin").write_bytes(assemble(GUEST, LOAD, 32))
    file = tmp_path / "guest.toml"
    file.write_text(PC.format(bits=32))
    machine = Machine.power_on(plugged(load_graph(file)))

    finish(machine)

    seen = bytes(4) + b"CARD"
    assert machine.ports["lpc.com1"].take_output() == seen * 2
    assert machine.resets == 1
