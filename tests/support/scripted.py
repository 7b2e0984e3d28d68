# SPDX-License-Identifier: BSD-2-Clause
"""A guest that follows a script: it talks, computes, waits, resets itself, and ends as it is told.

The script lies in its image, behind the code. What a reset leaves as it was, a byte of the CMOS,
counts the starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from manager.graph.build import load_graph
from manager.graph.nodes import Graph
from support.assembler import assemble
from support.machines import LOAD, PC

SAY, SPIN, WAIT, ECHO, RESET, END = range(6)
"""What a step does: say a character; write to RAM so many times; wait for ticks of a millisecond;
send what has arrived back; reset the machine (CF9h, port 92h, keyboard controller), at most so
often; and the END in one of ENDS."""
RESETS = 3
"""Kinds of them."""
ENDS = ("halted", "triple-fault", "debug-exit", "power-off", "strict-io", "engine", "never")
_IDT = 0x6000
_SOURCE = f"""
    mov esp, 0x6000
    lea eax, [tick]
    mov [{_IDT + 0x20 * 8}], ax
    mov word ptr [{_IDT + 0x20 * 8 + 2}], 0x10
    mov dword ptr [{_IDT + 0x20 * 8 + 4}], 0x8e00
    lidt [idt]
    mov al, 0x11
    out 0x20, al
    mov al, 0x20
    out 0x21, al
    mov al, 4
    out 0x21, al
    mov al, 1
    out 0x21, al
    mov al, 0xfe
    out 0x21, al
    mov al, 0x34
    out 0x43, al
    mov al, 0xa9
    out 0x40, al
    mov al, 4
    out 0x40, al
    mov al, 0x40
    out 0x70, al
    in al, 0x71
    inc al
    mov ah, al
    out 0x71, al
    mov bl, ah
    lea esi, [script]
next:
    lodsb
    movzx edi, al
    lodsw
    movzx ecx, ax
    jmp [steps + edi * 4]

say:
    mov edx, 0x3f8
    mov al, cl
    out dx, al
    jmp next
spin:
    inc dword ptr [0x100000 + ecx * 4]
    loop spin
    jmp next
wait:
    sti
    hlt
    cli
    loop wait
    jmp next
echo:
    mov edx, 0x3fd
    in al, dx
    test al, 1
    jz next
    mov edx, 0x3f8
    in al, dx
    out dx, al
    jmp echo
reset:
    cmp bl, ch
    ja next
    movzx ecx, cl
    jmp [resets + ecx * 4]
cf9:
    mov edx, 0xcf9
    mov al, 2
    out dx, al
    mov al, 6
    out dx, al
    jmp next
port92:
    mov al, 1
    out 0x92, al
    jmp next
keyboard:
    mov al, 0xfe
    out 0x64, al
    jmp next
end:
    jmp [ends + ecx * 4]
halted:
    cli
    hlt
triple_fault:
    lidt [nothing]
    int3
debug_exit:
    mov al, 7
    out 0xf4, al
    jmp halted
power_off:
    mov edx, 0x604
    mov ax, 0x3400
    out dx, ax
    jmp halted
strict_io:
    mov edx, 0x5123
    in al, dx
    jmp halted
engine:
    mov eax, 0xfee00000
    jmp eax
never:
    lea esi, [script]
    jmp next

tick:
    push eax
    inc dword ptr [0x9000]
    mov al, 0x20
    out 0x20, al
    pop eax
    iretd

steps:  .long say, spin, wait, echo, reset, end
resets: .long cf9, port92, keyboard
ends:   .long halted, triple_fault, debug_exit, power_off, strict_io, engine, never
idt:    .word 0x7ff
        .long {_IDT}
nothing: .word 0
        .long 0
script:
"""


@dataclass(frozen=True, slots=True)
class Step:
    """One step and its argument, 0 to 65535; for RESET the kind, plus 256 for each start."""

    what: int
    argument: int = 0


def scripted(folder: Path, steps: Sequence[Step], end: str = "never", extra: str = "") -> Graph:
    """A machine whose guest does these things and then ends, or does them again."""
    script = [*steps, Step(END, ENDS.index(end))]
    written = b"".join(
        step.what.to_bytes(1, "little") + step.argument.to_bytes(2, "little") for step in script
    )
    (folder / "guest.bin").write_bytes(assemble(_SOURCE, LOAD, 32) + written)
    file = folder / "guest.toml"
    strict = "[debug]\nstrict-io = true\n" if end == "strict-io" else ""
    file.write_text(PC.format(bits=32) + strict + extra)
    return load_graph(file)
