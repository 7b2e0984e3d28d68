# SPDX-License-Identifier: BSD-2-Clause
"""Assembling small guests with the system's own assembler."""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from pathlib import Path


@cache
def assemble(source: str, base: int, bits: int = 64) -> bytes:
    """The flat binary of Intel-syntax assembly, linked to run at `base`."""
    header = f".intel_syntax noprefix\n.code{bits}\n.globl _start\n_start:\n"
    with tempfile.TemporaryDirectory() as folder:
        text, object_, binary = (Path(folder) / name for name in ("a.s", "a.o", "a.bin"))
        text.write_text(header + source + "\n")
        subprocess.run(["as", "--64", "-o", object_, text], check=True)
        link = ["ld", "-m", "elf_x86_64", "--oformat=binary", "-Ttext", hex(base)]
        subprocess.run([*link, "-o", binary, object_], check=True)
        return binary.read_bytes()


@cache
def link(source: str, base: int, bits: int = 32) -> bytes:
    """An ELF executable of Intel-syntax assembly, `.text` at `base`, entered at `_start`.

    Notes, data and bss follow the text.
    """
    parts = " ".join(
        f"{name} : {{ *({name}) }}" for name in (".text", ".note.Xen", ".data", ".bss")
    )
    header = f".intel_syntax noprefix\n.code{bits}\n.globl _start\n"
    emulation, width = ("elf_i386", "--32") if bits == 32 else ("elf_x86_64", "--64")
    with tempfile.TemporaryDirectory() as folder:
        names = ("a.s", "a.o", "a.elf", "a.ld")
        text, object_, program, script = (Path(folder) / name for name in names)
        text.write_text(header + source + "\n")
        script.write_text(f"ENTRY(_start) SECTIONS {{ . = {base:#x}; {parts} }}\n")
        subprocess.run(["as", width, "-o", object_, text], check=True)
        command = ["ld", "-m", emulation, "-n", "-z", "noexecstack", "-T", str(script)]
        subprocess.run([*command, "-o", program, object_], check=True)
        return program.read_bytes()
